"""Requests for a group and version of an extension server: passed on as they came, with who asks
(kube-aggregator, ``handler_proxy.go``).
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from kubelite.control.api.admission.dynamic.service_endpoint import NoEndpoint
from kubelite.control.api.aggregation.identity import headers_of
from kubelite.control.api.verbs.kubelet_client import Place
from kubelite.control.api.verbs.proxy import AUTOMATIC, HOP, UNREACHABLE, forwarded, tunnel
from kubelite.control.api.verbs.streams import wants_upgrade
from kubelite.control.api.wire.answer import Answer, Stream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from aiohttp import web

    from kubelite.control.api.aggregation.connection import Connections
    from kubelite.control.api.aggregation.services import ApiService, Backend
    from kubelite.control.api.wire.request import User

_TEXT = "text/plain; charset=utf-8"
_PLAIN = (("X-Content-Type-Options", "nosniff"),)
UNAVAILABLE = Answer(b"service unavailable\n", 503, _TEXT, _PLAIN)
_REDIRECTED = "the backend attempted to redirect this request, which is not permitted"


async def pass_on(
    connections: Connections,
    service: ApiService,
    user: User,
    headers: Mapping[str, str],
    read_body: Callable[[], Awaitable[bytes]],
    seconds: float | None,
) -> Answer | Stream:
    """The answer of an extension server, which ends after some seconds unless it upgrades. Raises
    StatusError, StoreError.
    """
    backend = service.backend
    if not service.available:
        return UNAVAILABLE
    if wants_upgrade(headers):
        return await _tunnelled(connections, backend, user)
    body = await read_body()
    return Stream(lambda connection: _relay(connection, connections, backend, user, body, seconds))


async def _tunnelled(connections: Connections, backend: Backend, user: User) -> Answer | Stream:
    try:
        place, tls = Place(*await connections.address(backend)), connections.tls(backend)
    except NoEndpoint:
        return UNAVAILABLE
    except (ValueError, ssl.SSLError) as error:
        return Answer(f"{error}\n".encode(), 500, _TEXT, _PLAIN)
    return Stream(lambda connection: _tunnel(connection, backend, place, tls, user))


def _headers(
    connection: web.Request, user: User, dropped: tuple[str, ...]
) -> Iterable[tuple[str, str]]:
    """Who asks is told anew; the token or certificate by which it is known goes no further."""
    yield from forwarded(connection, (*dropped, "authorization")).items()
    yield from headers_of(user)


async def _relay(
    connection: web.Request,
    connections: Connections,
    backend: Backend,
    user: User,
    body: bytes,
    seconds: float | None,
) -> web.StreamResponse:
    import aiohttp
    from aiohttp import web
    from multidict import CIMultiDict
    from yarl import URL

    url = URL(backend.url(connection.raw_path), encoded=True)
    response = web.StreamResponse()
    try:
        async with (
            asyncio.timeout(seconds),
            connections.session(backend).request(
                connection.method,
                url,
                headers=CIMultiDict(_headers(connection, user, HOP)),
                data=body or None,
                allow_redirects=False,
                skip_auto_headers=AUTOMATIC,
            ) as got,
        ):
            if 300 <= got.status < 400 and "Location" in got.headers:
                return web.Response(text=_REDIRECTED, status=502)
            response.set_status(got.status, got.reason)
            for name, value in got.headers.items():
                if name.lower() not in HOP:
                    response.headers.add(name, value)
            response.content_length = got.content_length
            await response.prepare(connection)
            async for piece in got.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response
    except NoEndpoint:
        return web.Response(body=UNAVAILABLE.body, status=503, headers=dict(_PLAIN))
    except (aiohttp.ClientError, OSError, ValueError) as error:
        if response.prepared:  # half an answer must not look like a whole one
            connection.protocol.force_close()
            return response
        return _unreachable(backend, error)


async def _tunnel(
    connection: web.Request, backend: Backend, place: Place, tls: ssl.SSLContext, user: User
) -> web.StreamResponse:
    headers = [("Host", f"{backend.host}:{backend.port}"), *_headers(connection, user, ("host",))]
    try:
        return await tunnel(connection, place, connection.raw_path, headers, tls, backend.host)
    except UNREACHABLE as error:
        return _unreachable(backend, error)


def _unreachable(backend: Backend, error: Exception) -> web.Response:
    from aiohttp import web

    why = str(error) or type(error).__name__
    text = f"error trying to reach service: {backend.host}:{backend.port}: {why}\n"
    return web.Response(text=text, status=503)
