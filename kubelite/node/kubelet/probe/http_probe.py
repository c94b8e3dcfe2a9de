"""HTTP requests into a pod, for probes and hooks: GET, redirects on the same host followed, no
certificate checked.
"""

from __future__ import annotations

import socket
from typing import NamedTuple

from kubelite.node.kubelet.probe import httpwire
from kubelite.node.kubelet.probe.httpwire import Answer, Malformed, Url
from kubelite.node.kubelet.probe.reach import Deadline, Unreached, dial, reason
from kubelite.objects.pod.container import HTTPGetAction

REDIRECTS = 10
_PIECE = 16 << 10
_AWAY = (301, 302, 303, 307, 308)


class Reply(NamedTuple):
    """The last answer; ``elsewhere``: it sends us to another host, which is not followed."""

    status: int
    elsewhere: bool


def get(
    pid: int, action: HTTPGetAction, host: str, port: int, deadline: Deadline, agent: str
) -> Reply:
    """Asks from inside the network namespace of ``pid``; ``host`` is the pod's where the manifest
    names none.

    Raises Unreached with the kubelet's text; OSError for a namespace that is gone.
    """
    asked = httpwire.url(action.scheme or "HTTP", action.host or host, port, action.path or "/")
    for _ in range(REDIRECTS):
        try:
            found = _ask(pid, asked, httpwire.request(asked, action.http_headers, agent), deadline)
        except Unreached as error:
            raise Unreached(f'Get "{asked}": {error}') from error
        location = found.headers.get("location", "")
        if found.status not in _AWAY or not location:
            return Reply(found.status, False)
        following = httpwire.redirected(asked, location)
        if following is None or following.host != asked.host:
            return Reply(found.status, True)
        asked = following
    raise Unreached(f'Get "{asked}": stopped after {REDIRECTS} redirects')


def _ask(pid: int, asked: Url, request: bytes, deadline: Deadline) -> Answer:
    phase = "exceeded while awaiting headers"
    try:
        with _open(pid, asked, deadline) as sock:
            sock.sendall(request)
            data, found = b"", None
            while found is None or not httpwire.is_whole(found, data):
                sock.settimeout(deadline.left())
                piece = sock.recv(_PIECE)
                if not piece:
                    return _cut_off(found)
                data += piece
                if found is None and (found := httpwire.answer(data)) is not None:
                    phase = "or context cancellation while reading body"
            return found
    except TimeoutError as error:
        raise Unreached(f"context deadline exceeded (Client.Timeout {phase})") from error
    except Malformed as error:
        raise Unreached(str(error)) from error
    except ConnectionError as error:
        raise Unreached(f"read: {reason(error)}") from error


def _cut_off(found: Answer | None) -> Answer:
    """The answer of a server that has closed the connection."""
    if found is None:
        raise Unreached("EOF")
    if not httpwire.may_end_early(found):
        raise Unreached("unexpected EOF")
    return found


def _open(pid: int, asked: Url, deadline: Deadline) -> socket.socket:
    sock = dial(pid, asked.host, asked.port, deadline)
    if asked.scheme != "https":
        return sock
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        sock.settimeout(deadline.left())
        return context.wrap_socket(sock, server_hostname=asked.host)
    except ssl.SSLError as error:
        sock.close()
        if "WRONG_VERSION_NUMBER" in (error.reason or ""):
            raise Unreached("http: server gave HTTP response to HTTPS client") from error
        raise Unreached(f"tls: {(error.reason or str(error)).lower().replace('_', ' ')}") from error
