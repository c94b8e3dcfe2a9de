"""Makes the ways to the pods of other nodes, and keeps the record of them.

Only what is on record is ever removed; the record names a way before the kernel has it. It names
the VXLAN interface only when that is complete: one that is not named is made anew.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from kubelite.core import native
from kubelite.lib.files import unlink_missing, write_record
from kubelite.node.network import bridge, ipam, names, nftables
from kubelite.node.network.between import messages, peers_record, rules, ways
from kubelite.node.network.between.messages import Message
from kubelite.node.network.between.peers_record import PeersRecord
from kubelite.node.network.between.ways import ClusterNodes, RoutingMode, Tunnel, Way
from kubelite.node.network.errors import NetworkError, NoFirewall
from kubelite.node.network.netlink import RouteSocket
from kubelite.objects.facts import pod_ranges

_HINTS = {
    errno.EOPNOTSUPP: "; this kernel needs its module: `modprobe vxlan`",
    errno.EEXIST: "; `ip -d link show type vxlan` shows who has it",
}
"""What to try when the kernel refuses the VXLAN interface."""
_NOTHING_THERE = (errno.ESRCH, errno.ENOENT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP)
"""Answers to the removal of what is not there."""


class Peers:
    """The ways of the home with run directory ``run``. Changing them requires the home's lock."""

    def __init__(self, run: str, key: str) -> None:
        self._run, self._path = run, peers_record.path(run)
        self._key = key
        self._interface = names.tunnel(key)

    def apply(self, nodes: ClusterNodes) -> list[str]:
        """Makes exactly the ways to these nodes; a sentence for each that cannot be reached. Raises
        NetworkError, NativeError, OSError.
        """
        before, (after, problems) = peers_record.read(self._run), _decide(nodes)
        is_complete = after.tunnel == before.tunnel and bridge.exists(self._interface)
        intent = PeersRecord(
            range=nodes.range,
            ways={**after.ways, **before.ways},
            tunnel=after.tunnel if is_complete else None,
        )
        if intent != PeersRecord():
            write_record(self._path, intent, durable=False)
        for pod_range, way in before.ways.items():
            if after.ways.get(pod_range) != way:
                self._remove_way(pod_range)
        if after.tunnel is not None:
            failure = self._fill_table(after.tunnel, after.ways)
            if failure:
                native.net_delete(self._interface)
            elif not is_complete:
                failure = self._make_tunnel(after.tunnel)
            if failure:
                after.tunnel = None
                problems.append(f"no way to nodes behind a router: {failure}")
        elif before.ways or bridge.exists(self._interface):
            self._remove_tunnel()
        problems += self._lead(after)
        if after == PeersRecord():
            unlink_missing(self._path)
        else:
            write_record(self._path, after, durable=False)
        return problems

    def _lead(self, record: PeersRecord) -> list[str]:
        """Makes the ways that are on record."""
        problems = []
        for pod_range, way in record.ways.items():
            if way.kind is RoutingMode.vxlan and record.tunnel is None:
                continue
            try:
                self._request(self._way_messages(pod_ranges.network(pod_range), way))
            except OSError as error:
                sentence = f"no way to the pods {pod_range} of node {way.node} ({way.address})"
                problems.append(f"{sentence}, {way.kind}: {error.strerror or error}")
        return problems

    def _way_messages(self, network: int, way: Way) -> list[Message]:
        node = ipam.number(way.address)
        has_ipv6 = bridge.supports_ipv6()
        if way.kind is RoutingMode.vxlan:
            index = socket.if_nametoindex(self._interface)
            result = messages.through_vxlan(index, network, node)
            return result + (messages.through_vxlan_ipv6(index, network) if has_ipv6 else [])
        index = socket.if_nametoindex(way.link)
        result = [messages.direct(index, network, node)]
        if has_ipv6 and way.link_local:
            result.append(messages.direct_ipv6(index, network, way.link_local))
        return result

    def _remove_way(self, pod_range: str) -> None:
        """Removes what there is of a way. Raises OSError."""
        vxlan = bridge.index(self._interface)
        for message in messages.removals(pod_ranges.network(pod_range), vxlan):
            try:
                self._request([message])
            except OSError as error:
                if error.errno not in _NOTHING_THERE:
                    raise

    def _make_tunnel(self, tunnel: Tunnel) -> str:
        """Makes the interface anew; a sentence where the kernel refuses it."""
        native.net_delete(self._interface)
        try:
            self._request([messages.new_vxlan(self._interface, tunnel)])
        except OSError as error:
            hint = _HINTS.get(error.errno or 0, "")
            return f"{self._interface} cannot be made: {error.strerror}{hint}"
        index, address = socket.if_nametoindex(self._interface), ipam.number(tunnel.address)
        self._request(messages.vxlan_settings(index, address, has_ipv6=bridge.supports_ipv6()))
        bridge.refuse_routers(self._interface)
        return ""

    @staticmethod
    def _request(requests: Iterable[Message]) -> None:
        with RouteSocket() as kernel:
            for message in requests:
                kernel.request(*message)

    def _fill_table(self, tunnel: Tunnel, chosen: dict[str, Way]) -> str:
        """Makes the table; a sentence where this machine refuses it. Without it anybody could send
        into the VXLAN.
        """
        nodes = {way.address for way in chosen.values()}
        try:
            nftables.run(rules.table(self._key, tunnel.vni, nodes))
        except NetworkError as error:
            return f"nothing would keep others out of {self._interface}: {error.message}"
        return ""

    def _remove_tunnel(self) -> None:
        """The interface goes last: it shows that there is something to remove."""
        try:
            nftables.run(rules.without_table(self._key))
        except NoFirewall:
            pass  # then there is no table
        native.net_delete(self._interface)


def _decide(nodes: ClusterNodes) -> tuple[PeersRecord, list[str]]:
    """What the record is to be, and a sentence for each node that no allowed way leads to."""
    routes = bridge.routes()
    chosen, problems = ways.choose(nodes, routes)
    tunnel = None
    if any(way.kind is RoutingMode.vxlan for way in chosen.values()):
        outward = ways.outward(chosen.values(), routes)
        tunnel = ways.tunnel(nodes, map(bridge.mtu, outward))
    return PeersRecord(range=nodes.range, ways=chosen, tunnel=tunnel), problems
