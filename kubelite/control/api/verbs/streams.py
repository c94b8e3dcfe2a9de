"""Log, exec, attach and port-forward: relayed to the kubelet of the pod's node.

The kubelet speaks WebSocket or SPDY with the client; here the upgrade is passed on and then bytes
go both ways, unread.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from kubelite.control.api.admission.dynamic.connecting import admit
from kubelite.control.api.auth.authentication import offered_protocols
from kubelite.control.api.verbs.kubelet_client import container_of, place_of, pod_of
from kubelite.control.api.wire import causes
from kubelite.control.api.wire.answer import Answer, Stream
from kubelite.control.api.wire.resource import Resource
from kubelite.control.api.wire.status import (
    StatusError,
    bad_request,
    invalid,
    not_found,
    unavailable,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from aiohttp import web

    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.verbs.kubelet_client import Place
    from kubelite.control.api.wire.request import Request

CONNECT_SECONDS = 10.0
PIECE = 64 << 10
_LOG = Resource("", "v1", "PodLogOptions", "pods", "pod", True, "", "v1")
_LOG_OPTIONS = (
    "follow",
    "previous",
    "tailLines",
    "sinceSeconds",
    "sinceTime",
    "timestamps",
    "limitBytes",
    "stream",
)
_MESSAGES = ("binary.k8s.io", "base64.binary.k8s.io")
_FLAGS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
_PASSED = (
    "connection",
    "upgrade",
    "sec-websocket-key",
    "sec-websocket-version",
    "x-stream-protocol-version",
    "user-agent",
)


def wants_upgrade(headers: Mapping[str, str]) -> bool:
    """Whether a request asks for another protocol on its connection."""
    return "upgrade" in headers.get("Connection", "").lower()


async def log(context: Context, request: Request) -> Answer | Stream:
    """GET of ``/log``. Raises StatusError."""
    _check_log_options(request)
    pods = request.resource
    pod = await pod_of(context, request, scheduled=False)
    container = container_of(pod, request.query.text("container"))
    node = pod["spec"].get("nodeName")
    if not node:
        return Answer(b"", 204)  # nothing has run that could have written
    try:
        place = await place_of(context, node)
    except StatusError as error:
        raise not_found(pods, node) if error.code == 404 else error from None
    options = {name: request.query.text(name) for name in _LOG_OPTIONS if request.query.text(name)}
    path = f"/containerLogs/{quote(request.namespace)}/{quote(request.name)}/{quote(container)}"
    return Stream(
        lambda connection: _copy(context, connection, place, path + "?" + urlencode(options))
    )


def _check_log_options(request: Request) -> None:
    """Kubernetes, ``ValidatePodLogOptions``. Raises StatusError 400, 422."""
    query, problems = request.query, []
    for name, least, why in (
        ("tailLines", 0, "must be greater than or equal to 0"),
        ("limitBytes", 1, "must be greater than 0"),
        ("sinceSeconds", 1, "must be greater than 0"),
    ):
        number = query.number(name)
        if number is not None and number < least:
            problems.append(causes.invalid(name, number, why))
    if query.text("sinceTime"):
        try:
            datetime.fromisoformat(query.text("sinceTime"))
        except ValueError as error:
            raise bad_request(f"sinceTime is no time of RFC 3339: {error}") from None
        if query.text("sinceSeconds"):
            why = "at most one of sinceTime or sinceSeconds may be specified"
            problems.append(causes.forbidden("", why))
    if query.text("stream"):
        problems.append(causes.forbidden("stream", "may not be specified"))
    if problems:
        raise invalid(_LOG, request.name, problems)


async def _copy(
    context: Context, connection: web.Request, place: Place, path: str
) -> web.StreamResponse:
    """Gives the client what a GET at the kubelet gives, as it comes."""
    import aiohttp
    from aiohttp import web

    url = f"https://{place.authority}{path}"
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, ssl=context.kubelets.tls) as got,
        ):
            if wants_upgrade(connection.headers) and got.status == 200:
                return await _send_messages(connection, got.content.iter_chunked(PIECE))
            headers = {"Content-Type": got.headers.get("Content-Type", "text/plain")}
            response = web.StreamResponse(status=got.status, headers=headers)
            await response.prepare(connection)
            async for piece in got.content.iter_chunked(PIECE):
                await response.write(piece)
            await response.write_eof()
            return response
    except aiohttp.ClientConnectorError as error:
        return _refused(unreachable(place, error).status)


async def _send_messages(
    connection: web.Request, pieces: AsyncIterator[bytes]
) -> web.StreamResponse:
    """The same over a WebSocket, a piece a message, as text, bytes or base64 (apiserver,
    ``wsstream``).
    """
    from aiohttp import web

    chosen = offered_protocols(connection.headers.get("Sec-WebSocket-Protocol", ""))
    socket = web.WebSocketResponse(protocols=[word for word in chosen if word in _MESSAGES])
    await socket.prepare(connection)
    with suppress(ConnectionError):
        async for piece in pieces:
            if socket.ws_protocol == "binary.k8s.io":
                await socket.send_bytes(piece)
            elif socket.ws_protocol == "base64.binary.k8s.io":
                await socket.send_str(b64encode(piece).decode())
            else:
                await socket.send_str(piece.decode(errors="replace"))
    await socket.close()
    return socket


def _refused(status: dict[str, Any]) -> web.Response:
    from aiohttp import web

    from kubelite.control.api.wire.documents import encode

    return web.Response(
        body=encode(status) + b"\n",
        status=status["code"],
        headers={"Content-Type": "application/json"},
    )


def unreachable(place: Place, error: Exception) -> Any:
    """503 about a kubelet that does not answer."""
    return unavailable(f"the kubelet at {place.authority} cannot be reached: {error}")


async def relay(context: Context, request: Request) -> Answer | Stream:
    """Exec, attach and port-forward. Raises StatusError."""
    if not wants_upgrade(request.headers):
        raise bad_request("Upgrade request required")
    pod = await pod_of(context, request)
    path = _path(request, pod)
    await admit(context, request)
    place = await place_of(context, pod["spec"]["nodeName"])
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(
                place.host,
                place.port,
                ssl=context.kubelets.tls,
                server_hostname=place.host,
                limit=PIECE,
            )
            writer.write(_request_head(request, place, path))
            head = await reader.readuntil(b"\r\n\r\n")
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise unreachable(place, error) from error
    if head.split(b" ", 2)[1:2] == [b"101"]:
        return Stream(lambda connection: join(connection, head, reader, writer))
    try:
        return await plain_answer(head, reader)
    finally:
        writer.close()


def _path(request: Request, pod: dict[str, Any]) -> str:
    """The kubelet's path for a request, with its own names for the options."""
    where = f"{quote(request.namespace)}/{quote(request.name)}"
    query = request.query
    if request.sub == "portforward":
        return f"/portForward/{where}?" + urlencode(
            [("port", port) for value in query.all("ports") for port in value.split(",")]
        )
    container = container_of(pod, query.text("container"))
    options = [("command", word) for word in query.all("command")]
    options += [(theirs, "1") for ours, theirs in _FLAGS.items() if query.flag(ours)]
    if request.sub == "exec" and not query.all("command"):
        raise bad_request("you must specify at least 1 command for the container")
    if len(options) == len(query.all("command")):
        raise bad_request("you must specify at least one of stdin, stdout, stderr")
    return f"/{request.sub}/{where}/{quote(container)}?" + urlencode(options)


def _request_head(request: Request, place: Place, path: str) -> bytes:
    lines = [f"{request.method} {path} HTTP/1.1", f"Host: {place.authority}"]
    lines += [
        f"{name}: {value}" for name, value in request.headers.items() if name.lower() in _PASSED
    ]
    protocols = offered_protocols(request.headers.get("Sec-WebSocket-Protocol", ""))
    if protocols:
        lines.append(f"Sec-WebSocket-Protocol: {', '.join(protocols)}")
    if request.method == "POST":
        lines.append("Content-Length: 0")
    return head_of(lines)


def head_of(lines: list[str]) -> bytes:
    """The head of an HTTP request, its bytes as they were read into text."""
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


async def plain_answer(head: bytes, reader: asyncio.StreamReader) -> Answer:
    """A refusal to change protocols, as the client's answer."""
    lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines[1:])
    }
    size = int(headers.get("content-length") or 0)
    content = await reader.readexactly(min(size, PIECE)) if size else b""
    return Answer(content, int(lines[0].split(" ")[1]), headers.get("content-type", "text/plain"))


class _Client(asyncio.StreamReaderProtocol):
    """Takes over a connection from the HTTP protocol, which learns of its end."""

    def __init__(self, reader: asyncio.StreamReader, before: asyncio.BaseProtocol) -> None:
        super().__init__(reader)
        self._before = before

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._before.connection_lost(exc)


async def join(
    connection: web.Request, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> web.StreamResponse:
    """Passes bytes between a client and whom it speaks to, until one of them ends; ``head`` is the
    answer to its request.
    """
    from aiohttp import web

    from kubelite.lib.directions import until_one_ends

    transport = connection.transport
    if transport is None:
        writer.close()
        return web.Response()
    incoming = asyncio.StreamReader(limit=PIECE)
    protocol = _Client(incoming, connection.protocol)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    outgoing = asyncio.StreamWriter(transport, protocol, incoming, asyncio.get_running_loop())
    outgoing.write(head)
    try:
        await until_one_ends(_pump(incoming, writer), _pump(reader, outgoing))
    finally:
        writer.close()
        outgoing.close()
    return web.Response()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(PIECE):
            target.write(piece)
            await target.drain()
    except (ConnectionError, OSError):
        return
