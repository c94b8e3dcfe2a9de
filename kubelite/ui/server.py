"""The server behind ``kubelite ui``: the page, its session, and the way to the API."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from aiohttp import web
from yarl import URL

import kubelite
from kubelite.client.http import HttpTransport
from kubelite.control.api.server.server import read_body
from kubelite.control.api.wire.documents import encode
from kubelite.control.api.wire.status import StatusError, method_not_allowed
from kubelite.node.runtime.home import Home
from kubelite.ui import headers
from kubelite.ui.assets import Asset, read_assets
from kubelite.ui.documents import read_documents
from kubelite.ui.forward import Forwarder, is_upgrade
from kubelite.ui.gate import PAGE, SESSION, RequestFacts, refusal
from kubelite.ui.placement import Placement
from kubelite.ui.pod_start import PodStart
from kubelite.ui.port_forward import PortForwards
from kubelite.ui.session import Session

GOODBYE_SECONDS = 0.5
DOCUMENTS, FORWARD = f"{PAGE}documents", f"{PAGE}forward"

Query = Mapping[str, str]


class Info(NamedTuple):
    """What the page shows of where it is. ``mode`` is "cluster" or "local"; ``boot`` how many
    milliseconds the cluster's start took, None where that is not known here.
    """

    mode: str
    context: str
    server: str
    namespace: str = "default"
    boot: float | None = None


class UiServer:
    """Serves the page and carries its requests over ``transport``, which it does not close.
    ``home`` is the state root of a node on this machine, where this user may read it.
    """

    def __init__(self, transport: HttpTransport, info: Info, home: Home | None = None) -> None:
        self._info = info
        self._assets = read_assets(PAGE)
        self._public = {"/", "/ui", *self._assets}
        self._session = Session()
        self._forwarder = Forwarder(transport)
        self._forwards = PortForwards(transport)
        start, placement = PodStart(transport, home), Placement(transport)
        self._answers: dict[str, Callable[[Query], Awaitable[Mapping[str, Any]]]] = {
            f"{PAGE}info": self._describe,
            f"{PAGE}timeline": lambda query: start.look_up(*_pod_of(query)),
            f"{PAGE}why": lambda query: placement.explain(*_pod_of(query)),
        }
        self._hosts: tuple[str, ...] = ()
        self._cookie = ""
        self._runner: web.ServerRunner | None = None

    async def start(self, address: str, port: int) -> str:
        """Listens, and returns the address of the page with the one-time token in its fragment,
        which browsers do not send. Raises OSError.
        """
        listener = web.Server(self._handle, access_log=None, handler_cancellation=True)
        self._runner = web.ServerRunner(listener, shutdown_timeout=GOODBYE_SECONDS)
        await self._runner.setup()
        await web.TCPSite(self._runner, address, port).start()
        port = self._runner.addresses[0][1]
        url = URL.build(scheme="http", host=address, port=port, path=PAGE)
        self._hosts = (url.authority, *([f"localhost:{port}"] if is_loopback(address) else []))
        self._cookie = f"kubelite-ui-{port}"  # cookies are shared between the ports of a machine
        return f"{url}#token={self._session.token}"

    async def close(self) -> None:
        """Ends listening and what is carried."""
        self._forwards.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            refused = refusal(self._facts_of(request), self._hosts, self._public)
            if refused is not None:
                raise StatusError(refused.code, refused.reason, refused.message)
            return await self._route(request)
        except StatusError as error:
            return _json(error.status, error.code)

    def _facts_of(self, request: web.BaseRequest) -> RequestFacts:
        given = request.headers
        return RequestFacts(
            request.method,
            request.raw_path.partition("?")[0],
            given.get("Host", ""),
            given.get("Origin", ""),
            given.get("Sec-Fetch-Site", ""),
            is_upgrade(given),
            self._session.knows(request.cookies.get(self._cookie, "")),
        )

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        """Raises StatusError."""
        path = request.raw_path.partition("?")[0]
        if path in ("/", "/ui"):
            return web.Response(status=308, headers={**headers.PAGE, "Location": PAGE})
        if path == SESSION:
            return await self._swap(request)
        if path not in self._assets and not path.startswith(PAGE):
            return await self._forwarder.carry(request)
        if path == DOCUMENTS and request.method == "POST":
            return _json(await asyncio.to_thread(read_documents, await read_body(request)))
        if path == FORWARD and request.method == "POST":
            query = request.rel_url.query
            return _json(await self._forwards.open(*_pod_of(query), query.get("port", "")))
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed()
        if path in self._answers:
            return _json(await self._answers[path](request.rel_url.query))
        asset = self._assets.get(path)
        if asset is None:
            raise StatusError(404, "NotFound", "the page has no such file")
        return _file(request, asset, headers.PAGE if path == PAGE else headers.PART)

    async def _describe(self, query: Query) -> Mapping[str, Any]:
        return {"version": kubelite.__version__, **self._info._asdict()}

    async def _swap(self, request: web.BaseRequest) -> web.Response:
        """Swaps the one-time token, the whole body of the request, for a cookie. Raises
        StatusError.
        """
        if request.method != "POST":
            raise method_not_allowed()
        secret = self._session.swap((await read_body(request)).decode("utf-8", "replace"))
        if secret is None:
            sentence = "the token is wrong or was used before: run `kubelite ui` again"
            raise StatusError(401, "Unauthorized", sentence)
        response = web.Response(status=204, headers=headers.DATA)
        response.set_cookie(self._cookie, secret, path="/", httponly=True, samesite="Strict")
        return response


def _pod_of(query: Query) -> tuple[str, str]:
    return query.get("namespace", ""), query.get("pod", "")


def _file(request: web.BaseRequest, asset: Asset, safety: Mapping[str, str]) -> web.Response:
    own = {**safety, "ETag": asset.etag, "Vary": "Accept-Encoding"}
    if request.headers.get("If-None-Match") == asset.etag:
        return web.Response(status=304, headers=own)
    content = asset.content
    if asset.packed and "gzip" in request.headers.get("Accept-Encoding", ""):
        content, own["Content-Encoding"] = asset.packed, "gzip"
    return web.Response(body=content, headers={**own, "Content-Type": asset.content_type})


def _json(document: Mapping[str, Any], code: int = 200) -> web.Response:
    return web.Response(
        body=encode(document) + b"\n",
        status=code,
        headers={**headers.DATA, "Content-Type": "application/json"},
    )


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an IP address."""
    return ipaddress.ip_address(address).is_loopback
