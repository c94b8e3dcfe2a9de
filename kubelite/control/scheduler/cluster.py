"""The scheduler's view of a cluster: objects come and go, pods are decided about, placed and evicted. Pure.

Pods change numbers in place; nodes, services, budgets and namespaces change what classes of pods are made of, so the columns are
made anew when the next decision needs them. Allocatable amounts are the exception, since nodes report them all the time.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubelite.control.scheduler import nodes as node_rows
from kubelite.control.scheduler import profile as profiles
from kubelite.control.scheduler import storage, volumes, world
from kubelite.control.scheduler.columns import Columns, OutOfResources, PodClass
from kubelite.control.scheduler.decision import Decision
from kubelite.control.scheduler.errors import BadConfiguration
from kubelite.control.scheduler.fields import Place, named
from kubelite.control.scheduler.profile import Profile
from kubelite.control.scheduler.rating import rate
from kubelite.control.scheduler.traitcache import TraitCache
from kubelite.control.scheduler.traits import Traits
from kubelite.core import native
from kubelite.objects.labels import of_map

NOT_STARTED = (1 << 63) - 1  # a pod without a start time counts as started now
FINISHED = ("Succeeded", "Failed")

Object = Mapping[str, Any]


@dataclass(eq=False, slots=True)
class Entry:
    """A pod that runs or is nominated. ``node`` is "" until it has one."""

    key: str
    name: str
    obj: Object
    traits: Traits
    slot: int
    node: str
    nominated: str
    start: int
    known: PodClass | None = None


class Cluster:
    """Nodes, the pods on them, and all that decides where the next pod goes.

    ``seed`` breaks ties at random, the same way every time; None takes the node that comes first.
    """

    def __init__(self, profiles_: Sequence[Profile] = (), *, seed: int | None = None) -> None:
        self.profiles = {each.name: each for each in profiles_ or (profiles.default(),)}
        self.world = world.World()
        self.random = array("Q", [0 if seed is None else (seed << 1 | 1) & (1 << 64) - 1])
        self._rows: dict[str, node_rows.Node] = {}
        self._objects: dict[str, Object] = {}
        self._pods: dict[str, Entry] = {}
        self._slots: list[Entry | None] = []
        self._free: list[int] = []
        self._traits = TraitCache()
        self._resources: dict[str, int] = {}
        self._columns: Columns | None = None

    # Objects

    def put(self, kind: str, obj: Object) -> None:
        """Takes over an object that is new or has changed. Raises BadObject; kinds that do not matter are passed over."""
        self._take(kind, obj, True)

    def drop(self, kind: str, obj: Object) -> None:
        """Forgets an object that is gone."""
        self._take(kind, obj, False)

    def _take(self, kind: str, obj: Object, present: bool) -> None:
        place = named(obj, kind)
        if kind == "Pod":
            self._take_pod(place, obj, present)
        elif kind == "Node":
            self._take_node(place, obj, present)
        elif kind in storage.KINDS:
            self.world.storage.put(kind, place, present)
            self._columns = None
        else:
            self._take_other(kind, place, present)

    def _take_other(self, kind: str, place: Place, present: bool) -> None:
        meta = place.at("metadata")
        name, namespace = meta.at("name").text(), meta.at("namespace").text() or "default"
        changes: dict[str, tuple[Any, Any, Any]] = {
            "Namespace": (self.world.spaces, name, lambda: meta.at("labels").labels()),
            "Service": (self.world.services, f"{namespace}/{name}", lambda: (namespace, of_map(_selector(place)))),
            "PodDisruptionBudget": (self.world.budgets, f"{namespace}/{name}", lambda: world.budget(place)),
        }
        if kind in world.WORKLOADS:
            table: tuple[Any, Any, Any] = (self.world.workloads, (namespace, kind, name), None)
            table = (*table[:2], lambda: world.workload_selector(kind, place))
        elif kind in changes:
            table = changes[kind]
        else:
            return
        old = table[0].pop(table[1], None) if not present else table[0].get(table[1])
        new = table[2]() if present else None
        if present:
            table[0][table[1]] = new
        if old != new:
            self._columns = None

    def _take_node(self, place: Place, obj: Object, present: bool) -> None:
        row = node_rows.read(place)
        old = self._rows.get(row.name)
        if not present:
            if old is not None:
                del self._rows[row.name], self._objects[row.name]
                self._columns = None
            return
        self._objects[row.name] = obj
        self._rows[row.name] = row
        if old is None or old.shape() != row.shape():
            self._columns = None
        elif old != row and self._columns is not None:
            self._change_amounts(row)

    def _change_amounts(self, row: node_rows.Node) -> None:
        assert self._columns is not None  # the caller has looked
        nodes = self._columns.world.nodes
        number = nodes.index[row.name]
        nodes.rows[number] = row  # type: ignore[index]  # the list that refresh made
        if any(name not in self._resources for name in row.allocatable):
            self._columns = None
        else:
            self._columns.set_node(number)

    # Pods

    def _take_pod(self, place: Place, obj: Object, present: bool) -> None:
        key = self.key(place)
        self._remove(key)
        node = place.at("spec", "nodeName").text()
        nominated = place.at("status", "nominatedNodeName").text()
        if not present or place.at("status", "phase").text() in FINISHED or not (node or nominated):
            return
        self._add(self._entry(key, place, obj, node, nominated))

    @staticmethod
    def key(place: Place) -> str:
        """What tells pods apart: "ns/name", or the object itself where a partial object has no name."""
        meta = place.at("metadata")
        name = meta.at("name").text()
        return f"{meta.at('namespace').text() or 'default'}/{name}" if name else f"#{id(place.value)}"

    def _entry(self, key: str, place: Place, obj: Object, node: str, nominated: str) -> Entry:
        read = self._traits.read(place, obj)
        slot = self._free.pop() if self._free else len(self._slots)
        return Entry(key, _full_name(place), obj, read, slot, node, nominated, _start(place))

    def _add(self, entry: Entry) -> None:
        if entry.slot == len(self._slots):
            self._slots.append(None)
        self._slots[entry.slot] = entry
        self._pods[entry.key] = entry
        if self._traits.learn((entry.traits,)):
            self._columns = None
        if self._columns is not None:
            try:
                self._load(self._columns, (entry,))
            except OutOfResources:
                self._columns = None

    def _remove(self, key: str) -> None:
        entry = self._pods.pop(key, None)
        if entry is None:
            return
        self._slots[entry.slot] = None
        self._free.append(entry.slot)
        if self._columns is not None:
            native.sched_pods(self._columns.sched, array("q", [entry.slot, 0, -1, 0]))

    def assume(self, pod: Object, node: str) -> None:
        """Counts a pod as running on a node, before anybody else knows. Binds the claims that waited for it."""
        place = named(pod, "Pod")
        key = self.key(place)
        self._remove(key)
        entry = self._entry(key, place, pod, node, "")
        self._bind_claims(entry, node)
        self._add(entry)

    def forget(self, pod: Object) -> None:
        """Takes a pod away: it was assumed and could not be bound, or it was evicted."""
        self._remove(self.key(named(pod, "Pod")))

    def nominate(self, pod: Object, node: str) -> None:
        """Reserves a node for a pod that evicts others there."""
        place = named(pod, "Pod")
        key = self.key(place)
        self._remove(key)
        self._add(self._entry(key, place, pod, "", node))

    def _bind_claims(self, entry: Entry, node: str) -> None:
        if not (entry.traits.claims or entry.traits.fresh_claims):
            return
        columns, known = self._known(entry.traits, entry.name)
        columns.deciding(known)
        number = columns.world.nodes.index.get(node)
        if known.waiting and number is not None:
            for claim, volume in volumes.choose(known.waiting, self.world.storage, columns.world.nodes, number):
                self.world.storage.bind(claim, volume)
            columns.storage_changes += 1

    # Columns

    def columns(self) -> Columns:
        """The numbers, made anew when something has changed that they are made of."""
        while self._columns is None:
            self.world.nodes = node_rows.Nodes(list(self._rows.values()))
            self._traits.learn_world(self.world)
            made = Columns(self.world, self.profiles, self._resources)
            try:
                self._load(made, [entry for entry in self._slots if entry is not None])
            except OutOfResources:
                continue
            self._columns = made
        return self._columns

    def _load(self, columns: Columns, entries: Iterable[Entry]) -> None:
        """Places pods. Raises OutOfResources."""
        rows = array("q")
        for entry in entries:
            entry.known = columns.intern(self._projected(entry.traits, entry.name))
            number = columns.world.nodes.index.get(entry.node)
            if number is not None:
                rows.extend((entry.slot, columns.running(entry.known), number, entry.start))
        native.sched_pods(columns.sched, rows)

    def _projected(self, read: Traits, name: str) -> Traits:
        """The traits with those labels alone that somebody asks for."""
        keys = self._traits.keys
        kept = tuple(pair for pair in read.labels if pair[0] in keys)
        scheduler = read.scheduler if read.scheduler in self.profiles else next(iter(self.profiles))
        spared = self.world.spared_by(*name.split("/", 1)) if self.world.spares else ()
        return read._replace(labels=kept, scheduler=scheduler, spared=spared)

    def _known(self, read: Traits, name: str) -> tuple[Columns, PodClass]:
        if self._traits.learn((read,)):
            self._columns = None
        columns = self.columns()
        return columns, columns.intern(self._projected(read, name))

    # Decisions

    def classify(self, pod: Object) -> PodClass:
        """The class of a pod that looks for a node, compiled. Raises BadObject."""
        place = named(pod, "Pod")
        read = self._traits.read(place, pod)._replace(node_name=place.at("spec", "nodeName").text())
        name = _full_name(place)
        while True:
            columns, known = self._known(read, name)
            try:
                columns.deciding(known)
            except OutOfResources:
                self._columns = None
            else:
                return known

    def decide(self, pod: Object, candidates: Sequence[str] | None = None) -> Decision:
        """Every verdict and score of one pod, and the node it goes to. Raises BadObject and BadConfiguration."""
        known = self.classify(pod)
        columns = self.columns()
        chosen = None
        if candidates is not None:
            unknown = next((name for name in candidates if name not in columns.world.nodes.index), None)
            if unknown is not None:
                raise BadConfiguration(f"there is no node {unknown} to be a candidate")
            chosen = columns.world.nodes.mask(columns.world.nodes.index[name] for name in candidates)
        profile = self.profiles[known.traits.scheduler]
        return rate(self, pod, known, profile, chosen)

    def nominated(self, pod: Object, known: PodClass) -> array[int]:
        """Pairs of class and node number of the pods that are about to run somewhere and matter as much as this one."""
        columns, own = self.columns(), self.key(named(pod, "Pod"))
        pairs = array("i")
        for entry in self._pods.values() if self.has_nominated else ():
            number = columns.world.nodes.index.get(entry.nominated)
            if entry.node or entry.key == own or number is None or entry.traits.priority < known.traits.priority:
                continue
            assert entry.known is not None  # every entry is loaded with the columns
            pairs.extend((columns.running(entry.known), number))
        return pairs

    @property
    def has_nominated(self) -> bool:
        """Whether a pod is nominated and does not run yet."""
        return any(entry.nominated and not entry.node for entry in self._pods.values())

    def node_object(self, number: int) -> Object:
        """The Node object of a number."""
        return self._objects[self.columns().world.nodes.rows[number].name]

    def pods_on(self) -> dict[str, list[Object]]:
        """The Pod objects on each node."""
        found: dict[str, list[Object]] = {name: [] for name in self._rows}
        for entry in self._pods.values():
            if entry.node in found:
                found[entry.node].append(entry.obj)
        return found

    def entry_at(self, slot: int) -> Entry:
        """The pod of a number that the core knows it by."""
        entry = self._slots[slot]
        assert entry is not None  # the core names only pods that are there
        return entry

    def running_count(self) -> int:
        """How many pods have a node."""
        return sum(bool(entry.node) for entry in self._pods.values())


def _full_name(pod: Place) -> str:
    meta = pod.at("metadata")
    return f"{meta.at('namespace').text() or 'default'}/{meta.at('name').text()}"


def _selector(service: Place) -> dict[str, str]:
    return service.at("spec", "selector").labels()


def _start(pod: Place) -> int:
    """When a pod started, in microseconds; without a time it counts as started now."""
    given = pod.at("status", "startTime")
    if isinstance(given.value, datetime):
        return int(given.value.timestamp() * 1_000_000)
    if not given.text():
        return NOT_STARTED
    try:
        return int(datetime.fromisoformat(given.text()).timestamp() * 1_000_000)
    except ValueError:
        raise given.error(f"{given.value} is not a time as in 2024-05-01T12:00:00Z") from None
