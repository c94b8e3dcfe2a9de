"""The streams of a remote command or a port-forward, whichever protocol carries them.

Two protocols are in use. WebSocket (``v5.channel.k8s.io`` and older) puts the number of the channel
before each message. SPDY/3.1 opens one stream per channel and names it by a header. Both become a
:class:`Channels`: messages in, messages out, and the end of the client's input.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.frame_protocol import CloseReason

from kubelite.lib import spdy
from kubelite.node.kubelet.server.http import PIECE

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
_CLOSE_CHANNEL = 255
NAMES = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}
WEBSOCKET_PROTOCOLS = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v3.channel.k8s.io",
    "v2.channel.k8s.io",
    "channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "base64.channel.k8s.io",
)
SPDY_PROTOCOLS = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v3.channel.k8s.io",
    "v2.channel.k8s.io",
    "channel.k8s.io",
)
STREAM_SECONDS = 30.0
"""How long a client has to open its SPDY streams, as in the kubelet."""


class Message(NamedTuple):
    """Bytes of one channel; ``is_end`` says that no more come on it."""

    channel: int
    data: bytes
    is_end: bool = False


class Reader(Protocol):
    """Where bytes come from: an asyncio stream, or a tunnel."""

    async def read(self, size: int, /) -> bytes:
        """Some bytes; none at the end."""


class Writer(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> None:
        """Sends bytes."""

    async def drain(self) -> None:
        """Waits until they are taken."""


class Channels(Protocol):
    """One client's channels."""

    def messages(self) -> AsyncIterator[Message]:
        """What the client sends; ends when the client has gone."""

    async def send(self, channel: int, data: bytes) -> None:
        """Sends bytes on a channel. Raises OSError when the client has gone."""

    async def end(self, channel: int) -> None:
        """Tells the client that no more comes on a channel."""

    async def close(self) -> None:
        """Says goodbye."""


def choose(offered: Sequence[str], supported: Sequence[str]) -> str | None:
    """The first protocol that the client offers and we know, in the client's order."""
    return next((name for name in offered if name in supported), None)


def has_status(protocol: str) -> bool:
    """Whether the error channel carries a Status document; before version 4 it was plain text."""
    return protocol.startswith(("v4.", "v5."))


class WebSocketChannels:
    """Channels of a WebSocket whose handshake has been answered."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        received: bytes,
        protocol: str,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._connection = Connection(ConnectionType.SERVER)
        self._is_base64 = "base64" in protocol
        self._has_close = protocol.startswith("v5.")
        self._received = received

    async def messages(self) -> AsyncIterator[Message]:
        """See :class:`Channels`."""
        data: bytes | None = self._received
        held = b""
        while True:
            if data:
                self._connection.receive_data(data)
            for event in self._connection.events():
                if isinstance(event, Ping):
                    await self._write(self._connection.send(event.response()))
                elif isinstance(event, CloseConnection):
                    await self._write(self._connection.send(event.response()))
                    return
                elif isinstance(event, TextMessage | BytesMessage):
                    part = event.data.encode() if isinstance(event, TextMessage) else event.data
                    held += bytes(part)
                    if event.message_finished:
                        message, held = self._message(held), b""
                        if message is not None:
                            yield message
            data = await self._reader.read(PIECE)
            if not data:
                return

    def _message(self, data: bytes) -> Message | None:
        if not data:
            return None
        if self._is_base64:
            return Message(data[0] - ord("0"), base64.b64decode(data[1:]))
        if self._has_close and data[0] == _CLOSE_CHANNEL:
            return Message(data[1], b"", is_end=True) if len(data) > 1 else None
        return Message(data[0], data[1:])

    async def send(self, channel: int, data: bytes) -> None:
        """See :class:`Channels`."""
        if self._is_base64:
            text = f"{channel}{base64.b64encode(data).decode()}"
            await self._write(self._connection.send(TextMessage(data=text)))
        else:
            message = BytesMessage(data=bytes((channel,)) + data)
            await self._write(self._connection.send(message))

    async def end(self, channel: int) -> None:
        """See :class:`Channels`; a server has no message for it."""

    async def close(self) -> None:
        """See :class:`Channels`."""
        await self._write(self._connection.send(CloseConnection(CloseReason.NORMAL_CLOSURE)))

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


class SpdyConnection:
    """The SPDY session of one client. Streams are told apart by their numbers."""

    def __init__(self, reader: Reader, writer: Writer, received: bytes) -> None:
        self._reader, self._writer = reader, writer
        self._session = spdy.Session()
        self._received = received

    async def events(self) -> AsyncIterator[spdy.Opened | spdy.Data | spdy.Reset]:
        """What happens to streams; pings are answered here. Ends when the client has gone."""
        data = self._received
        while True:
            for event in self._session.receive(data):
                if isinstance(event, spdy.Ping):
                    await self.write(self._session.pong(event.number))
                elif isinstance(event, spdy.Opened | spdy.Data | spdy.Reset):
                    yield event
            data = await self._reader.read(PIECE)
            if not data:
                return

    async def accept(self, stream: int) -> None:
        """Accepts a stream that the client has opened."""
        await self.write(self._session.reply(stream))

    async def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Sends bytes on a stream, the last ones with ``end``."""
        await self.write(self._session.data(stream, data, end=end))

    async def write(self, data: bytes) -> None:
        """Sends frames. Raises OSError when the client has gone."""
        self._writer.write(data)
        await self._writer.drain()


class SpdyChannels:
    """Channels of a SPDY session: ``expected`` are those that the client's options announce."""

    def __init__(self, connection: SpdyConnection, expected: frozenset[int]) -> None:
        self._connection = connection
        self._expected = expected
        self._streams: dict[int, int] = {}
        self._channels: dict[int, int] = {}
        self._events = connection.events()

    async def open(self) -> None:
        """Waits until the client has opened every expected stream. Raises TimeoutError, OSError."""
        async with asyncio.timeout(STREAM_SECONDS):
            while not self._expected <= self._streams.keys():
                event = await anext(self._events, None)
                if event is None:
                    raise ConnectionResetError("the client has gone before its streams were open")
                if isinstance(event, spdy.Opened):
                    await self._opened(event)

    async def _opened(self, event: spdy.Opened) -> None:
        channel = NAMES.get(event.headers.get("streamtype", ""))
        await self._connection.accept(event.stream)
        if channel is not None:
            self._streams[channel] = event.stream
            self._channels[event.stream] = channel

    async def messages(self) -> AsyncIterator[Message]:
        """See :class:`Channels`."""
        async for event in self._events:
            if isinstance(event, spdy.Opened):
                await self._opened(event)
            elif event.stream in self._channels:
                channel = self._channels[event.stream]
                if isinstance(event, spdy.Data):
                    yield Message(channel, event.data, event.ended)
                else:
                    yield Message(channel, b"", is_end=True)

    async def send(self, channel: int, data: bytes) -> None:
        """See :class:`Channels`."""
        if channel in self._streams:
            await self._connection.send(self._streams[channel], data)

    async def end(self, channel: int) -> None:
        """See :class:`Channels`."""
        if channel in self._streams:
            await self._connection.send(self._streams.pop(channel), b"", end=True)

    async def close(self) -> None:
        """See :class:`Channels`; a stream that is not ended yet is ended now."""
        for channel in tuple(self._streams):
            await self.end(channel)
