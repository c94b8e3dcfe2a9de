"""The arguments of the built-in plug-ins, by their KubeSchedulerConfiguration names. Pure.

Each reader refuses what it does not know: a misspelt argument would otherwise silently be the
default.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from kubelite.control.scheduler.facts.errors import BadConfiguration
from kubelite.control.scheduler.facts.fields import Field
from kubelite.control.scheduler.facts.selectors import NodeTerm, node_affinity

HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
STRATEGIES = ("LeastAllocated", "MostAllocated", "RequestedToCapacityRatio")
FORMULAS = ("state", "change")
_CPU_AND_MEMORY = (("cpu", 1), ("memory", 1))


@dataclass(frozen=True)
class Fit:
    """NodeResourcesFit. ``shape`` holds (utilisation 0..100, score 0..100)."""

    strategy: str = "LeastAllocated"
    resources: tuple[tuple[str, int], ...] = _CPU_AND_MEMORY
    shape: tuple[tuple[int, int], ...] = ()
    ignored: frozenset[str] = frozenset()
    ignored_groups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Balanced:
    """NodeResourcesBalancedAllocation. ``formula``: "state" is Kubernetes' up to 1.35, "change"
    since 1.36.
    """

    resources: tuple[str, ...] = ("cpu", "memory")
    formula: str = "change"


@dataclass(frozen=True)
class Affinity:
    """NodeAffinity: what the profile adds to every pod."""

    required: tuple[NodeTerm, ...] | None = None
    preferred: tuple[tuple[int, NodeTerm], ...] = ()


@dataclass(frozen=True)
class DefaultConstraint:
    """A spread constraint of pods that have none."""

    max_skew: int
    key: str
    hard: bool


@dataclass(frozen=True)
class Spread:
    """PodTopologySpread. ``system``: the built-in constraints, for which a node need not have all
    labels.
    """

    constraints: tuple[DefaultConstraint, ...] = (
        DefaultConstraint(3, HOSTNAME, False),
        DefaultConstraint(5, ZONE, False),
    )
    system: bool = True


@dataclass(frozen=True)
class InterPod:
    """InterPodAffinity."""

    hard_weight: int = 1
    ignore_existing: bool = False


@dataclass(frozen=True)
class Preemption:
    """DefaultPreemption: how many nodes are tried, at least."""

    percentage: int = 10
    absolute: int = 100


@dataclass(frozen=True)
class Arguments:
    """All of them."""

    fit: Fit = dataclasses.field(default_factory=Fit)
    balanced: Balanced = dataclasses.field(default_factory=Balanced)
    affinity: Affinity = dataclasses.field(default_factory=Affinity)
    spread: Spread = dataclasses.field(default_factory=Spread)
    interpod: InterPod = dataclasses.field(default_factory=InterPod)
    preemption: Preemption = dataclasses.field(default_factory=Preemption)


def read(given: Mapping[str, object]) -> Arguments:
    """The arguments of several plug-ins, by plug-in. Raises BadConfiguration."""
    arguments_read: dict[str, Any] = {}
    for plugin, args in given.items():
        field = Field(args, f"arguments of {plugin}")
        if plugin not in _READERS:
            if args:
                raise BadConfiguration(f"plug-in {plugin} takes no arguments")
            continue
        slot, reader, known_names = _READERS[plugin]
        unknown = [
            str(name) for name in field.map() if name not in (*known_names, "apiVersion", "kind")
        ]
        if unknown:
            raise BadConfiguration(
                f"plug-in {plugin} has no argument {unknown[0]}: "
                f"{', '.join(known_names)} are its arguments"
            )
        arguments_read[slot] = reader(field)
    return Arguments(**arguments_read)


def _fit(field: Field) -> Fit:
    strategy = field.at("scoringStrategy")
    kind = strategy.at("type").text() or "LeastAllocated"
    if kind not in STRATEGIES:
        raise BadConfiguration(
            f"{strategy.path}.type: there is no {kind}: {', '.join(STRATEGIES)} are strategies"
        )
    shape = _shape(strategy.at("requestedToCapacityRatio", "shape"))
    if kind == "RequestedToCapacityRatio" and not shape:
        raise BadConfiguration(
            f"{strategy.path}.requestedToCapacityRatio.shape: at least one point is needed"
        )
    ignored, groups = (
        field.at("ignoredResources").texts(),
        field.at("ignoredResourceGroups").texts(),
    )
    return Fit(
        kind, _resources(strategy.at("resources")), shape, frozenset(ignored), frozenset(groups)
    )


def _resources(field: Field) -> tuple[tuple[str, int], ...]:
    resources = []
    for item in field.items():
        weight = item.at("weight").whole(1) or 1
        if not 1 <= weight <= 100:
            raise BadConfiguration(f"{item.path}.weight: {weight} is not between 1 and 100")
        resources.append((item.at("name").text(), weight))
    return tuple(resources) or _CPU_AND_MEMORY


def _shape(field: Field) -> tuple[tuple[int, int], ...]:
    """Scores are written 0..10 in the file and count ten times as much."""
    points = [
        (point.at("utilization").whole(), point.at("score").whole()) for point in field.items()
    ]
    if any(not 0 <= utilization <= 100 or not 0 <= score <= 10 for utilization, score in points):
        raise BadConfiguration(f"{field.path}: utilization is 0 to 100 and score 0 to 10")
    if any(left[0] >= right[0] for left, right in pairwise(points)):
        raise BadConfiguration(f"{field.path}: utilization must rise from point to point")
    return tuple((utilization, 10 * score) for utilization, score in points)


def _balanced(field: Field) -> Balanced:
    formula = field.at("formula").text() or "change"
    if formula not in FORMULAS:
        raise BadConfiguration(
            f"{field.path}.formula: there is no {formula}: {' and '.join(FORMULAS)} are formulas"
        )
    return Balanced(tuple(name for name, _ in _resources(field.at("resources"))), formula)


def _affinity(field: Field) -> Affinity:
    required, preferred = node_affinity(field.at("addedAffinity"))
    return Affinity(required, preferred)


def _spread(field: Field) -> Spread:
    kind = field.at("defaultingType").text() or "System"
    given = tuple(_constraint(item) for item in field.at("defaultConstraints").items())
    if kind not in ("System", "List"):
        raise BadConfiguration(
            f"{field.path}.defaultingType: there is no {kind}: System and List are types"
        )
    if kind == "System" and given:
        raise BadConfiguration(f"{field.path}.defaultConstraints: needs defaultingType List")
    return Spread() if kind == "System" else Spread(given, False)


def _constraint(field: Field) -> DefaultConstraint:
    key, skew = field.at("topologyKey").text(), field.at("maxSkew").whole()
    if not key or skew < 1:
        raise BadConfiguration(f"{field.path}: topologyKey and a maxSkew of at least 1 are needed")
    if field.at("labelSelector").value is not None:
        raise BadConfiguration(
            f"{field.path}.labelSelector: "
            "default constraints take the selector of the pod's services"
        )
    return DefaultConstraint(skew, key, field.at("whenUnsatisfiable").text() == "DoNotSchedule")


def _interpod(field: Field) -> InterPod:
    weight = field.at("hardPodAffinityWeight").whole(1)
    if not 0 <= weight <= 100:
        raise BadConfiguration(
            f"{field.path}.hardPodAffinityWeight: {weight} is not between 0 and 100"
        )
    return InterPod(weight, field.at("ignorePreferredTermsOfExistingPods").flag())


def _preemption(field: Field) -> Preemption:
    percentage = field.at("minCandidateNodesPercentage").whole(10)
    absolute = field.at("minCandidateNodesAbsolute").whole(100)
    if not 0 <= percentage <= 100 or absolute < 0 or percentage == absolute == 0:
        raise BadConfiguration(
            f"{field.path}: minCandidateNodesPercentage is 0 to 100, and one of both is more than 0"
        )
    return Preemption(percentage, absolute)


_READERS: dict[str, tuple[str, Any, tuple[str, ...]]] = {
    "NodeResourcesFit": (
        "fit",
        _fit,
        ("ignoredResources", "ignoredResourceGroups", "scoringStrategy"),
    ),
    "NodeResourcesBalancedAllocation": ("balanced", _balanced, ("resources", "formula")),
    "NodeAffinity": ("affinity", _affinity, ("addedAffinity",)),
    "PodTopologySpread": ("spread", _spread, ("defaultConstraints", "defaultingType")),
    "InterPodAffinity": (
        "interpod",
        _interpod,
        ("hardPodAffinityWeight", "ignorePreferredTermsOfExistingPods"),
    ),
    "DefaultPreemption": (
        "preemption",
        _preemption,
        ("minCandidateNodesPercentage", "minCandidateNodesAbsolute"),
    ),
}
