"""HTTP requests into a pod, for probes and hooks: GET, redirects on the same host followed,
certificates not verified. h11 speaks the protocol; error messages are those of Go's client, which
users know from the kubelet.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import h11

from kubelite.node.kubelet.probe.tcp_connect import Deadline, Unreachable, dial, host_port, reason
from kubelite.objects.pod.container import HTTPGetAction, HTTPHeader

MAX_REDIRECTS = 10
MAX_HEAD = 64 << 10
MAX_BODY = 10 << 10
"""Bytes of a body that are read, as in the kubelet."""
_CHUNK = 16 << 10
_REDIRECTS = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}


class Url(NamedTuple):
    """The address of a request; ``target`` is path and query and begins with a slash."""

    scheme: str
    host: str
    port: int
    target: str

    def __str__(self) -> str:
        return f"{self.scheme}://{host_port(self.host, self.port)}{self.target}"


class Reply(NamedTuple):
    """The last response; ``other_host``: it redirects to another host, which is not followed."""

    status: int
    other_host: bool


def get(
    pid: int, action: HTTPGetAction, host: str, port: int, deadline: Deadline, agent: str
) -> Reply:
    """Sends the request from inside the network namespace of process ``pid``; ``host`` is the pod's
    address, for an action without one. ``agent`` is the User-Agent.

    Raises Unreachable with the kubelet's message, OSError where the namespace is gone.
    """
    url = make_url(action.scheme or "HTTP", action.host or host, port, action.path or "/")
    for _ in range(MAX_REDIRECTS):
        try:
            response = _exchange(pid, url, make_headers(url, action.http_headers, agent), deadline)
        except Unreachable as error:
            raise Unreachable(f'Get "{url}": {error}') from error
        location = dict(response.headers).get(b"location", b"").decode("latin-1")
        if response.status_code not in _REDIRECTS or not location:
            return Reply(response.status_code, False)
        following = redirected(url, location)
        if following is None or following.host != url.host:
            return Reply(response.status_code, True)
        url = following
    raise Unreachable(f'Get "{url}": stopped after {MAX_REDIRECTS} redirects')


# -- the request -----------------------------------------------------------------------------------


def make_url(scheme: str, host: str, port: int, path: str) -> Url:
    """The address that an httpGet action describes. A fragment is for browsers and is left out."""
    target = path.partition("#")[0]
    return Url(scheme.lower(), host, port, _quoted_target(f"/{target.removeprefix('/')}"))


def _quoted_target(text: str) -> str:
    """With every byte that a request line cannot hold percent-encoded; what is encoded stays."""
    return "".join(
        chr(byte) if 0x20 < byte < 0x7F else f"%{byte:02X}"
        for byte in text.encode("utf-8", "surrogateescape")
    )


def redirected(base: Url, location: str) -> Url | None:
    """The target of a redirect; None where it is not an address of a web server."""
    try:
        parts = urlsplit(location)
        if not parts.scheme:
            parts = urlsplit(urljoin(str(base), location))
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:  # a port that is no number, brackets that do not match
        return None
    if parts.scheme not in _PORTS or not parts.hostname or not port:
        return None
    query = f"?{parts.query}" if parts.query else ""
    return make_url(parts.scheme, parts.hostname, port, f"{parts.path}{query}")


def make_headers(url: Url, declared: Iterable[HTTPHeader], agent: str) -> list[tuple[str, str]]:
    """The manifest's headers replace ours of the same name; an empty value removes a header."""
    host = host_port(url.host, url.port)
    ours = {
        "host": ("Host", host),
        "user-agent": ("User-Agent", agent),
        "accept": ("Accept", "*/*"),
    }
    theirs: dict[str, list[tuple[str, str]]] = {}
    for header in declared:
        theirs.setdefault(header.name.lower(), []).append((header.name, _one_line(header.value)))
    if not any(value for _, value in theirs.get("host", ())):
        theirs.pop("host", None)  # HTTP/1.1 has no request without a host
    for name in ("connection", "content-length", "transfer-encoding"):
        theirs.pop(name, None)  # these describe the connection and the body, which are ours
    kept = [ours[name] for name in ours if name not in theirs]
    replaced = [pair for pairs in theirs.values() for pair in pairs if pair[1]]
    return [*kept, *replaced, ("Connection", "close")]


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ").replace("\0", " ").strip()


# -- the exchange ----------------------------------------------------------------------------------


def _exchange(
    pid: int, url: Url, headers: Sequence[tuple[str, str]], deadline: Deadline
) -> h11.Response:
    conversation = Conversation(url, headers)
    try:
        with _connect(pid, url, deadline) as sock:
            sock.sendall(conversation.request)
            while not conversation.finished:
                sock.settimeout(deadline.left())
                conversation.receive(sock.recv(_CHUNK))
    except TimeoutError as error:
        phase = "exceeded while awaiting headers"
        if conversation.response is not None:
            phase = "or context cancellation while reading body"
        raise Unreachable(f"context deadline exceeded (Client.Timeout {phase})") from error
    except ConnectionError as error:
        raise Unreachable(f"read: {reason(error)}") from error
    if conversation.response is None:
        raise Unreachable("EOF")
    return conversation.response


class Conversation:
    """One request and its response as bytes, without a socket.

    ``request`` is to be sent; :meth:`receive` takes what arrives until ``finished``. Raises
    Unreachable for a request that cannot be expressed in HTTP.
    """

    def __init__(self, url: Url, headers: Sequence[tuple[str, str]]) -> None:
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._first_bytes = b""
        self._body_bytes = 0
        self.response: h11.Response | None = None
        self.finished = False
        encoded = [
            (name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in headers
        ]
        try:
            request = h11.Request(method="GET", target=url.target, headers=encoded)
            head = self._connection.send(request) or b""
            self.request = head + (self._connection.send(h11.EndOfMessage()) or b"")
        except h11.LocalProtocolError as error:
            raise Unreachable(f"net/http: invalid request: {error}") from error

    def receive(self, data: bytes) -> None:
        """Takes bytes from the server, b"" at the end of the connection. Raises Unreachable for
        what is not HTTP or ends too early.
        """
        self._first_bytes = (self._first_bytes + data)[:64]
        if self.response is None and not _may_be_http(self._first_bytes):
            raise Unreachable(_malformed(self._first_bytes))
        try:
            self._connection.receive_data(data)
            while not self.finished and self._take(self._connection.next_event()):
                pass
        except h11.RemoteProtocolError as error:
            raise Unreachable(self._failure(data, error)) from error
        if not data:
            self.finished = True

    def _take(self, event: object) -> bool:
        """Whether there may be a further event without more bytes."""
        if isinstance(event, h11.Response):
            self.response = event
        elif isinstance(event, h11.Data):
            self._body_bytes += len(event.data)
            self.finished = self._body_bytes >= MAX_BODY
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            self.finished = True
        return event is not h11.NEED_DATA and event is not h11.PAUSED

    def _failure(self, data: bytes, error: h11.RemoteProtocolError) -> str:
        """The message of Go's client for an error of the server."""
        if not data:
            return "unexpected EOF" if self.response is not None else "EOF"
        if self.response is not None:
            return "invalid byte in chunk length" if "chunk" in str(error) else str(error)
        if error.error_status_hint == 431:
            return "net/http: HTTP response header fields too large"
        return _malformed(self._first_bytes)


def _may_be_http(start: bytes) -> bool:
    return start[:5] == b"HTTP/"[: len(start)]


def _malformed(start: bytes) -> str:
    line = start.partition(b"\r\n")[0]
    words = line.split(b" ", 2)
    is_status_line = line.startswith(b"HTTP/") and len(words) > 1
    what = "status code" if is_status_line and not words[1].isdigit() else "response"
    shown = words[1] if what == "status code" else line
    text = shown.decode("latin-1").encode("unicode_escape").decode().replace('"', '\\"')
    return f'malformed HTTP {what} "{text}"'


def _connect(pid: int, url: Url, deadline: Deadline) -> socket.socket:
    sock = dial(pid, url.host, url.port, deadline)
    if url.scheme != "https":
        sock.settimeout(deadline.left())
        return sock
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        sock.settimeout(deadline.left())
        return context.wrap_socket(sock, server_hostname=url.host)
    except ssl.SSLError as error:
        sock.close()
        if "WRONG_VERSION_NUMBER" in (error.reason or ""):
            raise Unreachable("http: server gave HTTP response to HTTPS client") from error
        message = (error.reason or str(error)).lower().replace("_", " ")
        raise Unreachable(f"tls: {message}") from error
    except BaseException:
        sock.close()
        raise
