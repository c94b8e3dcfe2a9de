"""The network of pods of one home, one pod after the other: prepare, attach, remove.

Everything can be interrupted anywhere. ``prepare`` records the address before the pod's interface
exists, ``remove`` works from the record alone and forgets it last, and the home's shared objects
(bridge, firewall table, forwarding) are complete exactly when the file ``network.json`` is there.
They come with the first pod and go with the last.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from kubelite.core import native
from kubelite.lib.files import FileLock, RecordError, read_record, write_record
from kubelite.node.network import bridge, ipam, names, ports
from kubelite.node.network.errors import FirewallRefused, NetworkError, NoFirewall
from kubelite.node.network.leases import Held, LeaseRecord, Leases
from kubelite.node.network.ports import HostPort

POD_PREFIX = 32
"""A pod sees no neighbour but its gateway. Packets between pods of one bridge so pass through the
host's routing, where Services are translated both ways and network policies are held.
"""


class Shared(msgspec.Struct, kw_only=True):
    """The home's shared objects, complete. ``warnings`` are sentences on what this machine could
    not give.
    """

    version: int = 1
    subnet: str
    firewall: bool
    warnings: tuple[str, ...] = ()


class Lease(NamedTuple):
    """A pod's place in the network: its address, the bridge's, and its end of the pair on the host."""

    uid: str
    address: str
    prefix: int
    gateway: str
    bridge: str
    interface: str
    ports: tuple[HostPort, ...]
    warnings: tuple[str, ...]


class PodNetwork:
    """The network of the home with run directory ``run`` and eight-digit ``key``.

    ``lock`` is the home's lock file; it is taken for a moment inside, so callers must not hold it.
    Calls for one pod are made by whoever holds that pod's lock.
    """

    def __init__(self, run: str, key: str, lock: str) -> None:
        self._record = f"{run}/network.json"
        self._key = key
        self._lock = lock
        self._leases = Leases(run)

    def prepare(self, uid: str, owner: str, wanted: Sequence[HostPort] = ()) -> Lease:
        """An address for a pod, on record, and the bridge to plug it into. ``owner`` is its
        ``namespace/name``.

        A pod that has an address keeps it. Nothing was made when PortTaken or PortRefused is
        raised; NoAddress, NoFirewall, NetworkError, NativeError and OSError may leave something for
        :meth:`remove`.
        """
        ports.check(wanted)
        with FileLock(self._lock):
            held = self._leases.held()
            if wanted:
                self._refuse_taken(uid, wanted, held)
            shared = self._open(bool(wanted))
            mine = self._choose(uid, ipam.number(shared.subnet), held)
            self._leases.write(mine, LeaseRecord(owner=owner, ports=tuple(wanted)))
        return self._lease(mine, tuple(wanted), shared.warnings)

    def attach(self, lease: Lease, netns: int) -> None:
        """Plugs in the network namespace behind the descriptor ``netns``, then opens the pod's host
        ports.

        Raises NativeError, NetworkError; then :meth:`remove` takes away what there is.
        """
        native.net_attach(
            netns,
            lease.bridge,
            lease.interface,
            names.POD_INTERFACE,
            ipam.number(lease.address),
            POD_PREFIX,
            ipam.number(lease.gateway),
        )
        if lease.ports:
            from kubelite.node.network import ruleset

            self._change(ruleset.open_ports(self._key, lease.address, lease.ports))

    def remove(self, uid: str) -> None:
        """Takes away everything of a pod, and what the home's pods share when it was the last one.

        Does nothing, quickly, when there is nothing. The bridge goes first: while the kernel takes
        it apart, the pod's own end vanishes with its namespace. Raises NativeError, NetworkError.
        """
        self._close_behind(uid)
        mine = [each for each in self._leases.held() if each.uid == uid]
        for each in mine:
            self._unplug(each)
        self._close_behind(uid, mine)

    def remove_all(self) -> None:
        """The same for every pod that has a lease, and for shared objects that no pod has any more."""
        for uid in {each.uid for each in self._leases.held()}:
            self.remove(uid)
        with FileLock(self._lock):
            self._close()

    def lease(self, uid: str) -> Lease | None:
        """What a pod holds, as :meth:`prepare` gave it, or None."""
        for each in self._leases.held():
            if each.uid == uid:
                record = self._leases.read(each)
                return self._lease(each, record.ports if record else (), ())
        return None

    # -- one pod -------------------------------------------------------------------------------------------------------

    def _lease(self, held: Held, wanted: tuple[HostPort, ...], warnings: tuple[str, ...]) -> Lease:
        address = ipam.text(held.address)
        gateway = ipam.text(ipam.gateway(ipam.subnet_of(held.address)))
        interface = names.port(self._key, address)
        return Lease(
            held.uid,
            address,
            ipam.PREFIX,
            gateway,
            names.bridge(self._key),
            interface,
            wanted,
            warnings,
        )

    def _choose(self, uid: str, subnet: int, held: Sequence[Held]) -> Held:
        """The pod's lease of this subnet, or a new one; what it had in another, before a reboot, is
        dropped.
        """
        for each in held:
            if each.uid != uid:
                continue
            if ipam.subnet_of(each.address) == subnet:
                return each
            self._leases.drop(each)
        return Held(ipam.choose_address(subnet, uid, {each.address for each in held}), uid)

    def _refuse_taken(self, uid: str, wanted: Sequence[HostPort], held: Sequence[Held]) -> None:
        from kubelite.node.network import nftables, ruleset, sockets

        others = [(each, record) for each, record in self._records(held) if each.uid != uid]
        theirs = [
            ports.Held(port, f"pod {record.owner}") for _, record in others for port in record.ports
        ]
        ports.refuse_taken(wanted, theirs)
        ports.refuse_taken(
            wanted, ruleset.foreign_ports(nftables.run(ruleset.LIST_MAPS), self._key)
        )
        sockets.refuse_bound(wanted)

    def _unplug(self, held: Held) -> None:
        record = self._leases.read(held)
        address = ipam.text(held.address)
        if record is not None and record.ports and self._shared() is not None:
            from kubelite.node.network import ruleset

            self._change(ruleset.close_ports(self._key, address, record.ports))
        native.net_delete(names.port(self._key, address))

    def _records(self, held: Sequence[Held]) -> list[tuple[Held, LeaseRecord]]:
        found = ((each, self._leases.read(each)) for each in held)
        return [(each, record) for each, record in found if record is not None]

    # -- what all pods share -------------------------------------------------------------------------------------------

    def _shared(self) -> Shared | None:
        """The record, when it is there and the bridge is too: neither survives a reboot together
        with the other.
        """
        try:
            shared = read_record(self._record, Shared)
        except (FileNotFoundError, RecordError):
            return None
        return shared if bridge.exists(names.bridge(self._key)) else None

    def _open(self, firewall: bool) -> Shared:
        """Bridge, forwarding and firewall table; without a firewall only where none of its ports is
        wanted.
        """
        shared = self._shared()
        if shared is not None and (shared.firewall or not firewall):
            return shared
        subnet, warnings = bridge.make(self._key)
        made = Shared(subnet=ipam.text(subnet), firewall=True, warnings=warnings)
        try:
            self._make_table(subnet)
        except NetworkError as error:
            if firewall:
                raise
            made.firewall = False
            made.warnings += (f"pods reach no other machine than this one: {error.message}",)
        write_record(self._record, made, durable=False)
        return made

    def _make_table(self, subnet: int) -> None:
        from kubelite.node.network import nftables, ruleset

        opened = [
            ruleset.open_ports(self._key, ipam.text(each.address), record.ports)
            for each, record in self._records(self._leases.held())
        ]
        made = ruleset.table(self._key, subnet) + "".join(opened)
        try:
            nftables.run(made)
        except FirewallRefused:  # a crash had left one, or it is incomplete
            nftables.run(ruleset.without_table(self._key) + made)
        bridge.serve_loopback(self._key)

    def _change(self, commands: str) -> None:
        """Carries out a change of the table; where the table has gone, as after ``nft flush
        ruleset``, makes it anew."""
        from kubelite.node.network import nftables

        try:
            nftables.run(commands)
        except FirewallRefused:
            with FileLock(self._lock):
                shared = self._shared()
                if shared is None:
                    raise
                self._make_table(ipam.number(shared.subnet))
            nftables.run(commands)

    def _close_behind(self, uid: str, mine: Sequence[Held] = ()) -> None:
        """Closes the home when nobody but this pod has a lease, then forgets those of its leases
        that are over.
        """
        with FileLock(self._lock):
            if all(each.uid == uid for each in self._leases.held()):
                self._close()
            for each in mine:
                self._leases.drop(each)

    def _close(self) -> None:
        """The record first, since what it vouches for is about to go; the bridge last, since its
        presence says that there is something to take away."""
        try:
            os.unlink(self._record)
        except FileNotFoundError:
            if not bridge.exists(names.bridge(self._key)):
                return
        self._remove_table()
        bridge.remove(self._key)

    def _remove_table(self) -> None:
        from kubelite.node.network import nftables, ruleset

        try:
            nftables.run(ruleset.without_table(self._key))
        except NoFirewall:
            pass  # then there is no table either
