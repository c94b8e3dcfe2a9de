"""A snapshot as numbers: the C core's nodes, keys, counters and classes, and which number stands
for what.

The core knows only numbers. A *node* is its position in the snapshot; a *key* is a topology label,
for which every node has the number of its value (its domain); a *counter* counts certain pods in
every domain of a key; a *class* is everything about pods that are decided alike, compiled to a
program: which resources they take, which counters they change when they are placed, which counters
and columns of nodes filter and score for them. One kind of pod is two classes of the core, for what
a pod asks of a node matters only until it has one.

Classes are compiled when they are first decided about. What pods of other classes bring along
(affinity terms, host ports, disks) is remembered in lists that only grow; a class for which an
addition matters is compiled again before it is next used.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from kubelite.control.scheduler.facts.resources import CPU, MEMORY, PODS, STORAGE
from kubelite.control.scheduler.facts.trait_cache import Reading
from kubelite.control.scheduler.facts.traits import Disk, Port, Traits
from kubelite.control.scheduler.plugins import filters, scores
from kubelite.control.scheduler.plugins.class_program import Column, Program
from kubelite.control.scheduler.plugins.profile import Profile
from kubelite.control.scheduler.plugins.volume_binding import judge
from kubelite.control.scheduler.snapshot.counts import (
    EACH_NODE,
    WHOLE_CLUSTER,
    Count,
    DiskUsers,
    PortUsers,
    carried_by,
)
from kubelite.control.scheduler.snapshot.storage import Claim
from kubelite.control.scheduler.snapshot.world import Carried, World
from kubelite.core import native

FIRST = (PODS, CPU, MEMORY, STORAGE)
SPARE = 4  # further resources before the columns are made anew; with the first four, a cache line
NO_LIMIT = 1 << 60


class OutOfResources(Exception):
    """A pod asks for a resource that there is no column for; the cluster makes new columns."""


@dataclass(eq=False)
class PodClass:
    """Pods that are decided alike, and what was found out when their class was compiled.

    The numbers are those of the core's classes, -1 before they are compiled: ``running_number`` for
    pods that have a node, ``pending_number`` for those that look for one.
    """

    traits: Traits
    labels: dict[str, str]
    running_number: int = -1
    pending_number: int = -1
    compiled_with: tuple[int, int, int] = (0, 0, 0)  # how many terms, ports and disks there were
    storage: int = 0  # the storage_changes of the columns at that time
    problem: str = ""
    waiting: tuple[Claim, ...] = ()
    requests: tuple[str, ...] = ()
    weights: dict[str, int] = field(default_factory=dict)


class Columns:
    """Hands out numbers to filters and scores while they write a class's program, and owns the
    core. Implements the Board of :mod:`..plugins.filters`.
    """

    def __init__(
        self, world: World, profiles: dict[str, Profile], resources: dict[str, int]
    ) -> None:
        self.world = world
        self.profiles = profiles
        self.profile = next(iter(profiles.values()))
        self._resources = resources
        self._name_resources()
        self._room = len(resources) + SPARE
        self.sched = native.sched_new(world.nodes.count, self._room)
        # The core has two keys from the start: every node a domain, and all nodes one domain.
        self._keys: dict[str, int] = {EACH_NODE: 0, WHOLE_CLUSTER: 1}
        self._counts: dict[Count, int] = {}
        self._compiled: list[PodClass] = []
        self._classes: dict[Traits, PodClass] = {}
        self._carried: dict[Carried, None] = {}
        self._ports: dict[Port, None] = {}
        self._disks: dict[Disk, None] = {}
        self.storage_changes = 0
        self.readings: dict[Reading, PodClass] = {}  # of pods that look for a node
        self.present: dict[Reading, PodClass] = {}  # of pods that have one
        for number in range(world.nodes.count):
            self.set_node(number)

    def _name_resources(self) -> None:
        """Gives a number to every resource that a node has, a profile scores or a driver limits.
        Numbers once given stay, also for columns made later.
        """
        names = list(FIRST)
        for node in self.world.nodes.rows:
            names += node.allocatable
        for profile in self.profiles.values():
            names += (name for name, _ in profile.arguments.fit.resources)
            names += profile.arguments.balanced.resources
        names += (
            f"attach:{driver}" for limits in self.world.storage.limits.values() for driver in limits
        )
        for name in names:
            self._resources.setdefault(name, len(self._resources))

    def set_node(self, number: int) -> None:
        """Tells the core what a node has to give."""
        node = self.world.nodes.rows[number]
        amounts = array("q", [0]) * self._room
        limits = self.world.storage.limits.get(node.name, {})
        for name, number_of_resource in self._resources.items():
            if name.startswith("attach:"):
                amounts[number_of_resource] = limits.get(name.removeprefix("attach:"), NO_LIMIT)
            else:
                amounts[number_of_resource] = node.allocatable.get(name, 0)
        native.sched_node(self.sched, number, amounts)

    def resource(self, name: str) -> int:
        number = self._resources.setdefault(name, len(self._resources))
        if number >= self._room:
            raise OutOfResources
        return number

    def key(self, key: str) -> int:
        if key not in self._keys:
            domains, count = self.world.nodes.domains(key)
            self._keys[key] = native.sched_key(self.sched, domains, count)
        return self._keys[key]

    def count(self, count: Count) -> int:
        if count not in self._counts:
            # A new counter starts from the pods that are placed already: the core keeps how many
            # of each class are on each node, so it is enough to say how often each class counts.
            members = array("i")
            for number, pod_class in enumerate(self._compiled):
                members.extend(
                    [number] * int(count.pods.times(pod_class.traits, pod_class.labels, self.world))
                )
            nodes = None if count.nodes is None else self.world.nodes.flags(count.nodes)
            self._counts[count] = native.sched_counter(
                self.sched, self.key(count.key), nodes, members
            )
        return self._counts[count]

    def carried(self, traits: Traits) -> list[Carried]:
        return self._concerning(traits, 0)

    def _concerning(self, traits: Traits, since: int) -> list[Carried]:
        labels = dict(traits.labels)
        candidates = list(self._carried)[since:] if since else self._carried
        return [
            carried
            for carried in candidates
            if self.world.admits(carried.term, traits.namespace, labels)
        ]

    def used(self, kind: type[PortUsers] | type[DiskUsers]) -> list[Port | Disk]:
        return list(self._ports if kind is PortUsers else self._disks)

    def intern(self, traits: Traits) -> PodClass:
        """The class of pods with these traits."""
        pod_class = self._classes.get(traits)
        if pod_class is None:
            pod_class = self._classes[traits] = PodClass(traits, dict(traits.labels))
            self._carried.update(dict.fromkeys(carried_by(traits)))
            self._ports.update(dict.fromkeys(traits.ports))
            self._disks.update(dict.fromkeys(traits.disks))
        return pod_class

    def running_class(self, pod_class: PodClass) -> int:
        """The core's number for pods of the class that have a node."""
        if pod_class.running_number < 0:
            program = self._program(pod_class)
            filters.attach(pod_class.traits, self, program)
            pod_class.running_number = self._compile(pod_class, program)
        return pod_class.running_number

    def pending_class(self, pod_class: PodClass) -> int:
        """The core's number for pods of the class that look for a node.

        Compiled again when pods have come whose terms, ports or disks matter to this class, or when
        claims were bound that it depends on.
        """
        additions = (len(self._carried), len(self._ports), len(self._disks))
        if (
            pod_class.pending_number < 0
            or (additions != pod_class.compiled_with and self._concerns(pod_class))
            or self._storage_moved(pod_class)
        ):
            program = self._program(pod_class)
            self.profile = self.profiles[pod_class.traits.scheduler]
            pod_class.problem = filters.apply(pod_class.traits, self, program)
            scores.apply(pod_class.traits, self, program)
            pod_class.weights = program.weights
            pod_class.waiting = self._waiting(pod_class)
            pod_class.pending_number = self._compile(pod_class, program)
            pod_class.storage = self.storage_changes
        pod_class.compiled_with = additions
        return pod_class.pending_number

    def _concerns(self, pod_class: PodClass) -> bool:
        """Whether what was added since the class was compiled can change a decision about it."""
        terms, ports, disks = pod_class.compiled_with
        if (pod_class.traits.ports and ports != len(self._ports)) or (
            pod_class.traits.disks and disks != len(self._disks)
        ):
            return True
        return terms != len(self._carried) and bool(self._concerning(pod_class.traits, terms))

    def _storage_moved(self, pod_class: PodClass) -> bool:
        """Whether a claim was bound since a class was compiled whose claims are not all bound."""
        return (
            bool(pod_class.waiting or pod_class.problem)
            and pod_class.storage != self.storage_changes
        )

    def _waiting(self, pod_class: PodClass) -> tuple[Claim, ...]:
        if not (pod_class.traits.claims or pod_class.traits.ephemeral_claims):
            return ()
        return judge(
            pod_class.traits, self.world.storage, self.world.nodes, self.profile.filters
        ).waiting

    def _program(self, pod_class: PodClass) -> Program:
        """What a pod of the class uses, wherever it runs."""
        traits = pod_class.traits
        program = Program(
            traits.priority, traits.requests.nonzero_cpu, traits.requests.nonzero_memory
        )
        amounts = (
            ("pods", 1),
            *((name, amount) for name, amount in traits.requests.amounts if amount),
        )
        pod_class.requests = tuple(name for name, _ in amounts)
        program.requests = [(self.resource(name), amount, 0) for name, amount in amounts]
        program.budgets = [(number,) for number in self.world.budgets_of(traits)]
        return program

    def _compile(self, pod_class: PodClass, program: Program) -> int:
        """Hands the program to the core. Counters that exist learn whether they count the class;
        those that come later ask about every class that was compiled (see :meth:`count`).
        """
        for count, number in self._counts.items():
            program.deltas += [(number,)] * int(
                count.pods.times(pod_class.traits, pod_class.labels, self.world)
            )
        number_of_class = native.sched_class(self.sched, program.words())
        self._compiled.append(pod_class)
        for column, nodes, value in program.columns:
            if nodes:
                self._fill(number_of_class, column, nodes, value)
        return number_of_class

    def _fill(self, cls: int, column: Column, nodes: int, value: int) -> None:
        native.sched_column(self.sched, cls, column, self.world.nodes.bits(nodes), value)
