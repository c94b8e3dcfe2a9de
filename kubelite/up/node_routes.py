"""Routes to the pods of other nodes, kept by what their Node objects say."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from kubelite.client.client import Client
from kubelite.client.informers import Informers
from kubelite.client.resources import NODES
from kubelite.node.network.errors import NetworkError
from kubelite.node.network.pod import PodNetwork

RETRY_SECONDS = 5.0

_log = logging.getLogger("kubelite.network")


class NodeRoutes:
    """The routes of the node ``node``, whose pods are in ``pod_network``."""

    def __init__(self, client: Client, node: str, pod_network: PodNetwork) -> None:
        self._node, self._pod_network = node, pod_network
        self._informers = Informers(client)
        self._nodes = self._informers.of(NODES)
        self._changed = asyncio.Event()
        self._range = ""
        self._applied: Mapping[str, str] | None = None

    async def start(self, range: str) -> None:
        """Takes the range that the cluster has assigned; returns when the nodes that there are can
        be reached. Raises NetworkError, OSError.
        """
        self._range = range
        await self._informers.wait_synced()
        await self._apply()
        self._nodes.add_handler(lambda old, new: self._changed.set())

    async def run(self) -> None:
        """Follows the cluster until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._apply()
            except (NetworkError, OSError) as error:
                _log.warning("routes to other nodes cannot be changed: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                self._changed.set()

    async def close(self) -> None:
        """Routes that there are stay."""
        await self._informers.close()

    async def _apply(self) -> None:
        peers = peers_of(self._nodes.list(), self._node)
        if peers == self._applied:
            return
        for problem in await asyncio.to_thread(self._pod_network.join, self._range, peers):
            _log.warning("%s", problem)
        self._applied = peers


def peers_of(nodes: Iterable[Mapping[str, Any]], own: str) -> dict[str, str]:
    """The ranges of the other nodes' pods, each with the address of its node."""
    peers = {}
    for node in nodes:
        range = (node.get("spec") or {}).get("podCIDR")
        addresses = (node.get("status") or {}).get("addresses") or ()
        internal = [entry["address"] for entry in addresses if entry["type"] == "InternalIP"]
        if node["metadata"]["name"] != own and range and internal:
            peers[str(range)] = str(internal[0])
    return peers
