"""The ways to the pods of other nodes, kept by what their Node objects say."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from kubelite.client.client import Client
from kubelite.client.informers import Informers
from kubelite.client.resources import NODES
from kubelite.core.errors import NativeError
from kubelite.node.network import names
from kubelite.node.network.between.ways import ClusterNodes, Peer, RoutingMode
from kubelite.node.network.errors import NetworkError
from kubelite.node.network.families import IPV4
from kubelite.node.network.netlink import RemovalWatch, watch_interfaces, watch_tables
from kubelite.node.network.pod import PodNetwork
from kubelite.objects.facts import pod_ranges

RETRY_SECONDS = 5.0

_log = logging.getLogger("kubelite.network")


class NodeRoutes:
    """The ways from the node ``node``, whose pods are in ``pod_network``; ``vni`` identifies the
    cluster's VXLAN.
    """

    def __init__(
        self,
        client: Client,
        node: str,
        pod_network: PodNetwork,
        vni: int,
        mode: RoutingMode = RoutingMode.auto,
    ) -> None:
        self._node, self._pod_network = node, pod_network
        self._vni, self._mode = vni, mode
        self._informers = Informers(client)
        self._nodes = self._informers.of(NODES)
        self._changed = asyncio.Event()
        self._range = ""
        self._applied: ClusterNodes | None = None
        self._problems: list[str] = []
        self._watches: list[RemovalWatch] = []

    async def start(self, range: str) -> None:
        """Takes the range that the cluster has assigned; returns when the nodes that there are can
        be reached. Raises NetworkError, NativeError, OSError.
        """
        self._range = range
        await self._informers.wait_synced()
        self._nodes.add_handler(lambda old, new: self._changed.set())
        for watch in (watch_tables(), watch_interfaces()):
            self._watches.append(watch)
            asyncio.get_running_loop().add_reader(watch.fileno(), self._removed, watch)
        if not await self._apply():
            self._changed.set()

    async def run(self) -> None:
        """Follows the cluster until cancelled. What fails is tried again."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                is_complete = await self._apply()
            except (NetworkError, NativeError, OSError) as error:
                _log.warning("ways to other nodes cannot be changed: %s", error)
                self._applied, is_complete = None, False
            if not is_complete:
                await asyncio.sleep(RETRY_SECONDS)
                self._changed.set()

    async def close(self) -> None:
        """Ways that there are stay."""
        for watch in self._watches:
            asyncio.get_running_loop().remove_reader(watch.fileno())
            watch.close()
        await self._informers.close()

    def _removed(self, watch: RemovalWatch) -> None:
        """Somebody has removed the VXLAN interface or its table: they are made again."""
        key = self._pod_network.key
        if watch.removed() & {names.tunnel(key), names.tunnel_table(key), "*"}:
            self._applied = None
            self._changed.set()

    async def _apply(self) -> bool:
        """Makes the ways to the nodes that there are; False where one of them has none."""
        nodes = self._cluster_nodes()
        if nodes == self._applied:
            return True
        self._applied = nodes
        problems = await asyncio.to_thread(self._pod_network.join, nodes)
        for problem in problems:
            if problem not in self._problems:
                _log.warning("%s", problem)
        self._problems = problems
        if problems:
            self._applied = None
        return not problems

    def _cluster_nodes(self) -> ClusterNodes:
        """What the cluster says now. Without a range of its own the node has no end of a VXLAN."""
        known = self._nodes.list()
        own = next((node for node in known if node["metadata"]["name"] == self._node), {})
        mode = self._mode if self._range else RoutingMode.direct
        peers = peers_of(known, self._node)
        return ClusterNodes(self._range, _address(own), peers, self._vni, mode)


def peers_of(nodes: Iterable[Mapping[str, Any]], own: str) -> dict[str, Peer]:
    """The other nodes by the ranges of their pods."""
    peers = {}
    for node in nodes:
        pod_range, address = (node.get("spec") or {}).get("podCIDR"), _address(node)
        name = str(node["metadata"]["name"])
        if name != own and pod_range and address:
            annotations = node["metadata"].get("annotations") or {}
            peers[str(pod_range)] = Peer(name, address, annotations.get(pod_ranges.LINK_LOCAL, ""))
    return peers


def _address(node: Mapping[str, Any]) -> str:
    """A node's internal IPv4 address, or ""."""
    addresses = (node.get("status") or {}).get("addresses") or ()
    internal = (entry["address"] for entry in addresses if entry["type"] == "InternalIP")
    return next(iter(IPV4.of(internal)), "")
