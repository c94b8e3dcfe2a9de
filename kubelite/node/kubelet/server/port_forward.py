"""Port-forward: each connection of a client becomes one to 127.0.0.1 inside the pod's network.

SPDY clients open a pair of streams per connection, named by the headers ``port`` and ``requestID``.
Newer clients put the same SPDY frames into WebSocket messages (KEP 4006). The oldest WebSocket form
has two channels per port, announced when the connection opens.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from kubelite.lib import spdy
from kubelite.lib.directions import until_one_ends
from kubelite.node.kubelet.server.channels import Channels, SpdyConnection
from kubelite.node.kubelet.server.http import PIECE

SPDY_PROTOCOL = "portforward.k8s.io"
TUNNEL_PROTOCOL = "SPDY/3.1+portforward.k8s.io"
WEBSOCKET_PROTOCOLS = ("v4.channel.k8s.io", "v4.base64.channel.k8s.io")

Dial = Callable[[int], Awaitable[socket.socket]]
"""Connects to a port inside the pod. Raises OSError with a sentence."""


class _Forward:
    """One forwarded connection: the numbers of its two streams, and input that waits."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.error = self.data = 0
        self.input: asyncio.Queue[bytes | None] = asyncio.Queue(64)
        self.task: asyncio.Task[None] | None = None


async def serve_spdy(connection: SpdyConnection, dial: Dial) -> None:
    """Serves a client until it has gone."""
    forwards: dict[str, _Forward] = {}
    by_stream: dict[int, _Forward] = {}
    try:
        async for event in connection.events():
            if isinstance(event, spdy.Opened):
                await connection.accept(event.stream)
                _opened(event, forwards, by_stream)
                forward = by_stream.get(event.stream)
                if forward and forward.error and forward.data and forward.task is None:
                    forward.task = asyncio.create_task(_run(connection, forward, dial))
            elif (forward := by_stream.get(event.stream)) and event.stream == forward.data:
                if isinstance(event, spdy.Data):
                    if event.data:
                        await forward.input.put(event.data)
                    if event.ended:
                        await forward.input.put(None)
                elif forward.task is not None:
                    forward.task.cancel()
    finally:
        tasks = [forward.task for forward in forwards.values() if forward.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _opened(
    event: spdy.Opened, forwards: dict[str, _Forward], by_stream: dict[int, _Forward]
) -> None:
    port = event.headers.get("port", "")
    if not port.isdigit() or not 0 < int(port) < 65536:
        return
    # Clients before Kubernetes 1.3 sent no requestID and opened the error stream first.
    default = event.stream if event.headers.get("streamtype") == "error" else event.stream - 2
    key = event.headers.get("requestid") or str(default)
    forward = forwards.setdefault(key, _Forward(int(port)))
    if event.headers.get("streamtype") == "error":
        forward.error = event.stream
    else:
        forward.data = event.stream
    by_stream[event.stream] = forward


async def _run(connection: SpdyConnection, forward: _Forward, dial: Dial) -> None:
    try:
        inside = await dial(forward.port)
    except OSError as error:
        text = f"error forwarding port {forward.port} to pod: {error}"
        await connection.send(forward.error, text.encode(), end=True)
        await connection.send(forward.data, b"", end=True)
        return

    async def send(data: bytes) -> None:
        await connection.send(forward.data, data)

    await _join(inside, forward.input, send)
    await connection.send(forward.data, b"", end=True)
    await connection.send(forward.error, b"", end=True)


async def _join(
    inside: socket.socket,
    inputs: asyncio.Queue[bytes | None],
    send: Callable[[bytes], Awaitable[None]],
) -> None:
    """Copies both ways until the pod's side has ended."""
    inside.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=inside)
    to_pod = asyncio.create_task(_copy_input(inputs, writer))
    try:
        while data := await reader.read(PIECE):
            await send(data)
    except OSError:
        pass  # the pod's program has reset the connection
    finally:
        to_pod.cancel()
        writer.close()


async def _copy_input(inputs: asyncio.Queue[bytes | None], writer: asyncio.StreamWriter) -> None:
    while (data := await inputs.get()) is not None:
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def serve_channels(channels: Channels, ports: list[int], dial: Dial) -> None:
    """The oldest WebSocket form: channel 2n is data of the n-th port, 2n + 1 its errors; each
    begins with the port's number in two bytes, little-endian. Ends when the pod has ended all.
    """
    queues: list[asyncio.Queue[bytes | None]] = [asyncio.Queue(64) for _ in ports]
    for number, port in enumerate(ports):
        await channels.send(2 * number, port.to_bytes(2, "little"))
        await channels.send(2 * number + 1, port.to_bytes(2, "little"))

    async def receive() -> None:
        async for message in channels.messages():
            if message.channel % 2 == 0 and message.channel // 2 < len(ports):
                await queues[message.channel // 2].put(message.data)

    async def run_all() -> None:
        runs = (
            _run_channel(channels, number, port, queues[number], dial)
            for number, port in enumerate(ports)
        )
        await asyncio.gather(*runs)

    await until_one_ends(receive(), run_all())


async def _run_channel(
    channels: Channels, number: int, port: int, inputs: asyncio.Queue[bytes | None], dial: Dial
) -> None:
    try:
        inside = await dial(port)
    except OSError as error:
        text = f"error forwarding port {port} to pod: {error}"
        await channels.send(2 * number + 1, text.encode())
        return

    async def send(data: bytes) -> None:
        await channels.send(2 * number, data)

    await _join(inside, inputs, send)
