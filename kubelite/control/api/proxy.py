"""``/proxy``: HTTP to a pod, a service or a kubelet, through the API server."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kubelite.control.api.answer import Answer, Stream
from kubelite.control.api.documents import load
from kubelite.control.api.kubelet import Place, place_of
from kubelite.control.api.status import bad_request, not_found, unavailable
from kubelite.control.api.streams import CONNECT_SECONDS, PIECE

if TYPE_CHECKING:
    from aiohttp import web

    from kubelite.control.api.context import Context
    from kubelite.control.api.request import Request

_HOP = ("connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host", "content-length")
_SECRET = ("authorization", "cookie")


async def proxy(context: Context, request: Request) -> Answer | Stream:
    """Passes a request on. Raises StatusError."""
    scheme, name, port = split_name(request.name)
    place, secure = await _FINDERS[request.resource.plural](context, request, name, port)
    if request.resource.plural != "nodes":
        _check_address(place)
    use_tls = secure or scheme == "https"
    path = "/" + quote(request.rest, safe="/:@!$&'()*+,;=~-._")
    url = f"{'https' if use_tls else 'http'}://{_host(place)}{path}"
    body = await request.read_body()
    tls = context.kubelets.tls if secure else False
    return Stream(lambda connection: _pass_on(connection, request, url, body, tls))


def _check_address(place: Place) -> None:
    """A pod may not lead the server to itself or its neighbours. Raises StatusError 400."""
    try:
        address = ipaddress.ip_address(place.host)
    except ValueError as error:
        raise bad_request(f"address not allowed: {place.host!r} is not an IP address") from error
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        raise bad_request("address not allowed")


def split_name(name: str) -> tuple[str, str, str]:
    """``https:web:8080`` is the scheme, name and port that a proxied name may carry."""
    parts = name.split(":")
    if len(parts) == 1:
        return "", name, ""
    if len(parts) == 2:
        return "", parts[0], parts[1]
    if len(parts) == 3 and parts[0] in ("http", "https", ""):
        return parts[0], parts[1], parts[2]
    raise bad_request(f"invalid proxy name {name!r}")


def _host(place: Place) -> str:
    return f"[{place.host}]:{place.port}" if ":" in place.host else f"{place.host}:{place.port}"


async def _node(context: Context, request: Request, name: str, port: str) -> tuple[Place, bool]:
    place = await place_of(context, name)
    return (place._replace(port=_number(port)), False) if port else (place, True)


async def _pod(context: Context, request: Request, name: str, port: str) -> tuple[Place, bool]:
    entry = await context.store.get("pods", request.namespace, name)
    if entry is None:
        raise not_found(request.resource, name)
    pod = load(entry)
    address = pod.get("status", {}).get("podIP")
    if not address:
        raise bad_request(f"address not allowed: pod {name} has no address yet")
    ports = [each for container in pod["spec"]["containers"] for each in container.get("ports") or ()]
    number = _number(port) if port else next((int(each["containerPort"]) for each in ports), 80)
    return Place(str(address), number), False


async def _service(context: Context, request: Request, name: str, port: str) -> tuple[Place, bool]:
    """One of the ready endpoints of a service."""
    entry = await context.store.get("services/specs", request.namespace, name)
    if entry is None:
        raise not_found(request.resource, name)
    wanted = _service_port(load(entry), port)
    for each in (await context.store.page("endpointslices", request.namespace)).entries:
        piece = load(each)
        if (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name") != name:
            continue
        numbers = [int(item["port"]) for item in piece.get("ports") or () if item.get("name", "") == wanted]
        for endpoint in piece.get("endpoints") or ():
            if numbers and (endpoint.get("conditions") or {}).get("ready", True):
                return Place(str(endpoint["addresses"][0]), numbers[0]), False
    raise unavailable(f'no endpoints available for service "{name}"')


def _service_port(service: dict[str, Any], port: str) -> str:
    """The name of the port that is meant, by name or number; the only one when nothing is said."""
    for each in service.get("spec", {}).get("ports") or ():
        if port in ("", each.get("name", ""), str(each["port"])):
            return str(each.get("name", ""))
    raise unavailable(f'no service port "{port}" found for service "{service["metadata"]["name"]}"')


_FINDERS = {"nodes": _node, "pods": _pod, "services": _service}


def _number(port: str) -> int:
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise bad_request(f"invalid port {port!r}")
    return int(port)


async def _pass_on(connection: web.Request, request: Request, url: str, body: bytes, tls: Any) -> web.StreamResponse:
    import aiohttp
    from aiohttp import web

    headers = {name: value for name, value in request.headers.items() if name.lower() not in (*_HOP, *_SECRET)}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    query = connection.raw_path.partition("?")[2]
    target = f"{url}?{query}" if query else url
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
            session.request(request.method, target, headers=headers, data=body or None, ssl=tls, allow_redirects=False) as got,
        ):
            response = web.StreamResponse(status=got.status)
            for name, value in got.headers.items():
                if name.lower() not in _HOP:
                    response.headers.add(name, value)
            await response.prepare(connection)
            async for piece in got.content.iter_chunked(PIECE):
                await response.write(piece)
            await response.write_eof()
            return response
    except aiohttp.ClientError as error:
        return web.Response(text=f"error trying to reach {url}: {error}", status=502)
