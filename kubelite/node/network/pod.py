"""The network of pods of one home, one pod after the other: prepare, attach, remove.

Every step can be interrupted. ``prepare`` records the address before the pod's interface exists,
``remove`` needs only that record and deletes it last. The home's shared objects (bridge, firewall
table, forwarding) are complete exactly when the file ``network.json`` exists; they are made with
the first pod and removed with the last.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from kubelite.core import native
from kubelite.lib.files import FileLock, RecordError, read_record, write_record
from kubelite.node.network import bridge, ipam, names, ports
from kubelite.node.network.errors import FirewallRefused, NetworkError, NoFirewall
from kubelite.node.network.families import IPV4, IPV6
from kubelite.node.network.leases import Held, LeaseRecord, Leases
from kubelite.node.network.ports import HostPort
from kubelite.objects.facts import pod_ranges
from kubelite.objects.facts.pod_ranges import IPV6_UPPER, PREFIX

if TYPE_CHECKING:
    from kubelite.node.network.bandwidth import Bandwidth
    from kubelite.node.network.between.peers_record import PeersRecord
    from kubelite.node.network.between.ways import ClusterNodes

POD_PREFIX = 32
"""A pod sees no neighbour but its gateway. Packets between pods of one bridge so pass through the
host's routing, where Services are translated both ways and network policies are held.
"""

_NO_IPV6 = ("pods have IPv4 addresses only: this machine has IPv6 turned off",)


class Shared(msgspec.Struct, kw_only=True):
    """The home's shared objects. ``warnings`` are sentences about what this machine does not
    support; ``restores_forwarding`` and ``restores_ipv6_forwarding`` are what the bridge remembers,
    should somebody delete it.
    ``has_ipv6``: the bridge and the firewall have both families.
    """

    version: int = 1
    subnet: str
    firewall: bool
    warnings: tuple[str, ...] = ()
    restores_forwarding: bool = False
    restores_ipv6_forwarding: bool = False
    has_ipv6: bool = False


class Lease(NamedTuple):
    """A pod's address, that of the bridge, and the name of the pod's interface on the host.
    ``ipv6`` is the pod's address of that family, "" where it has none.
    """

    uid: str
    address: str
    prefix: int
    gateway: str
    bridge: str
    interface: str
    ports: tuple[HostPort, ...]
    warnings: tuple[str, ...]
    ipv6: str = ""

    @property
    def addresses(self) -> tuple[str, ...]:
        """The pod's addresses, IPv4 first."""
        return (self.address, self.ipv6) if self.ipv6 else (self.address,)


class PodNetwork:
    """The network of the home with run directory ``run`` and eight-digit ``key``.

    ``lock`` is the home's lock file, which the methods take: callers must not hold it. Calls for
    one pod require that pod's lock.
    """

    def __init__(self, run: str, key: str, lock: str) -> None:
        self._record = f"{run}/network.json"
        self.key = key
        self._lock = lock
        self._leases = Leases(run)
        self._run = run

    def prepare(
        self,
        uid: str,
        owner: str,
        requested: Sequence[HostPort] = (),
        *,
        dual_stack: bool = False,
    ) -> Lease:
        """Records an address for a pod and makes the bridge. ``owner`` is its ``namespace/name``;
        with ``dual_stack`` the pod gets an IPv6 address too, where the machine has that family.

        A pod that has an address keeps it. Raises PortTaken and PortRefused with nothing changed;
        after NoAddress, NoFirewall, NetworkError, NativeError and OSError :meth:`remove` is needed.
        """
        ports.check(requested)
        with FileLock(self._lock):
            held = self._leases.held()
            if requested:
                self._refuse_taken(uid, requested, held)
            has_ipv6 = dual_stack and bridge.supports_ipv6()
            shared = self._open(bool(requested), has_ipv6)
            mine = self._choose(uid, ipam.number(shared.subnet), held)
            record = LeaseRecord(owner=owner, ports=tuple(requested), has_ipv6=has_ipv6)
            self._leases.write(mine, record)
        return self._lease(
            mine, record, shared.warnings + (_NO_IPV6 if dual_stack and not has_ipv6 else ())
        )

    def attach(self, lease: Lease, netns: int, limits: Bandwidth | None = None) -> None:
        """Connects the network namespace of the descriptor ``netns`` to the bridge, limits what it
        may use, then opens the pod's host ports.

        Raises NativeError, NetworkError; then :meth:`remove` is needed.
        """
        native.net_attach(
            netns,
            lease.bridge,
            lease.interface,
            names.POD_INTERFACE,
            ipam.number(lease.address),
            POD_PREFIX,
            ipam.number(lease.gateway),
            IPV6_UPPER if lease.ipv6 else b"",
        )
        if limits is not None:
            self._limit(lease, netns, limits)
        if lease.ports:
            from kubelite.node.network import firewall_rules

            self._change(firewall_rules.open_ports(self.key, lease.addresses, lease.ports))

    def _limit(self, lease: Lease, netns: int, limits: Bandwidth) -> None:
        from kubelite.node.network.bandwidth import burst

        for place, interface, rate in (
            (-1, lease.interface, limits.ingress),
            (netns, names.POD_INTERFACE, limits.egress),
        ):
            if rate:
                native.net_limit(place, interface, rate, burst(rate))

    def remove(self, uid: str) -> None:
        """Removes everything of a pod, and the shared objects when it was the last one.

        Does nothing, quickly, for an unknown pod. The pod's interface goes first, which mostly has
        vanished with its namespace: it would wait for the kernel's removal of the bridge. Raises
        NativeError, NetworkError.
        """
        mine = [entry for entry in self._leases.held() if entry.uid == uid]
        for entry in mine:
            self._unplug(entry)
        self._close_behind(uid, mine)

    def remove_all(self) -> None:
        """Removes every pod that has a lease, and the shared objects even when there is none."""
        for uid in {entry.uid for entry in self._leases.held()}:
            self.remove(uid)
        with FileLock(self._lock):
            self._close()
        self.leave()
        from kubelite.node.network import announcements

        announcements.announce(self.key, ())

    def leases(self) -> list[tuple[str, Lease]]:
        """The leases of all pods, each with its pod's ``namespace/name``, by address."""
        pairs = sorted(self._records(self._leases.held()), key=lambda pair: pair[0].address)
        return [(record.owner, self._lease(entry, record, ())) for entry, record in pairs]

    def lease(self, uid: str) -> Lease | None:
        """The lease of a pod as returned by :meth:`prepare`, or None."""
        for entry in self._leases.held():
            if entry.uid == uid:
                return self._lease(entry, self._leases.read(entry), ())
        return None

    # -- pods of other nodes ---

    def wished_range(self) -> str:
        """The range of addresses that this home's pods have, or would get now. Raises NoAddress."""
        return pod_ranges.text(bridge.choose(self.key, self._preferred(self._recorded())))

    def join(self, nodes: ClusterNodes) -> list[str]:
        """Takes the range that the cluster has assigned, and makes the ways to the pods of other
        nodes. Returns a sentence for each node that cannot be reached. Raises NetworkError,
        NativeError, OSError.
        """
        from kubelite.node.network.between.peers import Peers

        with FileLock(self._lock):
            problems = Peers(self._run, self.key).apply(nodes)
            shared = self._shared()
            if shared is not None:
                bridge.match_mtu(self.key, self.ways().max_mtu)
        if shared is not None and shared.firewall:
            self._change(self._peer_rules(nodes.peers, shared.has_ipv6))
        return problems

    def leave(self) -> None:
        """Takes back all ways to pods of other nodes; the range is free again. Raises NetworkError,
        NativeError, OSError.
        """
        from kubelite.node.network.between.ways import ClusterNodes

        self.join(ClusterNodes())

    def ways(self) -> PeersRecord:
        """The ways to the pods of other nodes, as far as they are on record."""
        # Only for the first pod, and in a cluster.
        from kubelite.node.network.between import peers_record

        return peers_record.read(self._run)

    def _peer_rules(self, ranges: Iterable[str], has_ipv6: bool) -> str:
        from kubelite.node.network import firewall_rules

        families = (IPV4, IPV6) if has_ipv6 else (IPV4,)
        return "".join(firewall_rules.peers(self.key, ranges, family) for family in families)

    # -- one pod ---

    def _lease(self, held: Held, record: LeaseRecord | None, warnings: tuple[str, ...]) -> Lease:
        address = ipam.text(held.address)
        gateway = ipam.text(ipam.gateway(ipam.subnet_of(held.address)))
        interface = names.port(self.key, address)
        return Lease(
            held.uid,
            address,
            PREFIX,
            gateway,
            names.bridge(self.key),
            interface,
            record.ports if record else (),
            warnings,
            pod_ranges.ipv6(held.address) if record and record.has_ipv6 else "",
        )

    def _choose(self, uid: str, subnet: int, held: Sequence[Held]) -> Held:
        """The pod's lease in this subnet, or a new one; those in other subnets, from before a
        reboot, are dropped.
        """
        for entry in held:
            if entry.uid != uid:
                continue
            if ipam.subnet_of(entry.address) == subnet:
                return entry
            self._leases.drop(entry)
        return Held(ipam.choose_address(subnet, uid, {entry.address for entry in held}), uid)

    def _refuse_taken(self, uid: str, requested: Sequence[HostPort], held: Sequence[Held]) -> None:
        from kubelite.node.network import firewall_rules, nftables, sockets

        others = [(entry, record) for entry, record in self._records(held) if entry.uid != uid]
        theirs = [
            ports.Held(port, f"pod {record.owner}") for _, record in others for port in record.ports
        ]
        ports.refuse_taken(requested, theirs)
        ports.refuse_taken(
            requested,
            firewall_rules.foreign_ports(nftables.run(firewall_rules.LIST_MAPS), self.key),
        )
        sockets.refuse_bound(requested)

    def _unplug(self, held: Held) -> None:
        record = self._leases.read(held)
        lease = self._lease(held, record, ())
        if lease.ports and self._shared() is not None:
            from kubelite.node.network import firewall_rules

            self._change(firewall_rules.close_ports(self.key, lease.addresses, lease.ports))
        upper = IPV6_UPPER if lease.ipv6 else b""
        native.net_detach(lease.bridge, lease.interface, held.address, upper)

    def _records(self, held: Sequence[Held]) -> list[tuple[Held, LeaseRecord]]:
        pairs = ((entry, self._leases.read(entry)) for entry in held)
        return [(entry, record) for entry, record in pairs if record is not None]

    # -- what all pods share ---

    def repair(self) -> bool:
        """Makes again what somebody else has removed of the bridge and the firewall table while
        there are pods; False where nothing was missing. Raises NetworkError, NativeError, OSError.
        """
        with FileLock(self._lock):
            recorded = self._recorded()
            if recorded is None:
                return False
            if self._shared() is None:
                self._open(recorded.firewall, recorded.has_ipv6)
            elif recorded.firewall and not self._has_tables(recorded):
                self._make_table(ipam.number(recorded.subnet), recorded.has_ipv6)
            else:
                return False
            return True

    def shared(self) -> Shared | None:
        """What all pods share; None while there is no pod."""
        return self._shared()

    def _recorded(self) -> Shared | None:
        try:
            return read_record(self._record, Shared)
        except (FileNotFoundError, RecordError):
            return None

    def _shared(self) -> Shared | None:
        """The record, when it is valid and the bridge exists; after a reboot it does not."""
        return self._recorded() if bridge.exists(names.bridge(self.key)) else None

    def _open(self, firewall: bool, has_ipv6: bool = False) -> Shared:
        """Makes bridge, forwarding and firewall table. Without nftables it succeeds unless
        ``firewall``, for host ports, is required. What has IPv6 keeps it.
        """
        shared = self._shared()
        lacks_firewall = shared is None or (firewall and not shared.firewall)
        if shared is not None and not lacks_firewall and shared.has_ipv6 >= has_ipv6:
            return shared
        has_ipv6 |= shared is not None and shared.has_ipv6
        subnet, warnings = self._make_bridge(has_ipv6)
        ipv4, ipv6 = bridge.restores_forwarding(self.key)
        created = Shared(
            subnet=ipam.text(subnet),
            firewall=True,
            warnings=warnings,
            restores_forwarding=ipv4,
            restores_ipv6_forwarding=ipv6,
            has_ipv6=has_ipv6,
        )
        try:
            self._make_table(subnet, has_ipv6)
        except NetworkError as error:
            if firewall:
                raise
            created.firewall = False
            created.warnings += (f"pods cannot reach other machines: {error.message}",)
        write_record(self._record, created, durable=False)
        return created

    def _make_bridge(self, has_ipv6: bool) -> tuple[int, tuple[str, ...]]:
        """The bridge, as :func:`bridge.make`. Pods outlive one that somebody has deleted: their
        interfaces are still there.
        """
        before = self._recorded()
        subnet, warnings = bridge.make(
            self.key, self._preferred(before), has_ipv6=has_ipv6, max_mtu=self.ways().max_mtu
        )
        upper = IPV6_UPPER if has_ipv6 else b""
        is_again = False
        for entry in self._leases.held():
            port = names.port(self.key, ipam.text(entry.address))
            if ipam.subnet_of(entry.address) == subnet and bridge.exists(port):
                is_again |= native.net_plug(names.bridge(self.key), port, entry.address, upper)
        if is_again and before is not None:
            restored = (before.restores_forwarding, before.restores_ipv6_forwarding)
            bridge.restore_forwarding_later(self.key, *restored)
        return subnet, warnings

    def _preferred(self, before: Shared | None) -> int | None:
        """The subnet that there was before, or that the cluster has assigned."""
        if before is not None:
            return ipam.number(before.subnet)
        assigned = self.ways().range
        return pod_ranges.network(assigned) if assigned else None

    def _has_tables(self, shared: Shared) -> bool:
        from kubelite.node.network import nftables

        name = names.table(self.key)
        return nftables.has_table(name) and (
            not shared.has_ipv6 or nftables.has_table(name, IPV6.nft)
        )

    def _make_table(self, subnet: int, has_ipv6: bool) -> None:
        from kubelite.node.network import firewall_rules, nftables

        opened = [
            firewall_rules.open_ports(
                self.key, self._lease(entry, record, ()).addresses, record.ports
            )
            for entry, record in self._records(self._leases.held())
        ]
        commands = firewall_rules.table(self.key, subnet, bridge.uplinks())
        old = firewall_rules.without_table(self.key)
        if has_ipv6:
            commands += firewall_rules.table(self.key, subnet, bridge.uplinks(ipv6=True), IPV6)
            old += firewall_rules.without_table(self.key, IPV6)
        commands += "".join(opened) + self._peer_rules(self.ways().ways, has_ipv6)
        try:
            nftables.run(commands)
        except FirewallRefused:  # a crash has left one, or it was without IPv6
            nftables.run(old + commands)
        bridge.serve_loopback(self.key)

    def _change(self, commands: str) -> None:
        """Changes the table; when it is missing, as after ``nft flush ruleset``, makes it again."""
        from kubelite.node.network import nftables

        try:
            nftables.run(commands)
        except FirewallRefused:
            with FileLock(self._lock):
                shared = self._shared()
                if shared is None:
                    raise
                self._make_table(ipam.number(shared.subnet), shared.has_ipv6)
            nftables.run(commands)

    def _close_behind(self, uid: str, mine: Sequence[Held] = ()) -> None:
        """Removes the shared objects when no other pod has a lease, then this pod's leases."""
        with FileLock(self._lock):
            if all(entry.uid == uid for entry in self._leases.held()):
                self._close()
            for entry in mine:
                self._leases.drop(entry)

    def _close(self) -> None:
        """Removes the record first, which claims that all is complete, and the bridge last, whose
        existence shows that there is something to remove.
        """
        recorded = self._recorded()
        try:
            os.unlink(self._record)
        except FileNotFoundError:
            if not bridge.exists(names.bridge(self.key)):
                return
        self._remove_tables(recorded is None or recorded.has_ipv6)
        bridge.remove(self.key)

    def _remove_tables(self, maybe_ipv6: bool) -> None:
        from kubelite.node.network import firewall_rules, nftables

        commands = firewall_rules.without_table(self.key)
        try:
            if maybe_ipv6 and nftables.has_table(names.table(self.key), IPV6.nft):
                commands += firewall_rules.without_table(self.key, IPV6)
            nftables.run(commands)
        except NoFirewall:
            pass  # then there is no table
