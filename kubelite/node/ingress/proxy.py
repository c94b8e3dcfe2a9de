"""Carries HTTP requests and WebSockets to their backends, without keeping any of them whole."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable, Sequence
from typing import NamedTuple

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from kubelite.lib.http_relay import (
    carry_answer,
    carry_messages,
    climbs,
    end_to_end,
    offered_protocols,
)

CONNECT_SECONDS, CONNECT_TRIES = 2.0, 3
_WEBSOCKET_HEADERS = tuple(
    f"Sec-WebSocket-{word}" for word in ("Key", "Version", "Extensions", "Protocol", "Accept")
)
_ADDED_BY_CLIENT = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Target(NamedTuple):
    """Where a request can be carried."""

    address: str
    port: int


Find = Callable[[str, str], Sequence[Target] | None]
"""Host and path of a request to its targets, any of which will do; None where no rule matches."""


class IngressProxy:
    """Listens for HTTP, and for HTTPS with ``context``."""

    def __init__(self, find: Find, context: ssl.SSLContext) -> None:
        self._find = find
        self._context = context
        self._runner: web.ServerRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self, address: str, port: int, tls_port: int) -> tuple[int, int]:
        """Returns the ports it listens on. Raises OSError where one is taken; then none is."""
        self._session = aiohttp.ClientSession(
            # A new connection for each request: a pod that ends closes those that it has.
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            skip_auto_headers=_ADDED_BY_CLIENT,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None))
        try:
            await self._runner.setup()
            await web.TCPSite(self._runner, address, port).start()
            await web.TCPSite(self._runner, address, tls_port, ssl_context=self._context).start()
        except OSError:
            await self.close()
            raise
        http, https = (endpoint[1] for endpoint in self._runner.addresses)
        return http, https

    async def close(self) -> None:
        """Ends listening and what is carried."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()
        self._runner = self._session = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if climbs(request.raw_path.partition("?")[0]):
            return web.Response(status=400, text="the path climbs out of itself\n")
        targets = self._find(URL(f"http://{request.host}").host or "", path)
        if targets is None:
            return web.Response(status=404, text="no Ingress has a rule for this\n")
        try:
            return await self._carry_to_one(request, targets)
        except TimeoutError:
            return web.Response(status=504, text="no pod of the Service answers\n")
        except aiohttp.ClientError as error:
            return web.Response(status=502, text=f"the pod's answer is cut off: {error}\n")

    async def _carry_to_one(
        self, request: web.BaseRequest, targets: Sequence[Target]
    ) -> web.StreamResponse:
        """To any of the targets; where one takes no connection, nothing was sent, to another."""
        is_websocket = request.headers.get("Upgrade", "").lower() == "websocket"
        carry = self._carry_websocket if is_websocket else self._carry
        late = False
        for target in random.sample(targets, min(len(targets), CONNECT_TRIES)):
            url = URL(f"http://{target.address}:{target.port}{request.raw_path}", encoded=True)
            try:
                return await carry(request, url)
            except aiohttp.ConnectionTimeoutError:
                late = True
            except aiohttp.ClientConnectorError:
                pass
        if late:
            raise TimeoutError
        return web.Response(status=503, text="no pod of the Service is ready\n")

    async def _carry(self, request: web.BaseRequest, url: URL) -> web.StreamResponse:
        assert self._session is not None
        body = request.content if request.can_read_body else None
        async with self._session.request(
            request.method, url, headers=_forwarded(request), data=body, allow_redirects=False
        ) as answer:
            return await carry_answer(request, answer, end_to_end(answer.headers))

    async def _carry_websocket(self, request: web.BaseRequest, url: URL) -> web.StreamResponse:
        assert self._session is not None
        headers = _forwarded(request)
        for name in _WEBSOCKET_HEADERS:
            headers.popall(name, None)
        async with self._session.ws_connect(
            url,
            headers=headers,
            protocols=offered_protocols(request.headers),
            autoping=False,
            autoclose=False,
            max_msg_size=0,
        ) as backend:
            return await carry_messages(request, backend)


def _forwarded(request: web.BaseRequest) -> CIMultiDict[str]:
    """The request's headers for the backend, with who has asked for what."""
    headers = end_to_end(request.headers)
    before = headers.get("X-Forwarded-For")
    caller = request.remote or ""
    headers["X-Forwarded-For"] = f"{before}, {caller}" if before else caller
    headers["X-Real-IP"] = caller
    headers["X-Forwarded-Proto"] = "https" if request.secure else "http"
    headers["X-Forwarded-Host"] = request.host
    return headers
