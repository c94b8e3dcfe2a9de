"""The ways to the pods of other nodes, kept by what their Node objects say."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
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
        be reached. A range that nobody could lead to is not used. Raises NetworkError, NativeError,
        OSError.
        """
        if pod_ranges.is_range(range):
            self._range = range
        elif range:
            _log.warning("the node's range %a is no /24 of %s", range[:50], pod_ranges.pool())
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
            except (NetworkError, NativeError, OSError, ValueError) as error:
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
        nodes, problems = self._cluster_nodes()
        if nodes != self._applied:
            self._applied = nodes
            unreached = await asyncio.to_thread(self._pod_network.join, nodes)
            if unreached:
                self._applied = None  # it is tried again
            problems += unreached
        for problem in problems:
            if problem not in self._problems:
                _log.warning("%s", problem)
        self._problems = problems

    def _cluster_nodes(self) -> tuple[ClusterNodes, list[str]]:
        """What the cluster says now, with a sentence for each node that cannot be used. Without a
        range and an address of its own the node has no end of a VXLAN.
        """
        known = self._nodes.list()
        own = next((node for node in known if node["metadata"]["name"] == self._node), {})
        address = _address(own)
        mode = self._mode if self._range and address else RoutingMode.direct
        peers, problems = peers_of(known, self._node, self._range)
        return ClusterNodes(self._range, address, peers, self._vni, mode), problems


def peers_of(
    nodes: Iterable[Mapping[str, Any]], own: str, own_range: str
) -> tuple[dict[str, Peer], list[str]]:
    """The nodes other than ``own`` by the ranges of their pods, and a sentence for each that cannot
    be used. A Node object may say anything: the others are reached all the same.

    Of two nodes with one range the older keeps it, on every node: who comes later gets no packets
    that are meant for others.
    """
    peers: dict[str, Peer] = {}
    problems = []
    for node in sorted(nodes, key=_age):
        name, address = str(node["metadata"]["name"]), _address(node)
        pod_range = str((node.get("spec") or {}).get("podCIDR") or "")
        if name == own or not pod_range or not _internal(node):
            continue
        no_way = f"no way to the pods of node {name}: "
        if not pod_ranges.is_range(pod_range):
            problems.append(f"{no_way}{pod_range[:50]!a} is no /24 of {pod_ranges.pool()}")
        elif not address:
            problems.append(f"{no_way}none of its internal addresses is of IPv4")
        elif pod_range == own_range or pod_range in peers:
            holder = own if pod_range == own_range else peers[pod_range].name
            problems.append(f"{no_way}node {holder} has its range {pod_range} already")
        else:
            peers[pod_range] = Peer(name, address, _link_local(node))
    return peers, problems


def _age(node: Mapping[str, Any]) -> tuple[str, str]:
    metadata = node["metadata"]
    return str(metadata.get("creationTimestamp") or ""), str(metadata["name"])


def _internal(node: Mapping[str, Any]) -> list[str]:
    addresses = (node.get("status") or {}).get("addresses") or ()
    return [str(entry.get("address")) for entry in addresses if entry.get("type") == "InternalIP"]


def _address(node: Mapping[str, Any]) -> str:
    """A node's internal IPv4 address, or ""."""
    return next((text for text in _internal(node) if _is_ipv4(text)), "")


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _link_local(node: Mapping[str, Any]) -> str:
    """What a node tells of its address on the link, or "" where that is no such address."""
    annotations = node["metadata"].get("annotations") or {}
    try:
        address = ipaddress.IPv6Address(str(annotations.get(pod_ranges.LINK_LOCAL)))
    except ValueError:
        return ""
    return str(address) if address.is_link_local and address.scope_id is None else ""
