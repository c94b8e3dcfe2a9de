"""Which pods are counted, and where: the numbers behind spreading, affinity, ports, disks and
claims. Pure.

A count is a description: what a pod must be to be counted, per which domain, and on which nodes.
The C core keeps the number of such pods in every domain up to date; plug-ins of many pods share it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from kubelite.control.scheduler.facts.traits import Disk, PodTerm, Port, Traits
from kubelite.control.scheduler.snapshot.claims import attachments, claim_keys
from kubelite.control.scheduler.snapshot.world import Carried, World
from kubelite.objects.facts.labels import Selector

EACH_NODE, WHOLE_CLUSTER = "", "*"  # keys that are no labels


class Pods(Protocol):
    """What a pod must be to be counted."""

    def times(self, traits: Traits, labels: dict[str, str], world: World) -> int:
        """How often a pod with these traits is counted."""


class Count(NamedTuple):
    """A count of pods per domain of a topology key, on some nodes or all (None)."""

    pods: Pods
    key: str
    nodes: int | None = None


@dataclass(frozen=True)
class Spread:
    """Pods of a namespace that a spread constraint selects, as long as they do not terminate."""

    namespace: str
    selector: Selector

    def times(self, traits: Traits, labels: dict[str, str], world: World) -> int:
        return (
            traits.namespace == self.namespace
            and not traits.terminating
            and self.selector.matches(labels)
        )


@dataclass(frozen=True)
class Selected:
    """Pods that all of these terms select."""

    terms: tuple[PodTerm, ...]

    def times(self, traits: Traits, labels: dict[str, str], world: World) -> int:
        return all(world.admits(term, traits.namespace, labels) for term in self.terms)


@dataclass(frozen=True)
class Carriers:
    """Pods that have a term of their own."""

    carried: Carried

    def times(self, traits: Traits, labels: dict[str, str], world: World) -> int:
        return carried_by(traits).count(self.carried)


@dataclass(frozen=True)
class PortUsers:
    """Pods that hold a port of their node."""

    port: Port

    def times(self, traits: Traits, labels: dict[str, str], world: World) -> int:
        return self.port in traits.ports


@dataclass(frozen=True)
class DiskUsers:
    """Pods that have a disk in a certain way."""

    disk: Disk

    def times(self, traits: Traits, labels: dict[str, str], world: World) -> int:
        return self.disk in traits.disks


@dataclass(frozen=True)
class ClaimUsers:
    """Pods that use a claim ("ns/name")."""

    claim: str

    def times(self, traits: Traits, labels: dict[str, str], world: World) -> int:
        return self.claim in claim_keys(traits)


@dataclass(frozen=True)
class Attached:
    """Pods for which a node attaches a volume."""

    driver: str
    volume: str

    def times(self, traits: Traits, labels: dict[str, str], world: World) -> int:
        return (self.driver, self.volume) in attachments(traits, world.storage)


def carried_by(traits: Traits) -> list[Carried]:
    """The terms of a pod that other pods have to heed."""
    anti = [Carried("anti", term, 0) for term in traits.anti_affinity]
    required = [Carried("required", term, 0) for term in traits.affinity]
    return [
        *anti,
        *required,
        *(Carried("preferred", term, weight) for weight, term in traits.preferred_affinity),
    ]
