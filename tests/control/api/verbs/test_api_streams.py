"""Log, exec, attach, cp, port-forward: real kubectls, new and old, through the API server to a fake
kubelet.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import ssl
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict

from kubelite.cli.server.kubeconfig import write_kubeconfig
from kubelite.control.api.wire.allowed_addresses import check_address
from kubelite.control.api.wire.status import StatusError
from tests.control.debian import kubectl_of
from tests.control.fake_kubelet import fake_kubelet
from tests.control.world import PODS, Cluster, cluster, pod

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KUBECTLS = ["new", "old"]


class Kubectl:
    def __init__(self, version: str, config: Path) -> None:
        self._command = [kubectl_of(version), "--kubeconfig", str(config)]
        self._environment = {**os.environ, "HOME": str(config.parent)}

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *self._command, *words, env=self._environment, stdin=pipe, stdout=pipe, stderr=pipe
        )

    async def run(self, *words: str, given: bytes | None = None) -> tuple[int | None, bytes, bytes]:
        process = await self.start(*words)
        async with asyncio.timeout(30):
            out, err = await process.communicate(given)
        return process.returncode, out, err


@asynccontextmanager
async def with_a_pod(path: Path) -> AsyncIterator[tuple[Cluster, Path]]:
    """A cluster with a node whose kubelet is the fake one, and a pod of two containers on it."""
    async with cluster(path) as api, fake_kubelet(api.server.pki) as port:
        await api.create(
            "/api/v1/nodes", {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n1"}}
        )
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }
        (await api.patch("/api/v1/nodes/n1/status", {"status": status}, "strategic")).ok()
        for name, count in (("one", 1), ("two", 2)):
            containers = [{"name": f"c{number}", "image": "i"} for number in range(count)]
            await api.create(PODS, pod(name, nodeName="n1", containers=containers))
            running = {
                "phase": "Running",
                "podIP": "127.0.0.1",
                "conditions": [{"type": "Ready", "status": "True"}],
            }
            await api.patch(f"{PODS}/{name}/status", {"status": running}, "strategic")
        config = path / "config"
        write_kubeconfig(api.server, str(config))
        yield api, config


ELSEWHERE = "10.99.99.1"


async def add_elsewhere(api: Cluster) -> None:
    """A node with an address that is not loopback: ``/proxy`` reaches nothing on this machine."""
    command = ["ip", "address", "add", f"{ELSEWHERE}/32", "dev", "lo"]
    subprocess.run(command, check=False, capture_output=True)
    node = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "elsewhere"}}
    (await api.create("/api/v1/nodes", node)).ok()
    status = {"addresses": [{"type": "InternalIP", "address": ELSEWHERE}]}
    at = "/api/v1/nodes/elsewhere/status"
    (await api.patch(at, {"status": status}, "strategic")).ok()


@pytest.mark.parametrize("version", KUBECTLS)
async def test_kubectl_exec_and_logs(tmp_path: Path, version: str) -> None:
    async with with_a_pod(tmp_path) as (_, config):
        kubectl = Kubectl(version, config)
        assert await kubectl.run("logs", "one") == (0, b"line 1\nline 2\nline 3\n", b"")
        assert (await kubectl.run("logs", "one", "--tail=1"))[1] == b"line 3\n"
        code, _, err = await kubectl.run("logs", "two", "-c", "none")
        assert (code, b"container none is not valid for pod two" in err) == (1, True)
        assert await kubectl.run("exec", "one", "--", "echo", "hello world") == (
            0,
            b"hello world\n",
            b"",
        )
        code, out, err = await kubectl.run(
            "exec", "two", "-c", "c1", "--", "sh", "-c", "echo out; echo err >&2; exit 3"
        )
        assert (code, out) == (3, b"out\n")
        assert b"err" in err
        big = os.urandom(300_000)
        code, out, _ = await kubectl.run(
            "exec", "-i", "one", "--", "sh", "-c", "head -c 300000", given=big
        )
        assert (code, out) == (0, big)
        code, out, _ = await kubectl.run("attach", "-i", "one", given=b"typed\n")
        assert b"attached" in out


@pytest.mark.parametrize("version", KUBECTLS)
async def test_kubectl_cp(tmp_path: Path, version: str) -> None:
    async with with_a_pod(tmp_path) as (_, config):
        kubectl = Kubectl(version, config)
        source, target, back = (
            tmp_path / "a.bin",
            tmp_path / "in-pod" / "a.bin",
            tmp_path / "back.bin",
        )
        target.parent.mkdir()
        source.write_bytes(os.urandom(100_000))
        assert (await kubectl.run("cp", str(source), f"one:{target}"))[0] == 0
        assert target.read_bytes() == source.read_bytes()
        assert (await kubectl.run("cp", f"one:{target}", str(back)))[0] == 0
        assert back.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("version", KUBECTLS)
async def test_kubectl_port_forward(tmp_path: Path, version: str) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data.upper())
        writer.close()

    service = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = service.sockets[0].getsockname()[1]
    async with with_a_pod(tmp_path) as (_, config):
        process = await Kubectl(version, config).start("port-forward", "pod/one", f":{port}")
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), 20)
            found = re.search(rb"127\.0\.0\.1:(\d+)", line)
            assert found is not None, line
            for text in (b"hello", b"again" * 10_000):
                async with asyncio.timeout(20):
                    reader, writer = await asyncio.open_connection("127.0.0.1", int(found[1]))
                    writer.write(text)
                    assert await reader.readexactly(len(text)) == text.upper()
                    writer.close()
        finally:
            process.kill()
            await process.wait()
    service.close()


@pytest.mark.parametrize("protocol", ["v4.channel.k8s.io", "v5.channel.k8s.io"])
async def test_websocket_exec(tmp_path: Path, protocol: str) -> None:
    async with with_a_pod(tmp_path) as (api, _):
        query = (
            "command=sh&command=-c&command=echo+out%3B+cat+%3E%262"
            "&stdin=true&stdout=true&stderr=true"
        )
        said: dict[int, bytes] = {}
        async with api.session.ws_connect(
            f"{api.url}{PODS}/one/exec?{query}", protocols=[protocol]
        ) as socket:
            assert socket.protocol == protocol
            await socket.send_bytes(b"\x00typed")
            if protocol.startswith("v5"):
                await socket.send_bytes(b"\xff\x00")
            async with asyncio.timeout(10):
                async for message in socket:
                    said[message.data[0]] = said.get(message.data[0], b"") + message.data[1:]
                    if protocol.startswith("v4") and said.get(2) == b"typed":
                        break
        assert (said[1], said[2]) == (b"out\n", b"typed")
        if protocol.startswith("v5"):
            assert b"Success" in said[3]


@pytest.mark.parametrize("protocol", ["binary.k8s.io", "base64.binary.k8s.io"])
async def test_logs_over_a_websocket(tmp_path: Path, protocol: str) -> None:
    async with with_a_pod(tmp_path) as (api, _):
        plain = (await api.get(f"{PODS}/one/log")).body
        said = b""
        async with (
            asyncio.timeout(10),
            api.session.ws_connect(f"{api.url}{PODS}/one/log", protocols=[protocol]) as socket,
        ):
            assert socket.protocol == protocol
            async for message in socket:
                said += (
                    base64.b64decode(message.data)
                    if isinstance(message.data, str)
                    else message.data
                )
        assert said == plain != b""


async def test_refusals_of_streams(tmp_path: Path) -> None:
    async with with_a_pod(tmp_path) as (api, _):
        assert (await api.create(f"{PODS}/one/exec?command=true&stdout=1", None)).code == 400
        assert (await api.get(f"{PODS}/none/log")).code == 404
        unclear = await api.get(f"{PODS}/two/log")
        assert (
            unclear.value["message"]
            == "a container name must be specified for pod two, choose one of: [c0 c1]"
        )
        assert (await api.get(f"{PODS}/one/log?tailLines=-1")).code == 422
        await api.create(PODS, pod("far", nodeName="gone"))
        assert (await api.get(f"{PODS}/far/log")).code == 404
        status: dict[str, Any] = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 1}},
        }
        await api.create(
            "/api/v1/nodes", {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "down"}}
        )
        await api.patch("/api/v1/nodes/down/status", {"status": status}, "strategic")
        await api.create(PODS, pod("lost", nodeName="down"))
        assert (await api.get(f"{PODS}/lost/log")).code == 503
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await api.session.ws_connect(
                f"{api.url}{PODS}/lost/exec?command=true&stdout=1", protocols=["v5.channel.k8s.io"]
            )
        assert caught.value.status == 503
        assert (await api.get(f"{PODS}/one/proxy/")).code == 400


async def test_the_python_client_runs_commands_and_forwards_ports(tmp_path: Path) -> None:
    kubernetes = pytest.importorskip("kubernetes")
    from kubernetes.stream import portforward, stream

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read(100)).upper())
        # This client drops what it has not handed on when the connection ends.
        await reader.read()
        writer.close()

    service = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = service.sockets[0].getsockname()[1]

    def use(config: str) -> None:
        core = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(config))
        run = core.connect_get_namespaced_pod_exec
        assert (
            stream(
                run,
                "one",
                "default",
                command=["echo", "hi"],
                stdout=True,
                stderr=True,
                stdin=False,
                tty=False,
            )
            == "hi\n"
        )
        command = ["sh", "-c", "cat; exit 3"]
        talk = stream(
            run,
            "one",
            "default",
            command=command,
            stdout=True,
            stderr=True,
            stdin=True,
            tty=False,
            _preload_content=False,
        )
        talk.write_stdin("typed\n")
        assert talk.readline_stdout(timeout=10) == "typed"
        talk.close_channel(0)
        talk.run_forever(timeout=10)
        assert talk.returncode == 3
        assert core.read_namespaced_pod_log("one", "default", tail_lines=1) == "line 3\n"
        forwarded = portforward(
            core.connect_get_namespaced_pod_portforward, "one", "default", ports=str(port)
        )
        socket = forwarded.socket(port)
        socket.settimeout(10)
        socket.sendall(b"shout")
        assert socket.recv(100) == b"SHOUT"
        socket.close()

    async with with_a_pod(tmp_path) as (_, config):
        await asyncio.wait_for(asyncio.to_thread(use, str(config)), 40)
    service.close()


async def reflect(request: web.Request) -> web.StreamResponse:
    """Says what it was asked, redirects, and speaks WebSocket."""
    if request.path == "/away":
        return web.Response(status=302, headers={"Location": "/else where"})
    if request.headers.get("Upgrade") == "websocket" and request.path != "/plain":
        socket = web.WebSocketResponse(protocols=["chat"])
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data.upper())
        return socket
    shown = {
        name: request.headers.get(name)
        for name in (
            "Authorization",
            "X-Own",
            "X-Remote-User",
            "X-Forwarded-Proto",
            "Impersonate-User",
            "Impersonate-Extra-Team",
        )
    }
    body = (await request.read()).decode()
    return web.json_response(
        {"method": request.method, "raw": request.raw_path, "body": body, **shown}
    )


async def test_a_proxy_passes_on_what_it_is_given(tmp_path: Path) -> None:
    async with with_a_pod(tmp_path) as (api, _):
        runner = web.ServerRunner(web.Server(reflect))
        await runner.setup()
        await add_elsewhere(api)
        site = web.TCPSite(runner, ELSEWHERE, 0)
        await site.start()
        at = f"/api/v1/nodes/elsewhere:{runner.addresses[0][1]}/proxy"
        for rest in ("/", "/a/", "/a%2Fb/c?d=%26&e", "/x//y"):
            headers = {
                "X-Own": "1",
                "X-Remote-User": "root",
                "X-Remote-Group": "system:masters",
                "Impersonate-User": "kubernetes-admin",
                "Impersonate-Group": "system:masters",
                "Impersonate-Extra-Team": "a",
            }
            said = (await api.get(at + rest, headers=headers)).ok()
            assert said["X-Remote-User"] is None
            assert (said["Impersonate-User"], said["Impersonate-Extra-Team"]) == (None, None)
            assert (said["method"], said["raw"], said["X-Own"]) == ("GET", rest, "1")
            assert (said["Authorization"], said["X-Forwarded-Proto"]) == (None, "https")
        said = (
            await api.ask("PUT", at + "/put", raw=b"text", headers={"Content-Type": "text/plain"})
        ).ok()
        assert (said["method"], said["body"]) == ("PUT", "text")
        async with api.session.get(api.url + at + "?q=1", allow_redirects=False) as reply:
            assert (reply.status, reply.headers["Location"]) == (301, at + "/?q=1")
        async with api.session.get(f"{api.url}{at}/away", allow_redirects=False) as reply:
            assert (reply.status, reply.headers["Location"]) == (302, at + "/else where")
        await runner.cleanup()
        assert (await api.get(at + "/")).code == 502


PAGE = """<html><body background=/x.png><a class="l" href="/a?b">/a</a>
<img longdesc='/l' src="/b.png">
<a href="c">c</a> <a href="//elsewhere/d">d</a> <a href="{own}/e">e</a> href="/f" </body></html>"""


async def test_links_of_a_proxied_page_lead_through_the_proxy(tmp_path: Path) -> None:
    async def page(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/html; charset=utf-8"})
        await response.prepare(request)
        for number in range(0, len(text), 7):  # links are cut anywhere
            await response.write(text[number : number + 7].encode())
        await response.write_eof()
        return response

    async with with_a_pod(tmp_path) as (api, _):
        runner = web.ServerRunner(web.Server(page))
        await runner.setup()
        await add_elsewhere(api)
        await web.TCPSite(runner, ELSEWHERE, 0).start()
        own = f"/api/v1/nodes/elsewhere:{runner.addresses[0][1]}/proxy"
        text = PAGE.replace("{own}", own)
        wanted = text
        for path in ("/x.png", '"/a?b', "'/l", '"/b.png'):
            wanted = wanted.replace(path, path.replace("/", f"{own}/", 1))
        assert (await api.get(f"{own}/")).body.decode() == wanted
        await runner.cleanup()


async def test_a_token_among_websocket_protocols_goes_no_further(tmp_path: Path) -> None:
    secret = "base64url.bearer.authorization.k8s.io.c2VjcmV0"
    cases = [
        ([("Sec-WebSocket-Protocol", f"chat, {secret}, talk")], b"chat, talk"),
        ([("Sec-WebSocket-Protocol", "chat"), ("Sec-WebSocket-Protocol", secret)], b"chat"),
        ([("Sec-WebSocket-Protocol", secret)], None),
    ]
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    heads: asyncio.Queue[bytes] = asyncio.Queue()

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with with_a_pod(tmp_path) as (api, _):
        await add_elsewhere(api)
        service = await asyncio.start_server(note, ELSEWHERE, 0)
        at = f"{api.url}/api/v1/nodes/elsewhere:{service.sockets[0].getsockname()[1]}/proxy/x"
        for protocols, shown in cases:
            for more in ([], upgrade):
                async with api.session.get(at, headers=CIMultiDict([*protocols, *more])) as reply:
                    assert reply.status == 200
                lines = (await heads.get()).split(b"\r\n")
                got = [line for line in lines if line.lower().startswith(b"sec-websocket-protocol")]
                assert got == ([b"Sec-WebSocket-Protocol: " + shown] if shown else [])
        service.close()


async def test_a_proxy_passes_on_upgrades(tmp_path: Path) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert (
            head.startswith(b"POST /deep/stream?x=1 HTTP/1.1\r\n")
            and b"upgrade: spdy/3.1\r\n" in head.lower()
        )
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
        )
        while data := await reader.read(100):
            writer.write(data.upper())
            await writer.drain()
        writer.close()

    async with with_a_pod(tmp_path) as (api, _):
        runner = web.ServerRunner(web.Server(reflect))
        await runner.setup()
        await add_elsewhere(api)
        await web.TCPSite(runner, ELSEWHERE, 0).start()
        at = f"/api/v1/nodes/elsewhere:{runner.addresses[0][1]}/proxy"
        async with api.session.ws_connect(f"{api.url}{at}/talk", protocols=["chat"]) as socket:
            assert socket.protocol == "chat"
            await socket.send_str("quiet")
            assert await socket.receive_str(timeout=10) == "QUIET"
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await api.session.ws_connect(f"{api.url}{at}/plain")
        assert caught.value.status == 200
        await runner.cleanup()
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await api.session.ws_connect(f"{api.url}{at}/gone")
        assert caught.value.status == 502

        service = await asyncio.start_server(shout, ELSEWHERE, 0)
        path = (
            f"/api/v1/nodes/elsewhere:{service.sockets[0].getsockname()[1]}/proxy/deep/stream?x=1"
        )
        pki = api.server.pki
        context = ssl.create_default_context(cafile=pki.authority.certificate)
        context.load_cert_chain(*(str(tmp_path / "pki" / f"admin.{end}") for end in ("crt", "key")))
        reader, writer = await asyncio.open_connection("127.0.0.1", api.server.port, ssl=context)
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: x\r\n"
            "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n".encode()
        )
        async with asyncio.timeout(10):
            assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
            writer.write(b"frames")
            assert await reader.readexactly(6) == b"FRAMES"
        writer.close()
        service.close()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
     "64:ff9b:1::a9fe:a9fe", "2002:7f00:1::",
        "169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255",
     "::ffff:169.254.169.254", "localhost", "127.1", "",
    ],
)  # fmt: skip
def test_addresses_that_mean_this_machine_are_refused(address: str) -> None:
    with pytest.raises(StatusError):
        check_address(address)


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "192.0.2.7", "2001:db8::1", "::ffff:10.0.0.1", "64:ff9b::a01:1"]
)
def test_addresses_of_pods_are_allowed(address: str) -> None:
    check_address(address)


async def test_a_proxy_leads_to_nobody_on_this_machine(tmp_path: Path) -> None:
    async with with_a_pod(tmp_path) as (api, _):
        seen: list[str] = []

        async def note(request: web.BaseRequest) -> web.Response:
            seen.append(request.path)
            return web.Response()

        runner = web.ServerRunner(web.Server(note))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        assert (await api.get(f"/api/v1/nodes/n1:{port}/proxy/")).code == 400
        for address in ("127.0.0.1", "::ffff:127.0.0.1", "localhost"):
            status = {"podIP": address, "podIPs": [{"ip": address}]}
            await api.patch(f"{PODS}/one/status", {"status": status})
            assert (await api.get(f"{PODS}/one:{port}/proxy/")).code == 400
        assert seen == []
        await runner.cleanup()


async def test_a_proxy_leads_to_a_ready_endpoint_of_a_service(tmp_path: Path) -> None:
    def slice_of(name: str, address: str, ready: bool, port: int | None) -> dict[str, Any]:
        return {
            "kind": "EndpointSlice",
            "apiVersion": "discovery.k8s.io/v1",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": ready}}],
            "ports": [{"name": "http", "protocol": "TCP"} | ({"port": port} if port else {})],
        }

    async with with_a_pod(tmp_path) as (api, _):
        runner = web.ServerRunner(web.Server(reflect))
        await runner.setup()
        await add_elsewhere(api)
        await web.TCPSite(runner, ELSEWHERE, 0).start()
        port = runner.addresses[0][1]
        spec = {"ports": [{"name": "http", "port": 80}, {"name": "other", "port": 81}]}
        service = {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "web"}, "spec": spec}
        (await api.create("/api/v1/namespaces/default/services", service)).ok()
        at = "/api/v1/namespaces/default/services"
        slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        for name, ready, number in (("a", False, port), ("b", True, None)):
            (await api.create(slices, slice_of(name, ELSEWHERE, ready, number))).ok()
        none = await api.get(f"{at}/web:http/proxy/")
        assert (none.code, none.value["message"]) == (
            503,
            'no endpoints available for service "web"',
        )
        (await api.create(slices, slice_of("c", ELSEWHERE, True, port))).ok()
        for name in ("web", "web:http", "web:80", "http:web:80"):
            assert (await api.get(f"{at}/{name}/proxy/x")).ok()["raw"] == "/x"
        for name, code in (("web:81", 503), ("web:82", 503), ("none", 404)):
            assert (await api.get(f"{at}/{name}/proxy/")).code == code
        await runner.cleanup()


async def test_logs_of_a_pod_without_a_node_are_empty(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        (await api.create(PODS, pod("waits"))).ok()
        reply = await api.get(f"{PODS}/waits/log")
        assert (reply.code, reply.body) == (204, b"")
