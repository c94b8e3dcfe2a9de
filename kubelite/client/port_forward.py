"""A port of a pod as a connection, over a WebSocket of the API server.

Each message begins with the number of its channel: data and errors of the one port.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlencode

import aiohttp

from kubelite.client.http import HttpTransport
from kubelite.client.resources import PODS
from kubelite.client.transport import Call
from kubelite.lib.directions import until_one_ends

_PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1
_PIECE = 64 * 1024


def connect(
    transport: HttpTransport, namespace: str, pod: str, port: int
) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
    """Opens a connection to a port of a pod. Raises aiohttp.ClientError, TimeoutError, OSError,
    BadKubeconfig.
    """
    path = PODS.path(namespace, pod, "portforward")
    return transport.websocket(Call("GET", path, urlencode({"ports": port})), [_PROTOCOL])


async def carry(
    pod: aiohttp.ClientWebSocketResponse,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Carries bytes both ways until one side ends."""
    await until_one_ends(_to_pod(reader, pod), _from_pod(pod, writer))


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
