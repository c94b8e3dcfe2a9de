"""The ways to the pods of other nodes, kept by what their Node objects say."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from kubelite.client.client import Client
from kubelite.client.informers import Informers
from kubelite.client.resources import NODES
from kubelite.core.errors import NativeError
from kubelite.node.network import names
from kubelite.node.network.between.messages import ROUTE_PROTOCOL
from kubelite.node.network.between.ways import ClusterNodes, Peer, RoutingMode
from kubelite.node.network.errors import NetworkError
from kubelite.node.network.families import IPV4
from kubelite.node.network.netlink import RemovalWatch, RouteWatch, watch_interfaces, watch_tables
from kubelite.node.network.pod import PodNetwork
from kubelite.objects.facts import pod_ranges

RETRY_SECONDS = 5.0
SETTLE_SECONDS = 0.2
"""How long a change of routes may take until its meaning for ours is looked at."""

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
        self._watches: list[RemovalWatch | RouteWatch] = []

    async def start(self, range: str) -> None:
        """Takes the range that the cluster has assigned; returns when the nodes that there are can
        be reached. Raises NetworkError, NativeError, OSError.
        """
        self._range = range
        await self._informers.wait_synced()
        self._nodes.add_handler(lambda old, new: self._changed.set())
        self._watch_kernel()
        await self._apply()

    async def run(self) -> None:
        """Follows the cluster until cancelled. What fails is tried again."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SECONDS if self._applied is None else None):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self._apply()
            except (NetworkError, NativeError, OSError) as error:
                _log.warning("ways to other nodes cannot be changed: %s", error)
                self._applied = None

    async def close(self) -> None:
        """Ways that there are stay."""
        for watch in self._watches:
            asyncio.get_running_loop().remove_reader(watch.fileno())
            watch.close()
        await self._informers.close()

    def _watch_kernel(self) -> None:
        """From here on, what others remove is made again, and what their routes mean is followed:
        an uplink that was down has lost ours.
        """
        loop, routes = asyncio.get_running_loop(), RouteWatch(ROUTE_PROTOCOL)
        loop.add_reader(routes.fileno(), self._routes_changed, routes)
        self._watches.append(routes)
        for watch in (watch_tables(), watch_interfaces()):
            loop.add_reader(watch.fileno(), self._removed, watch)
            self._watches.append(watch)

    def _routes_changed(self, watch: RouteWatch) -> None:
        if watch.has_changed():
            asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._applied = None
        self._changed.set()

    def _removed(self, watch: RemovalWatch) -> None:
        """Somebody has removed the VXLAN interface or its table: they are made again."""
        key = self._pod_network.key
        if watch.removed() & {names.tunnel(key), names.tunnel_table(key), "*"}:
            self._look_again()

    async def _apply(self) -> None:
        nodes = self._cluster_nodes()
        if nodes == self._applied:
            return
        self._applied = nodes
        problems = await asyncio.to_thread(self._pod_network.join, nodes)
        for problem in problems:
            if problem not in self._problems:
                _log.warning("%s", problem)
        self._problems = problems
        if problems:
            self._applied = None  # it is tried again

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
