"""How fast the pods of lost nodes are evicted: zones, their states and rates. Pure but for its
memory.

After kubernetes, ``pkg/controller/nodelifecycle``. Nodes that are lost one by one are probably
broken; when most of a zone is lost at once, the network is, and their pods run on. So nodes of a
zone get their ``NoExecute`` taints one after the other, slower in a zone of which most nodes are
lost, and not at all while no node of the cluster is ready.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from kubelite.control.controllers.shared.conditions import find
from kubelite.control.controllers.shared.meta import Key, Obj, labels_of, name_of, status_of
from kubelite.control.controllers.view import View

RATE = 0.1
"""Nodes of a zone that are tainted in a second (node-eviction-rate)."""
SECONDARY_RATE = 0.01
"""The same in a large zone of which most nodes are lost (secondary-node-eviction-rate)."""
LARGE = 50
"""A zone of more nodes is a large one (large-cluster-size-threshold)."""
UNHEALTHY = 0.55
"""The part of a zone's nodes that are lost when it counts as unhealthy (unhealthy-zone-threshold).
"""
FEW = 2
"""So many lost nodes never make a zone unhealthy, unless they are all."""
EXCLUDED = "node.kubernetes.io/exclude-disruption"
"""The label of nodes that are not counted."""
_REGION, _ZONE = (
    (f"topology.kubernetes.io/{kind}", f"failure-domain.beta.kubernetes.io/{kind}")
    for kind in ("region", "zone")
)

ZoneState = Literal["normal", "partial disruption", "full disruption"]


def zone_of(node: Obj) -> str:
    """Region and zone of a node by its labels, "" where it has neither."""
    labels = labels_of(node)
    region, zone = (labels.get(new) or labels.get(old) or "" for new, old in (_REGION, _ZONE))
    return f"{region}:{zone}" if region or zone else ""


def state_of(ready: int, lost: int) -> ZoneState:
    """The state of a zone by how many of its nodes are ready, and how many are not."""
    if lost and not ready:
        return "full disruption"
    if lost > FEW and lost / (ready + lost) >= UNHEALTHY:
        return "partial disruption"
    return "normal"


def rate_of(state: ZoneState, nodes: int) -> float:
    """How many nodes a second are tainted in a zone of so many; 0: none."""
    if state == "partial disruption":
        return SECONDARY_RATE if nodes > LARGE else 0.0
    return RATE


class Limiter:
    """A token bucket that holds one token."""

    def __init__(self, rate: float = RATE) -> None:
        self.rate = rate
        self.next_at = 0.0

    def change(self, rate: float, now: float) -> None:
        """Another rate from now on. It does not give a token to who has to wait for one."""
        if rate == self.rate:
            return
        has_token = self.rate > 0 and self.next_at <= now
        self.rate = rate
        if rate > 0 and not has_token:
            self.next_at = now + 1 / rate

    def take(self, now: float) -> bool:
        """Takes the token, if there is one."""
        if self.rate <= 0 or self.next_at > now:
            return False
        self.next_at = now + 1 / self.rate
        return True


class Member(NamedTuple):
    """What a node counts as."""

    zone: str
    is_ready: bool
    is_counted: bool


class Zone:
    """The nodes of a zone, and those that wait for their taint, in order."""

    def __init__(self) -> None:
        self.ready = self.lost = 0
        self.limiter = Limiter()
        self.waiting: dict[str, None] = {}
        self.granted: set[str] = set()

    @property
    def state(self) -> ZoneState:
        """The state by the nodes that count."""
        return state_of(self.ready, self.lost)

    @property
    def rate(self) -> float:
        """How many nodes a second are tainted."""
        return rate_of(self.state, self.ready + self.lost)

    def count(self, member: Member, by: int) -> None:
        """Counts a node that has come (1) or gone (-1)."""
        if member.is_counted and member.is_ready:
            self.ready += by
        elif member.is_counted:
            self.lost += by

    def leave(self, name: str) -> None:
        """A node that is to be tainted no more, or is tainted."""
        self.waiting.pop(name, None)
        self.granted.discard(name)

    @property
    def first(self) -> str | None:
        """Whose turn is next."""
        return next(iter(self.waiting), None)

    def turn(self, name: str, rate: float, now: float) -> float | None:
        """When the node may be tainted, at this rate: now, later, or (None) not before something
        changes: the zone's state, or who is before it.

        Who was told "now" keeps it until it leaves: a taint may have to be written twice.
        """
        if name in self.granted:
            return now
        self.limiter.change(rate, now)
        self.waiting.setdefault(name)
        if self.first != name or rate <= 0:
            return None
        if not self.limiter.take(now):
            return self.limiter.next_at
        del self.waiting[name]
        self.granted.add(name)
        return now


class Zones:
    """All zones, followed from change to change."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._zones: dict[str, Zone] = {}
        self._all = Zone()
        self.resumed = 0
        """How many times nodes have become ready after none was."""

    @property
    def is_stopped(self) -> bool:
        """Whether no node that counts is ready: then nothing is evicted."""
        return self._all.state == "full disruption"

    def turn(self, node: Obj, now: float) -> float | None:
        """When a node may get its taint, None: not before something changes."""
        zone = self._zone(zone_of(node))
        return zone.turn(name_of(node), 0.0 if self.is_stopped else zone.rate, now)

    def leave(self, name: str) -> None:
        """A node that is to be tainted no more, or is tainted."""
        member = self._members.get(name)
        if member is not None:
            self._zone(member.zone).leave(name)

    def changed(self, view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
        """Which nodes to plan again after a node has changed: itself, who may be next in its zone,
        and those for which another rate or state counts now.
        """
        del view
        node = new if new is not None else old
        if node is None:
            return
        name = name_of(node)
        yield "", name
        member = _member(new) if new is not None else None
        before = self._members.get(name)
        if member != before:
            yield from self._replace(name, before, member)
        for zone in {state.zone for state in (before, member) if state is not None}:
            if (first := self._zone(zone).first) is not None:
                yield "", first

    def _replace(self, name: str, before: Member | None, after: Member | None) -> Iterator[Key]:
        touched = {member.zone for member in (before, after) if member is not None}
        rates = {zone: self._zone(zone).rate for zone in touched}
        was_stopped = self.is_stopped
        if before is not None:
            self._count(before, -1)
            if after is None or after.is_ready or after.zone != before.zone:
                self._zone(before.zone).leave(name)
            del self._members[name]
        if after is not None:
            self._count(after, 1)
            self._members[name] = after
        if self.is_stopped != was_stopped:
            self.resumed += was_stopped
            yield from (("", other) for other in self._members)
            return
        for zone, rate in rates.items():
            if self._zone(zone).rate != rate:
                yield from (("", other) for other in self._zone(zone).waiting)

    def _count(self, member: Member, by: int) -> None:
        self._zone(member.zone).count(member, by)
        self._all.count(member, by)

    def _zone(self, name: str) -> Zone:
        return self._zones.setdefault(name, Zone())


def _member(node: Obj) -> Member:
    ready = find(status_of(node).get("conditions") or (), "Ready")
    is_ready = ready is not None and ready.get("status") == "True"
    return Member(zone_of(node), is_ready, EXCLUDED not in labels_of(node))
