"""``/proxy``: HTTP to a pod, a service or a kubelet, through the API server; WebSocket and other
upgrades too.

What follows ``/proxy`` is passed on as it was written. A redirection to a path of the same place
leads back through the proxy, and so do the links of a page (apimachinery, ``util/proxy``).
"""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.admission.dynamic.connecting import admit
from kubelite.control.api.admission.dynamic.service_endpoint import (
    SERVICES,
    NoEndpoint,
    endpoint_behind,
)
from kubelite.control.api.auth.authentication import offered_protocols
from kubelite.control.api.verbs.kubelet_client import Place, place_of
from kubelite.control.api.verbs.streams import (
    CONNECT_SECONDS,
    PIECE,
    head_of,
    join,
    plain_answer,
    wants_upgrade,
)
from kubelite.control.api.wire.allowed_addresses import check_address, resolve
from kubelite.control.api.wire.answer import Answer, Stream
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.status import bad_request, not_found, unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from aiohttp import web

    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.wire.request import Request

HOP = (
    "connection",
    "keep-alive",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "host",
    "content-length",
)
AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""What the HTTP client would add to a request that does not have it."""
UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncio.IncompleteReadError,
    asyncio.LimitOverrunError,
)
"""Why no answer comes of a connection."""
_SECRET = ("authorization", "cookie")
_TAG = re.compile(rb"<[a-z][^<>]*>", re.IGNORECASE)
_LINK = re.compile(
    rb"""(\s(?:action|background|cite|classid|codebase|data|formaction|href|icon|longdesc|manifest
    |poster|profile|src|usemap)\s*=\s*["']?)(/(?!/)[^\s"'>]*)""",
    re.IGNORECASE | re.VERBOSE,
)
"""An attribute of HTML that holds a link, up to its value, and the value where it is a path."""
_MAX_TAG = 64 << 10
_PROTOCOLS = "Sec-WebSocket-Protocol"
_IDENTITY = ("impersonate-", "x-remote-")  # what a backend may believe of the server only


class Target(NamedTuple):
    """Where a request goes. ``tls`` None is plain HTTP; ``depth`` segments of the path lead to the
    place itself.
    """

    place: Place
    tls: ssl.SSLContext | None
    depth: int

    def path(self, raw_path: str) -> str:
        """What of a request's path and query is passed on."""
        path, mark, query = raw_path.lstrip("/").partition("?")
        return "/" + "/".join(path.split("/")[self.depth :]) + mark + query

    def own(self, raw_path: str) -> str:
        """The path that leads to the place."""
        return "/" + "/".join(raw_path.lstrip("/").partition("?")[0].split("/")[: self.depth])


async def proxy(context: Context, request: Request) -> Answer | Stream:
    """Passes a request on. Raises StatusError."""
    scheme, name, port = split_name(request.name)
    res = request.resource
    await admit(context, request)
    place, secure = await _FINDERS[res.plural](context, request, name, port)
    if not secure and res.plural == "nodes":
        place = place._replace(host=await resolve(place.host, loopback=False))
    elif not secure:
        check_address(place.host)
    tls = context.kubelets.tls if secure else _unchecked() if scheme == "https" else None
    # api, v1, (namespaces, NAMESPACE,) RESOURCE, NAME, proxy
    target = Target(place, tls, 7 if res.namespaced else 5)
    if wants_upgrade(request.headers):
        return Stream(lambda connection: _tunnel(connection, target))
    body = await request.read_body()
    return Stream(lambda connection: _pass_on(connection, target, body))


def _unchecked() -> ssl.SSLContext:
    """For pods and services, whose certificates nobody knows."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


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
    ports = [
        declared
        for container in pod["spec"]["containers"]
        for declared in container.get("ports") or ()
    ]
    number = (
        _number(port) if port else next((int(declared["containerPort"]) for declared in ports), 80)
    )
    return Place(str(address), number), False


async def _service(context: Context, request: Request, name: str, port: str) -> tuple[Place, bool]:
    """One of the ready endpoints of a service."""
    entry = await context.store.get(SERVICES, request.namespace, name)
    if entry is None:
        raise not_found(request.resource, name)
    wanted = _service_port(load(entry), port)
    try:
        address = await endpoint_behind(context.store, request.namespace, name, (wanted,))
    except NoEndpoint as error:
        raise unavailable(str(error)) from error
    return Place(*address), False


def _service_port(service: dict[str, Any], port: str) -> str:
    """The name of the port that is meant, by name or number; the only one when nothing is said."""
    for service_port in service.get("spec", {}).get("ports") or ():
        if port in ("", service_port.get("name", ""), str(service_port["port"])):
            return str(service_port.get("name", ""))
    raise unavailable(f'no service port "{port}" found for service "{service["metadata"]["name"]}"')


_FINDERS = {"nodes": _node, "pods": _pod, "services": _service}


def _number(port: str) -> int:
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise bad_request(f"invalid port {port!r}")
    return int(port)


def forwarded(connection: web.Request, dropped: tuple[str, ...]) -> dict[str, str]:
    """The headers of a request that go on, and who it was meant for. A token among the WebSocket
    protocols stays here.
    """
    left = (*dropped, _PROTOCOLS.lower())
    kept = {
        name: value
        for name, value in connection.headers.items()
        if name.lower() not in left and not name.lower().startswith(_IDENTITY)
    }
    protocols = offered_protocols(",".join(connection.headers.getall(_PROTOCOLS, ())))
    if protocols:
        kept[_PROTOCOLS] = ", ".join(protocols)
    given = {
        "X-Forwarded-Uri": connection.raw_path,
        "X-Forwarded-Host": connection.host,
        "X-Forwarded-Proto": connection.scheme,
    }
    return {**kept, **given}


async def _pass_on(connection: web.Request, target: Target, body: bytes) -> web.StreamResponse:
    import aiohttp
    from aiohttp import web
    from yarl import URL

    own, (path, mark, query) = target.own(connection.raw_path), connection.raw_path.partition("?")
    if path.lstrip("/") == own.lstrip("/"):  # relative links of a page need the slash
        return web.Response(status=301, headers={"Location": f"{own}/{mark}{query}"})
    scheme, url_path = "https" if target.tls else "http", target.path(connection.raw_path)
    url = f"{scheme}://{target.place.authority}{url_path}"
    headers, tls = forwarded(connection, (*HOP, *_SECRET)), target.tls or False
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
            session.request(
                connection.method,
                URL(url, encoded=True),
                headers=headers,
                data=body or None,
                ssl=tls,
                allow_redirects=False,
                skip_auto_headers=AUTOMATIC,
            ) as got,
        ):
            response = web.StreamResponse(status=got.status)
            for name, value in got.headers.items():
                if (
                    name.lower() == "location"
                    and value.startswith("/")
                    and not value.startswith("//")
                ):
                    response.headers.add(name, own + value)
                elif name.lower() not in HOP:
                    response.headers.add(name, value)
            await response.prepare(connection)
            pieces: AsyncIterator[bytes] = got.content.iter_chunked(PIECE)
            if got.content_type == "text/html" and "Content-Encoding" not in got.headers:
                pieces = _relinked(pieces, own)
            async for piece in pieces:
                await response.write(piece)
            await response.write_eof()
            return response
    except aiohttp.ClientError as error:
        return _unreachable(target, error)


async def _relinked(pieces: AsyncIterator[bytes], own: str) -> AsyncIterator[bytes]:
    """A page whose links to paths lead to ``own`` and then there; those that do already stay."""
    rest, prefix = b"", own.encode()
    async for piece in pieces:
        rest += piece
        begun = rest.rfind(b"<")
        complete = len(rest) if begun <= rest.rfind(b">") or len(rest) > _MAX_TAG else begun
        yield _relink(rest[:complete], prefix)
        rest = rest[complete:]
    yield _relink(rest, prefix)


def _relink(html: bytes, own: bytes) -> bytes:
    def led(link: re.Match[bytes]) -> bytes:
        return link[0] if link[2].startswith(own) else link[1] + own + link[2]

    return _TAG.sub(lambda tag: _LINK.sub(led, tag[0]), html)


def _unreachable(target: Target, error: Exception) -> web.Response:
    from aiohttp import web

    return web.Response(
        text=f"error trying to reach {target.place.authority}: {error or type(error).__name__}",
        status=502,
    )


async def _tunnel(connection: web.Request, target: Target) -> web.StreamResponse:
    """A request that wants another protocol."""
    place, path = target.place, target.path(connection.raw_path)
    headers = {"Host": place.authority, **forwarded(connection, ("host", *_SECRET))}
    name = place.host if target.tls else None
    try:
        return await tunnel(connection, place, path, headers.items(), target.tls, name)
    except UNREACHABLE as error:
        return _unreachable(target, error)


async def tunnel(
    connection: web.Request,
    place: Place,
    path: str,
    headers: Iterable[tuple[str, str]],
    tls: ssl.SSLContext | None,
    name: str | None,
) -> web.StreamResponse:
    """Asks for another protocol; once that is granted, bytes go both ways, unread. ``name`` is
    what the certificate is for. Raises what is in :data:`UNREACHABLE`.
    """
    from aiohttp import web

    lines = [f"{connection.method} {path} HTTP/1.1", *(f"{key}: {value}" for key, value in headers)]
    async with asyncio.timeout(CONNECT_SECONDS):
        reader, writer = await asyncio.open_connection(
            place.host, place.port, ssl=tls, server_hostname=name, limit=PIECE
        )
        try:
            writer.write(head_of(lines))
            head = await reader.readuntil(b"\r\n\r\n")
        except BaseException:
            writer.close()
            raise
    if head.split(b" ", 2)[1:2] == [b"101"]:
        return await join(connection, head, reader, writer)
    try:
        answer = await plain_answer(head, reader)
        return web.Response(
            body=answer.body, status=answer.code, headers={"Content-Type": answer.content_type}
        )
    finally:
        writer.close()
