"""Requests of the page, carried to the API server with the credentials of whoever started this."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from kubelite.client.errors import BadKubeconfig
from kubelite.client.http import CONNECT_SECONDS, HttpTransport
from kubelite.client.transport import Call
from kubelite.control.api.server.server import read_body
from kubelite.control.api.wire import paths
from kubelite.control.api.wire.status import (
    StatusError,
    bad_request,
    forbidden,
    no_such_path,
    unavailable,
)
from kubelite.lib.http_relay import carry_answer, carry_messages, offered_protocols
from kubelite.ui.headers import DATA, data_type

ROOTS = ("api", "apis", "version", "openapi", "healthz", "livez", "readyz")
"""First segments of the paths that lead to the API server."""
_FIGURES = ("", "nodes", "stats/summary")
"""What may be asked of a kubelet through the proxy: what the node and its pods use."""
_SENT = ("Accept", "Content-Type", "User-Agent")
_RETURNED = ("Retry-After", "Warning")
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)


class Forwarder:
    """Carries requests over ``transport``. Cookies, credentials and impersonation that a browser
    might send stay here; of the answers, their cookies.
    """

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport

    async def carry(self, request: web.BaseRequest) -> web.StreamResponse:
        """The API server's answer to a request. Raises StatusError."""
        path, _, query = request.raw_path.partition("?")
        check_path(path)
        headers = {name: request.headers[name] for name in _SENT if name in request.headers}
        try:
            if is_upgrade(request.headers):
                return await self._carry_websocket(request, Call("GET", path, query))
            # Between two processes of one machine packing costs more than it saves.
            headers["Accept-Encoding"] = "identity"
            body = await read_body(request)
            call = Call(request.method, path, query, headers, body)
            async with self._transport.request(call, _TIMEOUT) as answer:
                return await carry_answer(request, answer, _answered(answer.headers))
        except aiohttp.WSServerHandshakeError as error:
            raise _handshake_refused(error) from error
        except (aiohttp.ClientError, TimeoutError, OSError, BadKubeconfig) as error:
            raise unavailable(f"the API server cannot be reached: {error}") from error

    async def _carry_websocket(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        # A bearer token can hide among the protocols: only what names one of the API's is sent.
        protocols = [
            name for name in offered_protocols(request.headers) if name.endswith(".k8s.io")
        ]
        async with self._transport.websocket(call, protocols) as backend:
            return await carry_messages(request, backend, DATA)


def is_upgrade(headers: Mapping[str, str]) -> bool:
    """Whether a request asks for another protocol."""
    return "Upgrade" in headers or "upgrade" in headers.get("Connection", "").lower()


def check_path(path: str) -> None:
    """Refuses paths that lead elsewhere than to the API. What a pod or a node answers through the
    API server's proxy could be a page with scripts, which would then be of our origin. Raises
    StatusError.
    """
    if path.removeprefix("/").partition("/")[0] not in ROOTS:
        raise no_such_path()
    if "//" in path or "%2f" in path.lower() or paths.split(path) is None:
        raise bad_request("the path of the request can be taken for another one")
    target = paths.parse(path)
    if target is not None and target.sub == "proxy" and _served(target) != _FIGURES:
        raise forbidden(None, "", "the page may not open what pods and nodes serve")


def _served(target: paths.Target) -> tuple[str, str, str]:
    return target.group, target.plural, target.rest


def _answered(headers: Mapping[str, str]) -> CIMultiDict[str]:
    kept = CIMultiDict((name, text) for name, text in headers.items() if name in _RETURNED)
    kept.update(DATA)
    kept["Content-Type"] = data_type(headers.get("Content-Type", ""))
    return kept


def _handshake_refused(error: aiohttp.WSServerHandshakeError) -> StatusError:
    """The code counts: a browser shows no more of it to the page."""
    if error.status == 403:
        return forbidden(None, "", "the API server does not allow this")
    return StatusError(error.status, "", f"the API server refuses the WebSocket: {error.message}")
