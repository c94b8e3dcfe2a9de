"""The kubelet's HTTPS server: routes to the node's pods.

Paths and options are the kubelet's (``pkg/kubelet/server``); the API server's log, exec, attach,
port-forward and proxy subresources lead here.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from kubelite.core.errors import CoreError
from kubelite.node.kubelet.server import port_forward, remote_command
from kubelite.node.kubelet.server.auth import Gate, attributes
from kubelite.node.kubelet.server.channels import (
    RESIZE,
    SPDY_PROTOCOLS,
    WEBSOCKET_PROTOCOLS,
    Channels,
    SpdyChannels,
    SpdyConnection,
    WebSocketChannels,
    choose,
)
from kubelite.node.kubelet.server.http import (
    Request,
    Response,
    Upgrade,
    serve_connection,
)
from kubelite.node.kubelet.server.remote_command import Options, Process
from kubelite.node.kubelet.server.tunnel import Tunnel
from kubelite.node.runtime.errors import NotFound, RuntimeFailure

JSON = "application/json"
_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
RUN_BYTES = 1 << 20


class Pods(Protocol):
    """What the server asks of the node. Everything may block and is called in threads, but
    ``dial``; all raise NotFound and other RuntimeFailure with a sentence.
    """

    def documents(self) -> Sequence[Mapping[str, Any]]:
        """The pods of this node with their status."""

    def exec(
        self, namespace: str, pod: str, container: str, command: Sequence[str], options: Options
    ) -> Process:
        """Starts a command in a running container."""

    def attach(self, namespace: str, pod: str, container: str, options: Options) -> Process:
        """The streams of a container's main process."""

    def logs(
        self, namespace: str, pod: str, container: str, query: Mapping[str, str]
    ) -> AsyncIterator[bytes]:
        """A container's log as it is shown; options are those of the API's log subresource."""

    def dial(self, namespace: str, pod: str, port: int) -> socket.socket:
        """A connection to 127.0.0.1 in the pod's network. Raises OSError."""


class Pages(NamedTuple):
    """Documents that a GET returns, each made when asked for: content type and content."""

    by_path: Mapping[str, Callable[[Request], Awaitable[tuple[str, bytes]]]]


class KubeletServer:
    """Answers for one node. ``gate`` is None where everybody may do everything (tests)."""

    def __init__(self, pods: Pods, pages: Pages, gate: Gate | None) -> None:
        self._pods, self._pages, self._gate = pods, pages, gate
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, address: str, port: int, tls: ssl.SSLContext | None) -> int:
        """Listens; returns the port. Raises OSError."""
        self._server = await asyncio.start_server(self._connected, address, port, ssl=tls)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stops listening and ends all connections."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await serve_connection(reader, writer, self.handle)
        finally:
            self._connections.discard(task)

    async def handle(self, request: Request) -> Response | Upgrade:
        """The answer to one request."""
        refusal = await self._refusal(request)
        if refusal is not None:
            return refusal
        try:
            return await self._route(request)
        except NotFound as error:
            return Response(404, f"{error}\n".encode())
        except (RuntimeFailure, CoreError) as error:
            return Response(500, f"{error}\n".encode())

    async def _refusal(self, request: Request) -> Response | None:
        if self._gate is None:
            return None
        user = await self._gate.user(request)
        if user is None:
            return Response(401, b"Unauthorized\n")
        if await self._gate.allows(user, request):
            return None
        verb, subresources = attributes(request)
        described = f"verb={verb}, resource=nodes, subresource(s)=[{' '.join(subresources)}]"
        return Response(403, f"Forbidden (user={user.name}, {described})\n".encode())

    async def _route(self, request: Request) -> Response | Upgrade:
        words = request.path.strip("/").split("/")
        match words:
            case ["healthz", *_]:
                return Response(body=b"ok")
            case ["pods"] | ["runningpods"]:
                return await self._list_pods()
            case ["containerLogs", namespace, pod, container] if request.method == "GET":
                query = {name: values[-1] for name, values in request.query.items()}
                pieces = self._pods.logs(namespace, pod, container, query)
                return Response(pieces=await _begun(pieces))
            case ["exec" | "attach" as verb, namespace, pod, *uid, container] if len(uid) < 2:
                return await self._remote_command(request, verb, (namespace, pod, container))
            case ["run", namespace, pod, *uid, container] if len(uid) < 2:
                return await self._run(request, (namespace, pod, container))
            case ["portForward", namespace, pod, *uid] if len(uid) < 2:
                return self._port_forward(request, namespace, pod)
        page = self._pages.by_path.get("/" + "/".join(words))
        if page is None or request.method not in ("GET", "HEAD"):
            return Response(404, b"404 page not found\n")
        content_type, content = await page(request)
        return Response(body=content, content_type=content_type)

    async def _list_pods(self) -> Response:
        items = await asyncio.to_thread(self._pods.documents)
        listing = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": list(items)}
        return Response(body=json.dumps(listing).encode(), content_type=JSON)

    # -- exec and attach ---------------------------------------------------------------------------

    async def _remote_command(
        self, request: Request, verb: str, target: tuple[str, str, str]
    ) -> Response | Upgrade:
        options = remote_command.options(request)
        if options is None:
            return Response(400, b"you must specify at least 1 of stdin, stdout, stderr\n")
        chosen = _negotiate(request)
        if isinstance(chosen, Response):
            return chosen
        process = await asyncio.to_thread(self._begin, request, verb, target, options)
        headers, protocol, is_spdy = chosen

        async def run(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received: bytes
        ) -> None:
            try:
                channels: Channels
                if is_spdy:
                    expected = options.channels | _resize(options, protocol)
                    spdy = SpdyChannels(SpdyConnection(reader, writer, received), expected)
                    await spdy.open()
                    channels = spdy
                else:
                    channels = WebSocketChannels(reader, writer, received, protocol)
                await remote_command.run(
                    channels, process, options, protocol=protocol, is_exec=verb == "exec"
                )
                await channels.close()
            finally:
                process.close()

        return Upgrade(headers, run)

    def _begin(
        self, request: Request, verb: str, target: tuple[str, str, str], options: Options
    ) -> Process:
        namespace, pod, container = target
        if verb == "attach":
            return self._pods.attach(namespace, pod, container, options)
        command = request.query.get("command", [])
        return self._pods.exec(namespace, pod, container, command, options)

    async def _run(self, request: Request, target: tuple[str, str, str]) -> Response:
        """The output of a command, without a conversation."""
        command = request.option("cmd").split(" ")
        options = Options(stdin=False, stdout=True, stderr=True, tty=False)
        process = await asyncio.to_thread(self._pods.exec, *target, command, options)
        try:
            output = b""
            while not isinstance(received := await asyncio.to_thread(process.read_packet), int):
                if received is not None:
                    output = (output + received[1])[:RUN_BYTES]
        finally:
            process.close()
        return Response(200 if received == 0 else 500, output)

    # -- port-forward ------------------------------------------------------------------------------

    def _port_forward(self, request: Request, namespace: str, pod: str) -> Response | Upgrade:
        async def dial(port: int) -> socket.socket:
            return await asyncio.to_thread(self._pods.dial, namespace, pod, port)

        if request.headers.get("upgrade", "").lower() != "websocket":
            return _spdy_port_forward(request, dial)
        offered = _words(request.headers.get("sec-websocket-protocol", ""))
        if port_forward.TUNNEL_PROTOCOL in offered:

            async def tunnel(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received: bytes
            ) -> None:
                async with Tunnel(reader, writer, received) as inner:
                    await port_forward.serve_spdy(SpdyConnection(inner, inner, b""), dial)

            return Upgrade(_accept(request, port_forward.TUNNEL_PROTOCOL), tunnel)
        protocol = choose(offered, port_forward.WEBSOCKET_PROTOCOLS)
        ports = [int(text) for text in request.query.get("port", ()) if text.isdigit()]
        if protocol is None or not ports:
            return Response(400, b"unable to upgrade: no protocol and port that are known\n")

        async def run(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received: bytes
        ) -> None:
            channels = WebSocketChannels(reader, writer, received, protocol)
            await port_forward.serve_channels(channels, ports, dial)

        return Upgrade(_accept(request, protocol), run)


def _spdy_port_forward(request: Request, dial: port_forward.Dial) -> Response | Upgrade:
    if "spdy/3.1" not in request.headers.get("upgrade", "").lower():
        return Response(400, b"Upgrade request required\n")

    async def run(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received: bytes
    ) -> None:
        await port_forward.serve_spdy(SpdyConnection(reader, writer, received), dial)

    headers = [
        ("Connection", "Upgrade"),
        ("Upgrade", "SPDY/3.1"),
        ("X-Stream-Protocol-Version", port_forward.SPDY_PROTOCOL),
    ]
    return Upgrade(headers, run)


def _negotiate(request: Request) -> tuple[list[tuple[str, str]], str, bool] | Response:
    """The headers of the 101 answer, the protocol of the channels, and whether SPDY carries
    them.
    """
    upgrade = request.headers.get("upgrade", "").lower()
    if upgrade == "websocket":
        offered = _words(request.headers.get("sec-websocket-protocol", ""))
        protocol = choose(offered, WEBSOCKET_PROTOCOLS) if offered else "channel.k8s.io"
        if protocol is None:
            return Response(403, f"unable to upgrade: {', '.join(offered)}\n".encode())
        return _accept(request, protocol if offered else ""), protocol, False
    if "spdy/3.1" not in upgrade:
        return Response(400, b"Upgrade request required\n")
    offered = _words(request.headers.get("x-stream-protocol-version", ""))
    protocol = choose(offered, SPDY_PROTOCOLS) if offered else "channel.k8s.io"
    if protocol is None:
        return Response(403, f"unable to upgrade: {', '.join(offered)}\n".encode())
    headers = [("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")]
    if offered:
        headers.append(("X-Stream-Protocol-Version", protocol))
    return headers, protocol, True


def _resize(options: Options, protocol: str) -> frozenset[int]:
    """Since version 3 a client with a terminal opens a stream for its size."""
    if options.tty and protocol.startswith(("v3.", "v4.", "v5.")):
        return frozenset((RESIZE,))
    return frozenset()


def _accept(request: Request, protocol: str) -> list[tuple[str, str]]:
    """The headers that accept a WebSocket (RFC 6455, 4.2.2)."""
    key = request.headers.get("sec-websocket-key", "").encode()
    digest = base64.b64encode(hashlib.sha1(key + _WEBSOCKET_GUID).digest()).decode()
    headers = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Accept", digest),
    ]
    return [*headers, ("Sec-WebSocket-Protocol", protocol)] if protocol else headers


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


async def _begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces, of which the first has already come: what is refused is refused before an
    answer has begun.
    """
    first = await anext(pieces, None)

    async def all_pieces() -> AsyncIterator[bytes]:
        if first is None:
            return
        yield first
        async for piece in pieces:
            yield piece

    return all_pieces()
