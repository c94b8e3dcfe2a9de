"""HTTP/1.1 on asyncio streams, with connections that can be taken over after an upgrade.

h11 reads and writes the protocol. A handler gets a :class:`Request` and returns a
:class:`Response`, whose body may be produced piece by piece, or an :class:`Upgrade`, which gets the
raw connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import h11

PIECE = 64 << 10
MAX_BODY = 3 << 20
IDLE_SECONDS = 75.0
HEADER_SECONDS = 10.0


class Request(NamedTuple):
    """One request. ``headers`` have lower-case names; ``certificate`` is what TLS verified of the
    client, in the form of :meth:`ssl.SSLSocket.getpeercert`, or None.
    """

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    certificate: Mapping[str, Any] | None

    def option(self, name: str) -> str:
        """The last value of a query parameter, "" where there is none."""
        return self.query.get(name, [""])[-1]

    def flag(self, name: str) -> bool:
        """Whether a query parameter says yes, as Go's ParseBool reads it."""
        return self.option(name) in ("1", "t", "T", "true", "TRUE", "True")


class Response(NamedTuple):
    """An ordinary answer. ``pieces`` is a body of unknown length, sent as it comes."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    pieces: AsyncIterator[bytes] | None = None


class Upgrade(NamedTuple):
    """The connection changes its protocol: ``headers`` complete the 101 answer, then ``run`` has
    the streams, with what the client has already sent of the new protocol.
    """

    headers: list[tuple[str, str]]
    run: Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]


Handler = Callable[[Request], Awaitable[Response | Upgrade]]


async def serve_connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler
) -> None:
    """Answers the requests of one connection until it ends."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=PIECE)
    certificate = writer.get_extra_info("peercert") or None
    try:
        while await _serve_request(connection, reader, writer, handler, certificate):
            connection.start_next_cycle()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        pass  # the client has gone
    except h11.RemoteProtocolError as error:
        await _refuse(connection, writer, error)
    finally:
        writer.close()


async def _serve_request(
    connection: h11.Connection,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    handler: Handler,
    certificate: Mapping[str, Any] | None,
) -> bool:
    """Serves one request; False when the connection ends after it."""
    async with asyncio.timeout(IDLE_SECONDS):
        head = await _next_event(connection, reader)
    if not isinstance(head, h11.Request):
        return False
    request = await _request(connection, reader, head, certificate)
    answer = await handler(request)
    if isinstance(answer, Upgrade):
        response = h11.InformationalResponse(status_code=101, headers=answer.headers)
        writer.write(connection.send(response) or b"")
        await writer.drain()
        await answer.run(reader, writer, bytes(connection.trailing_data[0]))
        return False
    await _send(connection, writer, answer, bodyless=request.method == "HEAD")
    return connection.our_state is h11.DONE and connection.their_state is h11.DONE


async def _next_event(connection: h11.Connection, reader: asyncio.StreamReader) -> Any:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(PIECE))
    return event


async def _request(
    connection: h11.Connection,
    reader: asyncio.StreamReader,
    head: h11.Request,
    certificate: Mapping[str, Any] | None,
) -> Request:
    """The whole request; its body is small, since nothing is uploaded to a kubelet."""
    body = b""
    while True:
        async with asyncio.timeout(HEADER_SECONDS):
            event = await _next_event(connection, reader)
        if not isinstance(event, h11.Data):
            break
        body += bytes(event.data)
        if len(body) > MAX_BODY:
            raise h11.RemoteProtocolError("the body is too large", error_status_hint=413)
    url = urlsplit(head.target.decode("latin-1"))
    headers: dict[str, str] = {}
    for name, value in head.headers:  # a header given several times is a list (RFC 9110, 5.2)
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    query = parse_qs(url.query, keep_blank_values=True)
    method = head.method.decode("latin-1")
    return Request(method, unquote(url.path), query, headers, body, certificate)


async def _send(
    connection: h11.Connection, writer: asyncio.StreamWriter, answer: Response, *, bodyless: bool
) -> None:
    headers = [("Content-Type", answer.content_type)]
    if answer.pieces is None:
        headers.append(("Content-Length", str(len(answer.body))))
    else:
        headers.append(("Transfer-Encoding", "chunked"))
    writer.write(connection.send(h11.Response(status_code=answer.status, headers=headers)) or b"")
    if not bodyless:
        if answer.body:
            writer.write(connection.send(h11.Data(data=answer.body)) or b"")
        if answer.pieces is not None:
            async for piece in answer.pieces:
                writer.write(connection.send(h11.Data(data=piece)) or b"")
                await writer.drain()
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    await writer.drain()


async def _refuse(
    connection: h11.Connection, writer: asyncio.StreamWriter, error: h11.RemoteProtocolError
) -> None:
    if connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
        return
    status = error.error_status_hint
    try:
        await _send(connection, writer, Response(status, f"{error}\n".encode()), bodyless=False)
    except (OSError, h11.LocalProtocolError):
        return
