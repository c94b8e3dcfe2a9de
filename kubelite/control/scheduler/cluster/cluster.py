"""The scheduler's view of a cluster: objects come and go, pods are decided about, placed and
evicted.

Pods change numbers in place; nodes, services, budgets and namespaces change what classes of pods
are made of, so the columns are made anew when the next decision needs them. Allocatable amounts are
the exception, since nodes report them all the time.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kubelite.control.scheduler.cluster.core_arrays import Columns, OutOfResources, PodClass
from kubelite.control.scheduler.cluster.pod_table import (
    NOT_STARTED,
    Entry,
    PodTable,
    full_name,
    key_of,
    start_of,
)
from kubelite.control.scheduler.facts.fields import Field, named
from kubelite.control.scheduler.facts.trait_cache import Reading, TraitCache
from kubelite.control.scheduler.facts.traits import (
    FINISHED,
    Traits,
    pinned_node,
    traits_while_running,
)
from kubelite.control.scheduler.plugins import profile as profiles
from kubelite.control.scheduler.plugins import volume_binding
from kubelite.control.scheduler.plugins.profile import Profile
from kubelite.control.scheduler.snapshot import nodes as node_rows
from kubelite.control.scheduler.snapshot import storage, world
from kubelite.core import native
from kubelite.objects.facts.labels import of_map

Object = Mapping[str, Any]


class Cluster:
    """Nodes, the pods on them, and all that decides where the next pod goes.

    ``seed`` breaks ties at random, the same way every time; None takes the node that comes first.
    """

    def __init__(self, chosen: Sequence[Profile] = (), *, seed: int | None = None) -> None:
        self.profiles = {profile.name: profile for profile in chosen or (profiles.default(),)}
        self.world = world.World()
        self.pods = PodTable()
        self.random = array("Q", [0 if seed is None else (seed << 1 | 1) & (1 << 64) - 1])
        self._rows: dict[str, node_rows.Node] = {}
        self._objects: dict[str, Object] = {}
        self._traits = TraitCache()
        self._resources: dict[str, int] = {}
        self._pinned: dict[Traits, Reading] = {}
        self.changes = 0  # goes up with everything that may change a decision
        self._columns: Columns | None = None

    # Objects

    def put(self, kind: str, obj: Object) -> None:
        """Takes over an object that is new or has changed. Raises BadObject; kinds that do not
        matter are passed over.
        """
        self._take(kind, obj, True)

    def drop(self, kind: str, obj: Object) -> None:
        """Forgets an object that is gone."""
        self._take(kind, obj, False)

    def _take(self, kind: str, obj: Object, present: bool) -> None:
        field = named(obj, kind)
        if kind == "Pod":
            self._take_pod(field, obj, present)
            return
        self.changes += 1
        if kind == "Node":
            self._take_node(field, obj, present)
        elif kind in storage.KINDS:
            self.world.storage.put(kind, field, present)
            self._columns = None
        elif kind in _READERS:
            self._take_other(kind, field, present)

    def _take_other(self, kind: str, field: Field, present: bool) -> None:
        table, key, value = _READERS[kind](self.world, kind, field)
        old = table.get(key) if present else table.pop(key, None)
        if present:
            table[key] = value
        if old != (value if present else None) and not (present and _differ_in_number(old, value)):
            self._columns = None

    def _take_node(self, field: Field, obj: Object, present: bool) -> None:
        row = node_rows.read(field)
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
            self._change_amounts(self._columns, row)

    def _change_amounts(self, columns: Columns, row: node_rows.Node) -> None:
        number = columns.world.nodes.index[row.name]
        columns.world.nodes.rows[number] = row
        if any(name not in self._resources for name in row.allocatable):
            self._columns = None
        else:
            columns.set_node(number)

    # Pods

    def _take_pod(self, field: Field, obj: Object, present: bool) -> None:
        node = field.at("spec", "nodeName").text()
        nominated = "" if node else field.at("status", "nominatedNodeName").text()
        if present and self._is_same(field, obj, node, nominated):
            return
        self._remove(key_of(obj))
        if present and field.at("status", "phase").text() not in FINISHED and (node or nominated):
            self._add(self.entry(field, obj, node, nominated))

    def _is_same(self, field: Field, obj: Object, node: str, nominated: str) -> bool:
        """Whether nothing has changed that counts, as when the kubelet reports a status: then the
        entry takes over the object, and that is all.
        """
        entry = self.pods.get(key_of(obj))
        if (
            entry is None
            or (entry.node, entry.nominated) != (node, nominated)
            or (obj.get("status") or {}).get("phase") in FINISHED
        ):
            return False
        reading = self._traits.read(field, obj)
        if entry.reading is not reading and not self._is_alike(entry, reading):
            return False
        start = start_of(obj)
        if start != entry.start:
            if entry.start != NOT_STARTED:
                return False
            entry.start = start
            if self._columns is not None and entry.pod_class is not None and node:
                self._restart(self._columns, entry)
        entry.obj, entry.reading = obj, reading
        return True

    def _is_alike(self, entry: Entry, reading: Reading) -> bool:
        """Whether a pod counts as before with what is read of it now: a binding adds labels of the
        node, for which mostly nobody asks.
        """
        if self._columns is None:
            return False
        present = self._columns.present
        try:
            before = self._known(self._columns, entry.reading, entry.name, present)
            return self._known(self._columns, reading, entry.name, present) is before
        except OutOfResources:
            return False

    def _restart(self, columns: Columns, entry: Entry) -> None:
        """Tells the core when a pod has started; only preemption asks."""
        native.sched_pods(columns.sched, array("q", [entry.slot, 0, -1, 0]))
        self._load(columns, (entry,))

    def entry(self, field: Field, obj: Object, node: str, nominated: str) -> Entry:
        """An entry that is not in the table yet, with a slot of its own. Raises BadObject."""
        return self.entry_of(obj, self._traits.read(field, obj), node, nominated)

    def entry_of(self, obj: Object, reading: Reading, node: str, nominated: str) -> Entry:
        """The same for a pod that has been read before."""
        name = full_name(obj)
        key = name if name[-1] != "/" else key_of(obj)
        return Entry(key, name, obj, reading, self.pods.new_slot(), node, nominated, start_of(obj))

    def _add(self, entry: Entry) -> None:
        self.changes += 1
        self.pods.add(entry)
        if self._traits.learn((entry.reading.traits,)):
            self._columns = None
        if self._columns is not None:
            try:
                self._load(self._columns, (entry,))
            except OutOfResources:
                self._columns = None

    def _remove(self, key: str) -> None:
        self.changes += 1
        entry = self.pods.remove(key)
        if entry is not None and self._columns is not None:
            native.sched_pods(self._columns.sched, array("q", [entry.slot, 0, -1, 0]))

    def assume(self, pod: Object, node: str) -> None:
        """Counts a pod as running on a node, before anybody else knows. Binds the claims that
        waited for it.
        """
        field = named(pod, "Pod")
        self._remove(key_of(pod))
        entry = self.entry(field, pod, node, "")
        self.bind_claims(entry)
        self._add(entry)

    def forget(self, pod: Object) -> None:
        """Takes a pod away: it was assumed and could not be bound, or it was evicted."""
        self._remove(key_of(pod))

    def evict(self, entry: Entry) -> None:
        """Takes away a pod that runs, and counts that against its budgets."""
        if entry.pod_class is not None:
            names = list(self.world.budgets)
            for number in self.world.budgets_of(entry.pod_class.traits):
                budget = self.world.budgets[names[number]]
                self.world.budgets[names[number]] = budget._replace(allowed=budget.allowed - 1)
        self._remove(entry.key)

    def nominate(self, pod: Object, node: str) -> None:
        """Reserves a node for a pod that evicts others there."""
        field = named(pod, "Pod")
        self._remove(key_of(pod))
        self._add(self.entry(field, pod, "", node))

    def bind_claims(self, entry: Entry) -> None:
        """Assumes the binding of the claims that waited for the pod of this entry to have a
        node.
        """
        if not (entry.reading.traits.claims or entry.reading.traits.ephemeral_claims):
            return
        pod_class = self._class(entry.reading, entry.name)
        columns = self.columns()
        columns.pending_class(pod_class)
        number = columns.world.nodes.index.get(entry.node)
        if pod_class.waiting and number is not None:
            entry.claims = tuple(
                volume_binding.choose(
                    pod_class.waiting, self.world.storage, columns.world.nodes, number
                )
            )
            for claim, volume in entry.claims:
                self.world.storage.bind(claim, volume)
            columns.storage_changes += 1

    # Columns

    def columns(self) -> Columns:
        """The numbers, made anew when something has changed that they are made of."""
        while self._columns is None:
            self.world.nodes = node_rows.Nodes(list(self._rows.values()))
            self._traits.note(self.world.selectors())
            columns = Columns(self.world, self.profiles, self._resources)
            try:
                self._load(columns, self.pods)
            except OutOfResources:
                continue
            self._columns = columns
        return self._columns

    def _load(self, columns: Columns, entries: Iterable[Entry]) -> None:
        """Places pods. Raises OutOfResources."""
        rows = array("q")
        for entry in entries:
            entry.pod_class = self._known(columns, entry.reading, entry.name, columns.present)
            number = columns.world.nodes.index.get(entry.node)
            if number is not None:
                rows.extend(
                    (entry.slot, columns.running_class(entry.pod_class), number, entry.start)
                )
        native.sched_pods(columns.sched, rows)

    def _class(self, reading: Reading, name: str) -> PodClass:
        if self._traits.learn((reading.traits,)):
            self._columns = None
        columns = self.columns()
        return self._known(columns, reading, name, columns.readings)

    def _known(
        self, columns: Columns, reading: Reading, name: str, memo: dict[Reading, PodClass]
    ) -> PodClass:
        """The class of a reading. Budgets that spare single pods make a difference by name."""
        pod_class = memo.get(reading) if not self.world.has_disrupted_pods else None
        if pod_class is None:
            read = self._projected(reading.traits, name)
            pod_class = memo[reading] = columns.intern(
                traits_while_running(read) if memo is columns.present else read
            )
        return pod_class

    def _projected(self, read: Traits, name: str) -> Traits:
        """The traits with those labels alone that somebody asks for."""
        keys = self._traits.keys
        kept = tuple(pair for pair in read.labels if pair[0] in keys)
        scheduler = read.scheduler if read.scheduler in self.profiles else next(iter(self.profiles))
        disrupted = (
            self.world.disruptions_of(*name.split("/", 1)) if self.world.has_disrupted_pods else ()
        )
        return read._replace(labels=kept, scheduler=scheduler, disrupted=disrupted)

    # Decisions

    def classify(self, pod: Object) -> PodClass:
        """The class of a pod that looks for a node, compiled. Raises BadObject."""
        return self._compiled(self._reading(pod), full_name(pod))

    def classify_for(self, pod: Object) -> tuple[PodClass, str, Reading]:
        """The class of a pod, the only node it may go to, or "", and what was read of it.

        Pods that differ in that node alone are one class.
        """
        reading = self._reading(pod)
        node = pinned_node(reading.traits)
        return (
            self._compiled(self._unpinned(reading) if node else reading, full_name(pod)),
            node,
            reading,
        )

    def _unpinned(self, reading: Reading) -> Reading:
        """One reading for all pods that are equal but for the node they name."""
        traits = reading.traits._replace(required_nodes=None)
        return self._pinned.setdefault(traits, Reading(traits))

    def _reading(self, pod: Object) -> Reading:
        field = named(pod, "Pod")
        reading = self._traits.read(field, pod)
        node = field.at("spec", "nodeName").text()
        return Reading(reading.traits._replace(node_name=node)) if node else reading

    def _compiled(self, reading: Reading, name: str) -> PodClass:
        while True:
            pod_class = self._class(reading, name)
            try:
                self.columns().pending_class(pod_class)
            except OutOfResources:
                self._columns = None
            else:
                return pod_class

    def traits_of(self, pod: Object) -> Traits:
        """The traits of a pod, with all its labels. Raises BadObject."""
        return self._traits.read(named(pod, "Pod"), pod).traits

    def profile_of(self, pod_class: PodClass) -> Profile:
        """The profile that decides about pods of a class."""
        return self.profiles[pod_class.traits.scheduler]

    def nominated(self, pod: Object, pod_class: PodClass) -> array[int]:
        """Pairs of class and node number of the pods that are about to run somewhere and matter as
        much as this one.
        """
        columns, own = self.columns(), key_of(pod)
        pairs = array("i")
        for entry in self.pods.nominated.values():
            number = columns.world.nodes.index.get(entry.nominated)
            if (
                entry.key == own
                or number is None
                or entry.reading.traits.priority < pod_class.traits.priority
            ):
                continue
            assert entry.pod_class is not None  # every entry is loaded with the columns
            pairs.extend((columns.running_class(entry.pod_class), number))
        return pairs

    def node_object(self, number: int) -> Object:
        """The Node object of a number."""
        return self._objects[self.columns().world.nodes.rows[number].name]

    def pods_on(self) -> dict[str, list[Object]]:
        """The Pod objects on each node."""
        pods: dict[str, list[Object]] = {name: [] for name in self._rows}
        for entry in self.pods:
            if entry.node in pods:
                pods[entry.node].append(entry.obj)
        return pods


_Row = tuple[dict[Any, Any], Any, Any]


def _differ_in_number(old: object, new: object) -> bool:
    """Whether two states of a budget differ only in how many disruptions are left, which no class
    depends on.
    """
    if not isinstance(old, world.Budget) or not isinstance(new, world.Budget):
        return False
    return old._replace(allowed=0) == new._replace(allowed=0)


def _of_namespace(snapshot: world.World, kind: str, obj: Field) -> _Row:
    return (
        snapshot.namespaces,
        obj.at("metadata", "name").text(),
        obj.at("metadata", "labels").labels(),
    )


def _of_service(snapshot: world.World, kind: str, obj: Field) -> _Row:
    chosen = of_map(obj.at("spec", "selector").labels())
    return snapshot.services, full_name(obj.value), (full_name(obj.value).split("/")[0], chosen)


def _of_budget(snapshot: world.World, kind: str, obj: Field) -> _Row:
    return snapshot.budgets, full_name(obj.value), world.budget(obj)


def _of_workload(snapshot: world.World, kind: str, obj: Field) -> _Row:
    namespace, name = full_name(obj.value).split("/", 1)
    return snapshot.workloads, (namespace, kind, name), world.workload_selector(kind, obj)


_READERS: dict[str, Callable[[world.World, str, Field], _Row]] = {
    "Namespace": _of_namespace,
    "Service": _of_service,
    "PodDisruptionBudget": _of_budget,
    **dict.fromkeys(world.WORKLOADS, _of_workload),
}
