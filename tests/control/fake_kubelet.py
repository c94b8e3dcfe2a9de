"""A kubelet without pods: its "containers" are programs of this machine, its logs are three lines.

It speaks what a kubelet speaks with a client: exec and attach over SPDY and WebSocket (v4, v5),
port-forward over SPDY, SPDY inside WebSocket, and WebSocket channels.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import ssl
import struct
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from kubelite.lib import spdy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from kubelite.control.api.auth.pki import Pki

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
NAMES = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}
TUNNEL = "SPDY/3.1+portforward.k8s.io"
LINES = [f"line {number}\n".encode() for number in range(1, 4)]


@contextlib.asynccontextmanager
async def fake_kubelet(pki: Pki) -> AsyncIterator[int]:
    """The port of a kubelet that only the API server's certificate opens."""
    own = pki.server(["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    context.load_verify_locations(pki.authority.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await Conversation(reader, writer).serve()
        writer.close()
        tasks.discard(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Conversation:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def serve(self) -> None:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        self.headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines if line)
        }
        protocols = [
            line.partition(":")[2].strip()
            for line in lines
            if line.lower().startswith("x-stream-protocol-version:")
        ]
        url = urlsplit(first.split(" ")[1])
        self.query = parse_qs(url.query)
        kind = url.path.split("/")[1]
        if kind == "containerLogs":
            await self._log()
        elif self.headers.get("upgrade", "").lower() == "websocket":
            await self._websocket(kind)
        elif self.headers.get("upgrade", "").lower() == "spdy/3.1":
            self._switch(
                "SPDY/3.1", {"X-Stream-Protocol-Version": protocols[0]} if protocols else {}
            )
            streams = SpdyStreams(self.reader.read, self.writer)
            await (run_command(self.query, streams) if kind != "portForward" else forward(streams))
        else:
            self.writer.write(
                b"HTTP/1.1 400 Bad Request\r\nContent-Length: 7\r\nContent-Type: text/plain\r\n\r\nupgrade"
            )
        await self.writer.drain()

    def _switch(self, protocol: str, headers: dict[str, str]) -> None:
        lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", f"Upgrade: {protocol}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def _log(self) -> None:
        tail = int(self.query.get("tailLines", ["3"])[0])
        self.writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
        )
        for line in LINES[len(LINES) - tail :]:
            self.writer.write(line)
            await self.writer.drain()
        if self.query.get("follow"):
            await self.reader.read(1)

    async def _websocket(self, kind: str) -> None:
        key = self.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        offered = [
            each.strip() for each in self.headers.get("sec-websocket-protocol", "").split(",")
        ]
        chosen = next(
            each for each in (TUNNEL, "v5.channel.k8s.io", "v4.channel.k8s.io") if each in offered
        )
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self._switch(
            "websocket", {"Sec-WebSocket-Accept": accept, "Sec-WebSocket-Protocol": chosen}
        )
        socket = WebSocket(self.reader, self.writer)
        if chosen == TUNNEL:
            await forward(SpdyStreams(socket.read, socket))
        elif kind == "portForward":
            await forward_channels(socket, [int(port) for port in self.query["port"]])
        else:
            await run_command(self.query, Channels(socket))
        socket.close()


class WebSocket:
    """Frames of a server, and what a client's frames hold."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, _: int = 0) -> bytes:
        """The next message; empty at the end."""
        try:
            first, second = await self._reader.readexactly(2)
            size = second & 0x7F
            if size >= 126:
                size = int.from_bytes(
                    await self._reader.readexactly(2 if size == 126 else 8), "big"
                )
            mask = await self._reader.readexactly(4)
            data = await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        if first & 0x0F == 8:
            return b""
        plain = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        if first & 0x0F == 9:
            self._frame(10, plain)
        return plain if plain and first & 0x0F in (0, 1, 2) else await self.read()

    def write(self, data: bytes) -> None:
        self._frame(2, data)

    def _frame(self, kind: int, data: bytes) -> None:
        size = len(data)
        length = (
            bytes([size])
            if size < 126
            else b"\x7e" + struct.pack(">H", size)
            if size < 65536
            else b"\x7f" + struct.pack(">Q", size)
        )
        self._writer.write(bytes([0x80 | kind]) + length + data)

    async def drain(self) -> None:
        await self._writer.drain()

    def close(self) -> None:
        self._writer.write(b"\x88\x02\x03\xe8")


class SpdyStreams:
    """The streams that a client opens over SPDY."""

    def __init__(self, read: Callable[[int], Awaitable[bytes]], writer: Any) -> None:
        self._read = read
        self._writer = writer
        self._session = spdy.Session()
        self.ids: dict[int, int] = {}
        self.ends: dict[int, dict[str, str]] = {}

    async def events(self) -> AsyncIterator[spdy.Event]:
        while data := await self._read(65536):
            for event in self._session.receive(data):
                if isinstance(event, spdy.Opened):
                    self._writer.write(self._session.reply(event.stream))
                elif isinstance(event, spdy.Ping):
                    self._writer.write(self._session.pong(event.number))
                yield event

    def opened(self, event: spdy.Opened) -> None:
        self.ids[NAMES[event.headers["streamtype"]]] = event.stream

    async def expect(self, wanted: set[int]) -> AsyncIterator[spdy.Event]:
        events = self.events()
        while not wanted <= self.ids.keys():
            event = await anext(events)
            if isinstance(event, spdy.Opened):
                self.opened(event)
        return events

    async def input(self, wanted: set[int]) -> AsyncIterator[tuple[int, bytes, bool]]:
        names = {}
        async for event in await self.expect(wanted):
            names = {stream: channel for channel, stream in self.ids.items()}
            if isinstance(event, spdy.Data) and event.stream in names:
                yield names[event.stream], event.data, event.ended

    async def send(self, channel: int, data: bytes) -> None:
        self._writer.write(self._session.data(self.ids[channel], data))
        await self._writer.drain()

    def send_to(self, stream: int, data: bytes, *, end: bool = False) -> None:
        self._writer.write(self._session.data(stream, data, end=end))

    async def finish(self, status: bytes) -> None:
        self._writer.write(self._session.data(self.ids[ERROR], status, end=True))
        for channel, stream in self.ids.items():
            if channel in (STDOUT, STDERR):
                self._writer.write(self._session.data(stream, b"", end=True))
        self._writer.write(self._session.goodbye())
        await self._writer.drain()


class Channels:
    """The streams of a WebSocket: the first byte of a message says which; 255 ends one (v5)."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def input(self, _: set[int]) -> AsyncIterator[tuple[int, bytes, bool]]:
        while data := await self._socket.read():
            if data[0] == 255:
                yield data[1], b"", True
            else:
                yield data[0], data[1:], False

    async def send(self, channel: int, data: bytes) -> None:
        self._socket.write(bytes([channel]) + data)
        await self._socket.drain()

    async def finish(self, status: bytes) -> None:
        await self.send(ERROR, status)


async def run_command(query: dict[str, list[str]], streams: SpdyStreams | Channels) -> None:
    """Runs the command of a query and passes its streams on."""
    flags = {STDIN: "input", STDOUT: "output", STDERR: "error"}
    wanted = {channel for channel, flag in flags.items() if flag in query} | {ERROR}
    if "tty" in query:
        wanted = (wanted | {RESIZE}) - {STDERR}
    incoming = streams.input(wanted)
    process: asyncio.subprocess.Process | None = None

    async def start() -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        words = query.get("command") or ["sh", "-c", "echo attached; cat"]
        return await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, stderr=pipe)

    async def feed() -> None:
        async for channel, data, ended in incoming:
            if channel == STDIN and process is not None and process.stdin is not None:
                process.stdin.write(data)
                if ended:
                    process.stdin.close()

    async def pump(source: asyncio.StreamReader | None, channel: int) -> None:
        while source is not None and (piece := await source.read(32768)):
            if channel in wanted:
                await streams.send(channel, piece)

    if isinstance(streams, SpdyStreams):
        first = asyncio.create_task(anext(incoming, None))
        while not wanted <= streams.ids.keys():
            await asyncio.sleep(0.001)
            if first.done() and not wanted <= streams.ids.keys():
                return
        process = await start()
        feeding = asyncio.create_task(_rest(first, feed, process))
    else:
        process = await start()
        feeding = asyncio.create_task(feed())
    if STDIN not in wanted and process.stdin is not None:
        process.stdin.close()
    await asyncio.gather(pump(process.stdout, STDOUT), pump(process.stderr, STDERR))
    code = await process.wait()
    await streams.finish(status_of(code))
    feeding.cancel()


async def _rest(
    first: asyncio.Task[Any],
    feed: Callable[[], Awaitable[None]],
    process: asyncio.subprocess.Process,
) -> None:
    event = await first
    if event is not None and event[0] == STDIN and process.stdin is not None:
        process.stdin.write(event[1])
        if event[2]:
            process.stdin.close()
    await feed()


def status_of(code: int) -> bytes:
    """What the error stream says in the end."""
    if code == 0:
        return json.dumps({"metadata": {}, "status": "Success"}).encode()
    cause = {"reason": "ExitCode", "message": str(code)}
    said = f"command terminated with non-zero exit code: exit status {code}"
    whole = {
        "metadata": {},
        "status": "Failure",
        "message": said,
        "reason": "NonZeroExitCode",
        "details": {"causes": [cause]},
    }
    return json.dumps(whole).encode()


async def forward(streams: SpdyStreams) -> None:
    """Port-forward over SPDY: a pair of streams for each connection."""
    tasks: set[asyncio.Task[None]] = set()
    writers: dict[int, asyncio.StreamWriter] = {}
    async for event in streams.events():
        if isinstance(event, spdy.Opened) and event.headers["streamtype"] == "data":
            reader, writers[event.stream] = await asyncio.open_connection(
                "127.0.0.1", int(event.headers["port"])
            )

            async def pump(reader: asyncio.StreamReader, stream: int) -> None:
                while piece := await reader.read(32768):
                    streams.send_to(stream, piece)
                streams.send_to(stream, b"", end=True)

            tasks.add(asyncio.create_task(pump(reader, event.stream)))
        elif isinstance(event, spdy.Data) and event.stream in writers:
            writers[event.stream].write(event.data)
            if event.ended:
                writers[event.stream].write_eof()
    for task in tasks:
        task.cancel()


async def forward_channels(socket: WebSocket, ports: list[int]) -> None:
    """Port-forward over WebSocket channels: two for each port, each beginning with the port's
    number.
    """
    connections = []
    for number, port in enumerate(ports):
        for channel in (2 * number, 2 * number + 1):
            socket.write(bytes([channel]) + struct.pack("<H", port))
        connections.append(await asyncio.open_connection("127.0.0.1", port))

    async def pump(reader: asyncio.StreamReader, channel: int) -> None:
        while piece := await reader.read(32768):
            socket.write(bytes([channel]) + piece)
            await socket.drain()

    tasks = [
        asyncio.create_task(pump(reader, 2 * number))
        for number, (reader, _) in enumerate(connections)
    ]
    while data := await socket.read():
        if data[0] % 2 == 0 and data[0] // 2 < len(connections):
            connections[data[0] // 2][1].write(data[1:])
    for task in tasks:
        task.cancel()
