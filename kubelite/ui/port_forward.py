"""Ports of pods on this machine, so that a link of the page can lead to them."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple
from urllib.parse import urlencode

import aiohttp

from kubelite.client.client import Client
from kubelite.client.errors import BadKubeconfig
from kubelite.client.http import HttpTransport
from kubelite.client.resources import PODS
from kubelite.client.transport import Call
from kubelite.control.api.wire.status import StatusError, bad_request, forbidden, unavailable
from kubelite.lib.directions import until_one_ends
from kubelite.lib.json import Object
from kubelite.ui.api_lookup import find_pod

ADDRESS = "127.0.0.2"
"""Of the loopback, but not the page's own address: browsers send a cookie to all ports of the
address that it is of, and a pod must not get the page's.
"""
_PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1
_PIECE = 64 * 1024


class PodPort(NamedTuple):
    """What a forwarded port leads to."""

    namespace: str
    pod: str
    port: int


class PortForwards:
    """Listens for each port that was asked for until ``close``, with the rights of the user."""

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport
        self._client = Client(transport, user_agent="kubelite-ui")
        self._servers: dict[PodPort, asyncio.Server] = {}
        self._connections = set[asyncio.Task[None]]()

    async def open(self, namespace: str, pod: str, port: str) -> Object:
        """``{"address": ..., "port": ...}`` at which a port of a pod is reached, the same one when
        asked again. Raises StatusError.
        """
        await find_pod(self._client, namespace, pod)
        if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise bad_request("port of the query must be a number from 1 to 65535")
        target = PodPort(namespace, pod, int(port))
        await self._check(target)
        if target not in self._servers:
            self._servers[target] = await self._listen(target)
        listening = self._servers[target].sockets[0].getsockname()[1]
        return {"address": ADDRESS, "port": listening}

    def close(self) -> None:
        """Ends listening, and what is carried."""
        for server in self._servers.values():
            server.close()
        for task in self._connections:
            task.cancel()

    async def _listen(self, target: PodPort) -> asyncio.Server:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._carry(target, reader, writer))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

        return await asyncio.start_server(accept, ADDRESS, 0)

    async def _check(self, target: PodPort) -> None:
        """Tries once whether the API server lets the user do this. Raises StatusError."""
        try:
            async with self._connect(target):
                pass
        except aiohttp.WSServerHandshakeError as error:
            if error.status == 403:
                raise forbidden(None, "", "you may not forward ports of this pod") from error
            sentence = f"the API server refuses to forward the port: {error.message}"
            raise StatusError(error.status, "", sentence) from error
        except (aiohttp.ClientError, TimeoutError, OSError, BadKubeconfig) as error:
            raise unavailable(f"the API server cannot be reached: {error}") from error

    def _connect(
        self, target: PodPort
    ) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        path = PODS.path(target.namespace, target.pod, "portforward")
        query = urlencode({"ports": target.port})
        return self._transport.websocket(Call("GET", path, query), [_PROTOCOL])

    async def _carry(
        self, target: PodPort, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One connection; a pod or an API server that has gone ends it."""
        try:
            async with self._connect(target) as pod:
                await until_one_ends(_to_pod(reader, pod), _from_pod(pod, writer))
        except (aiohttp.ClientError, TimeoutError, OSError, BadKubeconfig):
            pass  # whoever connects sees the end of the connection
        finally:
            writer.close()


async def _to_pod(reader: asyncio.StreamReader, pod: aiohttp.ClientWebSocketResponse) -> None:
    while piece := await reader.read(_PIECE):
        await pod.send_bytes(bytes((_DATA,)) + piece)


async def _from_pod(pod: aiohttp.ClientWebSocketResponse, writer: asyncio.StreamWriter) -> None:
    """Each channel begins with the port's number in two bytes; a word on that of errors is the
    end.
    """
    begun = set[int]()
    while True:
        message = await pod.receive()
        if message.type is aiohttp.WSMsgType.PING:
            await pod.pong(message.data)
        elif message.type is not aiohttp.WSMsgType.BINARY:
            return
        elif (channel := message.data[0]) not in begun:
            begun.add(channel)
        elif channel == _ERROR:
            return
        else:
            writer.write(message.data[1:])
            await writer.drain()
