"""Requests through the proxy to backends, over real connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp
import pytest
from aiohttp import web

from kubelite.lib.http_relay import climbs
from kubelite.node.ingress.certificates import Certificates, Pair
from kubelite.node.ingress.proxy import IngressProxy, Target
from tests.node.ingress.keys import pair_for

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Place(NamedTuple):
    """A running proxy before one backend."""

    session: aiohttp.ClientSession
    url: str
    tls_port: int
    certificates: Certificates


@asynccontextmanager
async def proxied(handler: Handler, path: str = "/") -> AsyncIterator[Place]:
    """``handler`` answers below ``path`` of any host; /gone has a target where nobody listens,
    /partly others as well, /missing none.
    """
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    target = Target(*runner.addresses[0][:2])

    def find(host: str, asked: str) -> Sequence[Target] | None:
        if asked.startswith("/gone"):
            return [Target("127.0.0.1", 1)]
        if asked.startswith("/partly"):
            return [Target("127.0.0.1", 1), Target("127.0.0.1", 2), target]
        if asked.startswith("/missing"):
            return ()
        return [target] if host != "unknown.example" and asked.startswith(path) else None

    certificates = Certificates()
    proxy = IngressProxy(find, certificates.context)
    port, tls_port = await proxy.start("127.0.0.1", 0, 0)
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield Place(session, f"http://127.0.0.1:{port}", tls_port, certificates)
    await proxy.close()
    await runner.cleanup()


async def test_a_request_arrives_as_it_was_sent_and_tells_who_asked() -> None:
    async def echo(request: web.BaseRequest) -> web.Response:
        body = await request.read()
        lines = [request.method, request.raw_path, body.decode()]
        lines += sorted(f"{name.lower()}: {value}" for name, value in request.headers.items())
        return web.Response(text="\n".join(lines), headers={"X-Own": "1", "Set-Cookie": "a=b"})

    async with proxied(echo) as place:
        headers = {"Host": "shop.example", "X-Forwarded-For": "192.0.2.5", "Connection": "x-hop"}
        headers |= {"X-Hop": "1", "Content-Type": "text/odd", "User-Agent": "me"}
        answer = await place.session.put(
            f"{place.url}/a%2Fb/c?q=%20x", data=b"body", headers=headers
        )
        method, path, body, *seen = (await answer.text()).splitlines()
    assert (method, path, body) == ("PUT", "/a%2Fb/c?q=%20x", "body")
    assert (answer.headers["X-Own"], answer.headers["Set-Cookie"]) == ("1", "a=b")
    for line in (
        "host: shop.example",
        "x-forwarded-for: 192.0.2.5, 127.0.0.1",
        "x-real-ip: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: shop.example",
        "content-type: text/odd",
        "content-length: 4",
        "user-agent: me",
    ):
        assert line in seen
    assert not [line for line in seen if line.startswith("x-hop")]


async def test_nothing_is_kept_whole_on_its_way() -> None:
    """The backend answers to what has come while more is still to come."""
    first_seen = asyncio.Event()

    async def answer_by_parts(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for part in request.content.iter_any():
            first_seen.set()
            await response.write(part)
        await response.write_eof()
        return response

    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await first_seen.wait()
        yield b"second"

    async with proxied(answer_by_parts) as place:
        answer = await place.session.post(place.url, data=parts())
        assert await answer.read() == b"firstsecond"


async def test_redirects_and_compressed_bodies_are_the_clients_business() -> None:
    async def redirect(request: web.BaseRequest) -> web.Response:
        headers = {"Location": "/elsewhere", "Content-Encoding": "gzip"}
        return web.Response(status=302, body=b"\x1f\x8bnot really", headers=headers)

    async with proxied(redirect) as place:
        answer = await place.session.get(place.url, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (302, "/elsewhere")
        assert await answer.read() == b"\x1f\x8bnot really"


async def test_of_several_targets_one_that_listens_gets_the_request() -> None:
    async def echo(request: web.BaseRequest) -> web.Response:
        return web.Response(body=await request.read())

    async with proxied(echo) as place:
        for number in range(6):
            answer = await place.session.post(f"{place.url}/partly", data=b"%d" % number)
            assert (answer.status, await answer.read()) == (200, b"%d" % number)


async def test_what_cannot_be_carried_is_said() -> None:
    async def cut_off(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/cut":
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b"begun")
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with proxied(cut_off) as place:
        for path, status in (("/missing", 503), ("/gone", 503), ("/dead", 502)):
            assert (await place.session.get(place.url + path)).status == status
        unknown = {"Host": "unknown.example"}
        assert (await place.session.get(place.url, headers=unknown)).status == 404
        with pytest.raises(aiohttp.ClientPayloadError):
            await (await place.session.get(f"{place.url}/cut")).read()


async def test_a_path_that_climbs_is_refused() -> None:
    async def fine(request: web.BaseRequest) -> web.Response:
        return web.Response(text=request.raw_path)

    async with proxied(fine, "/open/") as place:
        host, port = place.url.removeprefix("http://").split(":")
        for path, status in (
            ("/open/../secret", 400),
            ("/open/%2e%2e/secret", 400),
            ("/open/x", 200),
        ):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            assert int((await reader.readline()).split()[1]) == status
            writer.close()


async def test_websockets_are_carried_with_protocol_pings_and_closing() -> None:
    async def talk(request: web.BaseRequest) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("chat", "other"))
        await socket.prepare(request)
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await socket.send_str(f"{request.headers['X-Real-IP']} {message.data}")
            else:
                await socket.send_bytes(message.data[::-1])
                await socket.close(code=4001, message=b"enough")
        return socket

    async with proxied(talk) as place:
        socket = await place.session.ws_connect(place.url, protocols=("none", "chat"))
        async with socket:
            assert socket.protocol == "chat"
            await socket.send_str("hello")
            assert (await socket.receive()).data == "127.0.0.1 hello"
            await socket.ping()
            await socket.send_bytes(b"abc" * 100_000)
            assert (await socket.receive()).data == b"cba" * 100_000
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 4001


async def test_a_websocket_that_the_backend_refuses_fails() -> None:
    async def refuse(request: web.BaseRequest) -> web.Response:
        return web.Response(status=403)

    async with proxied(refuse) as place:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await place.session.ws_connect(place.url)


async def test_a_certificate_is_chosen_by_name_and_replaced_while_serving() -> None:
    async def scheme(request: web.BaseRequest) -> web.Response:
        return web.Response(text=request.headers["X-Forwarded-Proto"])

    async with proxied(scheme) as place:

        async def ask(host: str) -> str:
            """The answer, where the certificate is for that host and of the test's authority."""
            context = ssl.create_default_context(cadata="".join(pem.decode() for pem in trusted))
            connector = aiohttp.TCPConnector(resolver=Local(), ssl=context)
            async with aiohttp.ClientSession(connector=connector) as session:
                return await (await session.get(f"https://{host}:{place.tls_port}")).text()

        one, wild, later = (pair_for(name) for name in ("a.example", "*.b.example", "a.example"))
        trusted = [one.certificate, wild.certificate]
        assert place.certificates.replace({"a.example": one, "*.b.example": wild}) == {}
        assert await ask("a.example") == await ask("x.b.example") == "https"
        with pytest.raises(aiohttp.ClientConnectorError):
            await ask("c.example")
        problems = place.certificates.replace({"a.example": later, "d": Pair(b"no", b"key")})
        assert list(problems) == ["d"]
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await ask("a.example")
        trusted = [later.certificate]
        assert await ask("a.example") == "https"


@pytest.mark.parametrize(
    "path", ["/a/../b", "/a/%2e%2E/b", "/..", "/a/./b", "/a%2f..%2fb", "/a\\..\\b"]
)
def test_paths_that_climb(path):
    assert climbs(path)


@pytest.mark.parametrize("path", ["/", "/a..b/c", "/...", "/a/.well-known"])
def test_paths_that_do_not_climb(path):
    assert not climbs(path)


class Local(aiohttp.abc.AbstractResolver):
    """Every name is this machine."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict]:
        entry = {"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0}
        return [entry | {"flags": 0}]

    async def close(self) -> None:
        pass
