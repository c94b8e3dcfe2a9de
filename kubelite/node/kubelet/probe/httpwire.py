"""As much of HTTP/1.1 as asking a container how it is takes: a request as bytes, the answer from
bytes. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from kubelite.objects.pod.container import HTTPHeader

HEAD_MOST = 64 << 10
BODY_MOST = 10 << 10
"""Bytes of a body that are read: as many as the kubelet reads."""
_END = b"\r\n\r\n"


class Url(NamedTuple):
    """An address to ask; ``target`` begins with a slash."""

    scheme: str
    host: str
    port: int
    target: str

    def __str__(self) -> str:
        return f"{self.scheme}://{_place(self.host, self.port)}{self.target}"


class Answer(NamedTuple):
    """Status and headers (names in small letters), and where the body begins."""

    status: int
    headers: dict[str, str]
    body_at: int


class Malformed(Exception):
    """Not an answer in HTTP."""


def url(scheme: str, host: str, port: int, path: str) -> Url:
    """The address that a manifest means; its fragment is nobody's business but the browser's."""
    shown = path.partition("#")[0]
    return Url(scheme.lower(), host, port, encoded(shown if shown.startswith("/") else f"/{shown}"))


def encoded(text: str) -> str:
    """With everything that cannot stand in a request line written in hexadecimal."""
    return "".join(
        chr(byte) if 0x20 < byte < 0x7F else f"%{byte:02X}"
        for byte in text.encode("utf-8", "surrogateescape")
    )


def redirected(base: Url, location: str) -> Url | None:
    """Where an answer sends us; None for what is no address of a web server."""
    scheme, separator, rest = location.partition("://")
    if separator and scheme.lower() in ("http", "https"):
        return _absolute(scheme.lower(), rest)
    if location.startswith("//"):
        return _absolute(base.scheme, location[2:])
    if separator:
        return None
    if location.startswith("/"):
        return url(base.scheme, base.host, base.port, location)
    directory = base.target.partition("?")[0].rpartition("/")[0]
    return url(base.scheme, base.host, base.port, f"{directory}/{location}")


def _absolute(scheme: str, rest: str) -> Url | None:
    cut = min((at for at in (rest.find(mark) for mark in "/?#") if at >= 0), default=len(rest))
    host, port = _split(rest[:cut].rpartition("@")[2])
    number = (
        {"http": 80, "https": 443}[scheme]
        if not port
        else int(port)
        if port.isascii() and port.isdigit()
        else 0
    )
    return url(scheme, host, number, rest[cut:]) if host and 0 < number < 65536 else None


def _split(place: str) -> tuple[str, str]:
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        return host, port.removeprefix(":")
    host, _, port = place.partition(":")
    return host, port


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def request(asked: Url, headers: Iterable[HTTPHeader], agent: str) -> bytes:
    """A GET; what a manifest says about a header goes before our own, and an empty value leaves it
    out.
    """
    found = {"host": ("Host", [_place(asked.host, asked.port)])}
    found["user-agent"] = ("User-Agent", [agent])
    found["accept"] = ("Accept", ["*/*"])
    given: dict[str, tuple[str, list[str]]] = {}
    for header in headers:
        given.setdefault(header.name.lower(), (header.name, []))[1].append(_line(header.value))
    found |= given
    found["connection"] = ("Connection", ["close"])
    lines = [
        f"{name}: {value}"
        for name, values in found.values()
        for value in values
        if value or name.lower() == "host"
    ]
    return "\r\n".join([f"GET {asked.target} HTTP/1.1", *lines, "", ""]).encode(
        "utf-8", "surrogateescape"
    )


def _line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ").strip()


def answer(data: bytes) -> Answer | None:
    """The head of an answer, None while it is not complete. Raises Malformed."""
    start = 0
    while True:
        if data[start : start + 5] != b"HTTP/"[: len(data) - start]:
            raise Malformed(f"malformed HTTP response {_quoted(data[start : start + 64])}")
        end = data.find(_END, start)
        if end < 0:
            if len(data) - start > HEAD_MOST:
                raise Malformed("net/http: HTTP response header fields too large")
            return None
        found = _head(data[start:end], end + len(_END))
        if found.status >= 200 or found.status == 101:
            return found
        start = found.body_at


def _head(data: bytes, body_at: int) -> Answer:
    first, *lines = data.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not (len(words[1]) == 3 and words[1].isascii() and words[1].isdigit()):
        raise Malformed(f"malformed HTTP status code {_quoted(data[:64])}")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), value.strip())
    return Answer(int(words[1]), headers, body_at)


def is_whole(found: Answer, data: bytes) -> bool:
    """Whether the body has come as far as it is read. Raises Malformed for pieces that have no
    length.
    """
    if found.status in (204, 304):
        return True
    body = data[found.body_at :]
    if len(body) >= BODY_MOST:
        return True
    if "chunked" in found.headers.get("transfer-encoding", "").lower():
        return _chunks_end(body)
    length = found.headers.get("content-length", "")
    return length.isascii() and length.isdigit() and len(body) >= int(length)


def _chunks_end(body: bytes) -> bool:
    at = 0
    while (end := body.find(b"\r\n", at)) >= 0:
        text = body[at:end].partition(b";")[0].strip()
        try:
            size = int(text, 16)
        except ValueError:
            raise Malformed("invalid byte in chunk length") from None
        if size <= 0:
            return body.find(_END, end) >= 0
        at = end + 2 + size + 2
    return False


def may_end_early(found: Answer) -> bool:
    """Whether the end of the connection is the end of the body."""
    length = found.headers.get("content-length", "")
    return "chunked" not in found.headers.get("transfer-encoding", "").lower() and not (
        length.isdigit() and int(length)
    )


def _quoted(data: bytes) -> str:
    return '"' + data.decode("latin-1").encode("unicode_escape").decode().replace('"', '\\"') + '"'
