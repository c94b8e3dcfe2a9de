"""Carries answers and WebSocket messages from one HTTP connection to another, as they come."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from kubelite.lib.directions import until_one_ends
from kubelite.lib.http_body import pieces

_HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    "transfer-encoding upgrade".split()
)
"""Headers that are about one connection (RFC 9110, section 7.6.1)."""


def end_to_end(headers: CIMultiDictProxy[str] | Mapping[str, str]) -> CIMultiDict[str]:
    """Headers that are about more than one connection."""
    named = {word.strip().lower() for word in headers.get("Connection", "").split(",")}
    left_out = _HOP_BY_HOP | named
    return CIMultiDict((k, v) for k, v in headers.items() if k.lower() not in left_out)


def climbs(path: str) -> bool:
    """Whether a path has segments that a backend may take for another place than was checked."""
    decoded = unquote(path).replace("\\", "/")
    return any(segment in (".", "..") for segment in decoded.split("/"))


def offered_protocols(headers: Mapping[str, str]) -> list[str]:
    """The sub-protocols that a client offers for its WebSocket, in its order."""
    words = headers.get("Sec-WebSocket-Protocol", "").split(",")
    return [word.strip() for word in words if word.strip()]


async def carry_answer(
    request: web.BaseRequest, answer: aiohttp.ClientResponse, headers: CIMultiDict[str]
) -> web.StreamResponse:
    """Gives a client the body of a backend's answer, piece by piece, below ``headers``."""
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    await response.prepare(request)
    try:
        async for chunk in pieces(answer):
            await response.write(chunk)
    except aiohttp.ClientError:
        if request.transport is not None:
            request.transport.abort()  # an answer that has begun cannot fail otherwise
        return response
    await response.write_eof()
    return response


async def carry_messages(
    request: web.BaseRequest,
    backend: aiohttp.ClientWebSocketResponse,
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Accepts a client's WebSocket, below ``headers``, and joins it with a backend's until one of
    them closes.
    """
    client = web.WebSocketResponse(
        protocols=(backend.protocol,) if backend.protocol else (),
        autoping=False,
        autoclose=False,
        max_msg_size=0,
        compress=False,
    )
    client.headers.update(headers or {})
    await client.prepare(request)
    await until_one_ends(_relay(client, backend), _relay(backend, client))
    return client


async def _relay(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    sink: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    """Until one side closes, which the other is told."""
    while True:
        message = await source.receive()
        match message.type:
            case aiohttp.WSMsgType.TEXT:
                await sink.send_str(message.data)
            case aiohttp.WSMsgType.BINARY:
                await sink.send_bytes(message.data)
            case aiohttp.WSMsgType.PING:
                await sink.ping(message.data)
            case aiohttp.WSMsgType.PONG:
                await sink.pong(message.data)
            case aiohttp.WSMsgType.CLOSE:
                await sink.close(code=message.data, message=(message.extra or "").encode())
                await source.close(code=message.data)
                return
            case _:
                await sink.close(code=aiohttp.WSCloseCode.GOING_AWAY)
                return
