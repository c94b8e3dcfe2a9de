"""A byte stream inside the messages of a WebSocket, both ways (KEP 4006)."""

from __future__ import annotations

import asyncio

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping

from kubelite.node.kubelet.server.http import PIECE


class Tunnel:
    """Reads and writes like a pair of asyncio streams, for as long as the block lasts."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received: bytes
    ) -> None:
        self._reader, self._writer = reader, writer
        self._connection = Connection(ConnectionType.SERVER)
        self._inner = asyncio.StreamReader(limit=PIECE)
        self._received = received
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Tunnel:
        self._task = asyncio.create_task(self._pump())
        return self

    async def __aexit__(self, *reason: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._writer.write(self._connection.send(CloseConnection(1000)))

    async def read(self, size: int) -> bytes:
        """Some bytes; none at the end."""
        return await self._inner.read(size)

    def write(self, data: bytes) -> None:
        """Sends bytes as one message."""
        self._writer.write(self._connection.send(BytesMessage(data=data)))

    async def drain(self) -> None:
        """Waits until the client has taken what was written. Raises OSError when it has gone."""
        await self._writer.drain()

    async def _pump(self) -> None:
        data = self._received
        try:
            while True:
                if data:
                    self._connection.receive_data(data)
                for event in self._connection.events():
                    if isinstance(event, Ping):
                        self._writer.write(self._connection.send(event.response()))
                    elif isinstance(event, CloseConnection):
                        return
                    elif isinstance(event, BytesMessage):
                        self._inner.feed_data(bytes(event.data))
                data = await self._reader.read(PIECE)
                if not data:
                    return
        except OSError:
            return  # the client has gone
        finally:
            self._inner.feed_eof()
