"""What a snapshot holds besides pods, as the plug-ins ask for it. Pure."""

from __future__ import annotations

from typing import NamedTuple

from kubelite.control.scheduler.facts.fields import Field
from kubelite.control.scheduler.facts.selectors import selector
from kubelite.control.scheduler.facts.traits import PodTerm, Traits
from kubelite.control.scheduler.snapshot.nodes import Nodes
from kubelite.control.scheduler.snapshot.storage import Storage
from kubelite.objects.facts.labels import Requirement, Selector, of_map

WORKLOADS = frozenset(("ReplicationController", "ReplicaSet", "StatefulSet"))


class Budget(NamedTuple):
    """A PodDisruptionBudget; ``disrupted`` are pods whose eviction is counted already."""

    key: str
    namespace: str
    selector: Selector
    allowed: int
    disrupted: frozenset[str]


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
        self.namespaces: dict[str, dict[str, str]] = {}
        self.services: dict[str, tuple[str, Selector]] = {}
        self.workloads: dict[tuple[str, str, str], Selector] = {}
        self.budgets: dict[str, Budget] = {}

    def admits(self, term: PodTerm, namespace: str, labels: dict[str, str]) -> bool:
        """Whether a term selects a pod of this namespace with these labels."""
        if not term.selector.matches(labels):
            return False
        if namespace in term.namespaces:
            return True
        return term.namespace_selector is not None and term.namespace_selector.matches(
            self.namespaces.get(namespace, {})
        )

    def default_selector(self, traits: Traits) -> Selector:
        """All that the pod's services and its controller select it by; without requirements when
        there is none.
        """
        labels = dict(traits.labels)
        requirements: list[Requirement] = []
        for namespace, chosen in self.services.values():
            if namespace == traits.namespace and chosen.matches(labels):
                requirements += chosen.requirements
        requirements += self.workloads.get(
            (traits.namespace, *traits.owner), Selector()
        ).requirements
        return Selector(tuple(dict.fromkeys(requirements)))

    def budgets_of(self, traits: Traits) -> list[int]:
        """The budgets that an eviction of the pod counts against."""
        labels = dict(traits.labels)
        return [
            number
            for number, budget in enumerate(self.budgets.values())
            if traits.labelled
            and budget.namespace == traits.namespace
            and budget.key not in traits.disrupted
            and budget.selector.requirements
            and budget.selector.matches(labels)
        ]

    @property
    def has_disrupted_pods(self) -> bool:
        """Whether any budget has counted an eviction already."""
        return any(budget.disrupted for budget in self.budgets.values())

    def disruptions_of(self, namespace: str, name: str) -> tuple[str, ...]:
        """The budgets that have counted this pod's eviction already."""
        budgets = (
            budget
            for budget in self.budgets.values()
            if budget.namespace == namespace and name in budget.disrupted
        )
        return tuple(budget.key for budget in budgets)

    def selectors(self) -> list[Selector]:
        """Every selector over pods that is not a pod's own."""
        services = [chosen for _, chosen in self.services.values()]
        return [
            *services,
            *self.workloads.values(),
            *(budget.selector for budget in self.budgets.values()),
        ]


def budget(obj: Field) -> Budget:
    """A PodDisruptionBudget object's fields. Raises BadObject."""
    namespace = obj.at("metadata", "namespace").text() or "default"
    return Budget(
        key=f"{namespace}/{obj.at('metadata', 'name').text()}",
        namespace=namespace,
        selector=selector(obj.at("spec", "selector")),
        allowed=obj.at("status", "disruptionsAllowed").whole(),
        disrupted=frozenset(str(name) for name in obj.at("status", "disruptedPods").map()),
    )


def workload_selector(kind: str, obj: Field) -> Selector:
    """What a controller selects its pods by. Raises BadObject."""
    chosen = obj.at("spec", "selector")
    return of_map(chosen.labels()) if kind == "ReplicationController" else selector(chosen)
