"""Reading the traits of many pods of few templates: equal specifications are read once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from kubelite.control.scheduler.facts import traits
from kubelite.control.scheduler.facts.fields import Place
from kubelite.control.scheduler.facts.traits import Traits
from kubelite.objects.facts.labels import Selector

_SPEC = ("overhead", "resources", "nodeSelector", "affinity", "tolerations",
         "topologySpreadConstraints", "priority", "schedulerName")  # fmt: skip
_CONTAINER = ("name", "image", "resources", "ports", "restartPolicy")
_VOLUMES = (
    "persistentVolumeClaim",
    "ephemeral",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "iscsi",
    "rbd",
)
_ROOM = 65536


@dataclass(eq=False, frozen=True, slots=True)
class Reading:
    """Traits with all labels; pods of one template share the very object."""

    traits: Traits


class TraitCache:
    """Readings by what they were read from; and the label keys that selectors ask for."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self._read: dict[bytes, Reading] = {}
        self._encode = msgspec.msgpack.Encoder().encode

    def read(self, pod: Place, obj: Mapping[str, Any]) -> Reading:
        """The traits of a pod, with all its labels and without its node's name. Raises BadObject."""
        try:
            key = self._encode(_essence(obj))
        except (TypeError, AttributeError, ValueError, OverflowError):
            return Reading(traits.read(pod))
        found = self._read.get(key)
        if found is None:
            if len(self._read) >= _ROOM:
                self._read.clear()
            found = self._read[key] = Reading(traits.read(pod))
        return found

    def learn(self, read: Iterable[Traits]) -> bool:
        """Takes note of the label keys that pods' selectors ask for. Returns whether there are new
        ones.
        """
        before = len(self.keys)
        for each in read:
            if each.affinity or each.anti_affinity or each.preferred_affinity or each.spread:
                self.note(traits.selectors(each))
        return len(self.keys) > before

    def note(self, selectors: Iterable[Selector]) -> None:
        """Takes note of the label keys that these selectors ask for."""
        for chosen in selectors:
            self.keys.update(wanted.key for wanted in chosen.requirements)


def _essence(pod: Mapping[str, Any]) -> tuple[Any, ...]:
    """The parts of a pod that its traits are read from."""
    meta, spec, status = pod.get("metadata") or {}, pod.get("spec") or {}, pod.get("status") or {}
    volumes = [
        volume for volume in spec.get("volumes") or () if any(kind in volume for kind in _VOLUMES)
    ]
    has_own_claims = any("ephemeral" in volume for volume in volumes)
    identity = [meta.get("name"), meta.get("uid")] if has_own_claims else None
    return (
        meta.get("namespace"),
        meta.get("labels"),
        meta.get("deletionTimestamp") is None,
        meta.get("ownerReferences"),
        [spec.get(field) for field in _SPEC],
        _containers(spec.get("containers")),
        _containers(spec.get("initContainers")),
        volumes,
        identity,
        _resizes(status),
    )


def _containers(containers: Any) -> Any:
    """Mounts, for one, are different in every pod: the token's volume has a random name."""
    if not containers:
        return containers
    return [[each.get(field) for field in _CONTAINER] for each in containers]


def _resizes(status: Mapping[str, Any]) -> list[Any] | None:
    states = [
        *(status.get("containerStatuses") or ()),
        *(status.get("initContainerStatuses") or ()),
    ]
    sizes = [
        (each.get("name"), each.get("resources"), each.get("allocatedResources")) for each in states
    ]
    return [sizes, status.get("conditions")] if any(size[1] is not None for size in sizes) else None
