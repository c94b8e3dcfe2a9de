"""Ports of pods on this machine, so that a link of the page can lead to them."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import aiohttp

from kubelite.client.client import Client
from kubelite.client.errors import BadKubeconfig
from kubelite.client.http import HttpTransport
from kubelite.client.port_forward import carry, connect
from kubelite.control.api.wire.status import StatusError, bad_request, forbidden, unavailable
from kubelite.lib.json import Object
from kubelite.ui.api_lookup import find_pod

ADDRESS = "127.0.0.2"
"""Of the loopback, but not the page's own address: browsers send a cookie to all ports of the
address that it is of, and a pod must not get the page's.
"""


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
            async with connect(self._transport, *target):
                pass
        except aiohttp.WSServerHandshakeError as error:
            if error.status == 403:
                raise forbidden(None, "", "you may not forward ports of this pod") from error
            sentence = f"the API server refuses to forward the port: {error.message}"
            raise StatusError(error.status, "", sentence) from error
        except (aiohttp.ClientError, TimeoutError, OSError, BadKubeconfig) as error:
            raise unavailable(f"the API server cannot be reached: {error}") from error

    async def _carry(
        self, target: PodPort, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One connection; a pod or an API server that has gone ends it."""
        try:
            async with connect(self._transport, *target) as pod:
                await carry(pod, reader, writer)
        except (aiohttp.ClientError, TimeoutError, OSError, BadKubeconfig):
            pass  # whoever connects sees the end of the connection
        finally:
            writer.close()
