"""What a snapshot holds besides pods, as the plug-ins ask for it. Pure."""

from __future__ import annotations

from typing import NamedTuple

from kubelite.control.scheduler.facts.fields import Place
from kubelite.control.scheduler.facts.selectors import selector
from kubelite.control.scheduler.facts.traits import PodTerm, Traits
from kubelite.control.scheduler.snapshot.nodes import Nodes
from kubelite.control.scheduler.snapshot.storage import Storage
from kubelite.objects.facts.labels import Requirement, Selector, of_map

WORKLOADS = frozenset(("ReplicationController", "ReplicaSet", "StatefulSet"))


class Budget(NamedTuple):
    """A PodDisruptionBudget; ``spared`` are pods whose eviction is counted already."""

    key: str
    namespace: str
    selector: Selector
    allowed: int
    spared: frozenset[str]


class Carried(NamedTuple):
    """A term of pods that run or might run, which pods that come later have to heed.

    ``kind`` is "anti" (required anti-affinity), "required" (affinity) or "preferred" (either, by
    the sign of the weight).
    """

    kind: str
    term: PodTerm
    weight: int


class World:
    """Nodes, storage, services, budgets and namespaces."""

    def __init__(self) -> None:
        self.nodes = Nodes([])
        self.storage = Storage()
        self.spaces: dict[str, dict[str, str]] = {}
        self.services: dict[str, tuple[str, Selector]] = {}
        self.workloads: dict[tuple[str, str, str], Selector] = {}
        self.budgets: dict[str, Budget] = {}

    def admits(self, term: PodTerm, namespace: str, labels: dict[str, str]) -> bool:
        """Whether a term selects a pod of this namespace with these labels."""
        if not term.selector.matches(labels):
            return False
        if namespace in term.spaces:
            return True
        return term.space_selector is not None and term.space_selector.matches(
            self.spaces.get(namespace, {})
        )

    def default_selector(self, traits: Traits) -> Selector:
        """All that the pod's services and its controller select it by; without requirements when
        there is none.
        """
        labels = dict(traits.labels)
        wanted: list[Requirement] = []
        for namespace, chosen in self.services.values():
            if namespace == traits.namespace and chosen.matches(labels):
                wanted += chosen.requirements
        wanted += self.workloads.get((traits.namespace, *traits.owner), Selector()).requirements
        return Selector(tuple(dict.fromkeys(wanted)))

    def budgets_of(self, traits: Traits) -> list[int]:
        """The budgets that an eviction of the pod counts against."""
        labels = dict(traits.labels)
        return [
            number
            for number, budget in enumerate(self.budgets.values())
            if traits.labelled
            and budget.namespace == traits.namespace
            and budget.key not in traits.spared
            and budget.selector.requirements
            and budget.selector.matches(labels)
        ]

    @property
    def spares(self) -> bool:
        """Whether any budget has counted an eviction already."""
        return any(each.spared for each in self.budgets.values())

    def spared_by(self, namespace: str, name: str) -> tuple[str, ...]:
        """The budgets that have counted this pod's eviction already."""
        found = (
            each
            for each in self.budgets.values()
            if each.namespace == namespace and name in each.spared
        )
        return tuple(each.key for each in found)

    def selectors(self) -> list[Selector]:
        """Every selector over pods that is not a pod's own."""
        services = [chosen for _, chosen in self.services.values()]
        return [
            *services,
            *self.workloads.values(),
            *(budget.selector for budget in self.budgets.values()),
        ]


def budget(obj: Place) -> Budget:
    """A PodDisruptionBudget object's fields. Raises BadObject."""
    namespace = obj.at("metadata", "namespace").text() or "default"
    return Budget(
        key=f"{namespace}/{obj.at('metadata', 'name').text()}",
        namespace=namespace,
        selector=selector(obj.at("spec", "selector")),
        allowed=obj.at("status", "disruptionsAllowed").whole(),
        spared=frozenset(str(name) for name in obj.at("status", "disruptedPods").map()),
    )


def workload_selector(kind: str, obj: Place) -> Selector:
    """What a controller selects its pods by. Raises BadObject."""
    chosen = obj.at("spec", "selector")
    return of_map(chosen.labels()) if kind == "ReplicationController" else selector(chosen)
