"""A snapshot as numbers: the C core's nodes, keys, counters and classes, and which number stands
for what.

Classes are compiled when they are first decided about. What pods of other classes bring along
(terms, ports, disks) is remembered in lists that only grow; a class that such news concerns is
compiled again before it is next used.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from kubelite.control.scheduler.facts.resources import CPU, MEMORY, PODS, STORAGE
from kubelite.control.scheduler.facts.trait_cache import Reading
from kubelite.control.scheduler.facts.traits import Disk, Port, Traits
from kubelite.control.scheduler.plugins import filters, scores
from kubelite.control.scheduler.plugins.profile import Profile
from kubelite.control.scheduler.plugins.program import Column, Program
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
SPARE = 4  # with the first four, a cache line
NO_LIMIT = 1 << 60


class OutOfResources(Exception):
    """A pod asks for a resource that there is no column for; the cluster makes new columns."""


@dataclass(eq=False)
class PodClass:
    """Pods that are decided alike. ``running`` is the core's class for those that have a node,
    ``deciding`` for others.
    """

    traits: Traits
    labels: dict[str, str]
    running: int = -1
    deciding: int = -1
    news: tuple[int, int, int] = (
        0,
        0,
        0,
    )  # how many terms, ports and disks were known when it was compiled
    storage: int = 0
    problem: str = ""
    waiting: tuple[Claim, ...] = ()
    requests: tuple[str, ...] = ()
    weights: dict[str, int] = field(default_factory=dict)


class Columns:
    """The board on which filters and scores write, and the core behind it."""

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
        for name, place in self._resources.items():
            if name.startswith("attach:"):
                amounts[place] = limits.get(name.removeprefix("attach:"), NO_LIMIT)
            else:
                amounts[place] = node.allocatable.get(name, 0)
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
            members = array("i")
            for number, known in enumerate(self._compiled):
                members.extend(
                    [number] * int(count.pods.times(known.traits, known.labels, self.world))
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
        known = list(self._carried)[since:] if since else self._carried
        return [each for each in known if self.world.admits(each.term, traits.namespace, labels)]

    def used(self, kind: type[PortUsers] | type[DiskUsers]) -> list[Port | Disk]:
        return list(self._ports if kind is PortUsers else self._disks)

    def intern(self, traits: Traits) -> PodClass:
        """The class of pods with these traits."""
        known = self._classes.get(traits)
        if known is None:
            known = self._classes[traits] = PodClass(traits, dict(traits.labels))
            self._carried.update(dict.fromkeys(carried_by(traits)))
            self._ports.update(dict.fromkeys(traits.ports))
            self._disks.update(dict.fromkeys(traits.disks))
        return known

    def running(self, known: PodClass) -> int:
        """The core's number for pods of the class that have a node."""
        if known.running < 0:
            program = self._program(known)
            filters.attach(known.traits, self, program)
            known.running = self._compile(known, program)
        return known.running

    def deciding(self, known: PodClass) -> int:
        """The core's number for pods of the class that look for one."""
        news = (len(self._carried), len(self._ports), len(self._disks))
        if (
            known.deciding < 0
            or (news != known.news and self._concerns(known))
            or self._storage_moved(known)
        ):
            program = self._program(known)
            self.profile = self.profiles[known.traits.scheduler]
            known.problem = filters.apply(known.traits, self, program)
            scores.apply(known.traits, self, program)
            known.weights = program.weights
            known.waiting = self._waiting(known)
            known.deciding = self._compile(known, program)
            known.storage = self.storage_changes
        known.news = news
        return known.deciding

    def _concerns(self, known: PodClass) -> bool:
        terms, ports, disks = known.news
        if (known.traits.ports and ports != len(self._ports)) or (
            known.traits.disks and disks != len(self._disks)
        ):
            return True
        return terms != len(self._carried) and bool(self._concerning(known.traits, terms))

    def _storage_moved(self, known: PodClass) -> bool:
        return bool(known.waiting or known.problem) and known.storage != self.storage_changes

    def _waiting(self, known: PodClass) -> tuple[Claim, ...]:
        if not (known.traits.claims or known.traits.fresh_claims):
            return ()
        return judge(
            known.traits, self.world.storage, self.world.nodes, self.profile.filters
        ).waiting

    def _program(self, known: PodClass) -> Program:
        """What a pod of the class uses, wherever it runs."""
        traits = known.traits
        made = Program(traits.priority, traits.requests.nonzero_cpu, traits.requests.nonzero_memory)
        amounts = (
            ("pods", 1),
            *((name, amount) for name, amount in traits.requests.amounts if amount),
        )
        known.requests = tuple(name for name, _ in amounts)
        made.requests = [(self.resource(name), amount, 0) for name, amount in amounts]
        made.budgets = [(number,) for number in self.world.budgets_of(traits)]
        return made

    def _compile(self, known: PodClass, program: Program) -> int:
        for count, number in self._counts.items():
            program.deltas += [(number,)] * int(
                count.pods.times(known.traits, known.labels, self.world)
            )
        made = native.sched_class(self.sched, program.words())
        self._compiled.append(known)
        for column, nodes, value in program.columns:
            if nodes:
                self._fill(made, column, nodes, value)
        return made

    def _fill(self, cls: int, column: Column, nodes: int, value: int) -> None:
        native.sched_column(self.sched, cls, column, self.world.nodes.bits(nodes), value)
