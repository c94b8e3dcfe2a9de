"""Reading the traits of many pods of few templates: equal specifications are read once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from kubelite.control.scheduler.facts import traits
from kubelite.control.scheduler.facts.fields import Field
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

    def read(self, pod: Field, obj: Mapping[str, Any]) -> Reading:
        """The traits of a pod, with all its labels and without its node's name. Raises
        BadObject.
        """
        try:
            key = self._encode(_essence(obj))
        except (TypeError, AttributeError, ValueError, OverflowError):
            return Reading(traits.read(pod))
        reading = self._read.get(key)
        if reading is None:
            if len(self._read) >= _ROOM:
                self._read.clear()
            reading = self._read[key] = Reading(traits.read(pod))
        return reading

    def learn(self, read: Iterable[Traits]) -> bool:
        """Takes note of the label keys that pods' selectors ask for. Returns whether there are new
        ones.
        """
        before = len(self.keys)
        for traits_of_pod in read:
            if (
                traits_of_pod.affinity
                or traits_of_pod.anti_affinity
                or traits_of_pod.preferred_affinity
                or traits_of_pod.spread
            ):
                self.note(traits.selectors(traits_of_pod))
        return len(self.keys) > before

    def note(self, selectors: Iterable[Selector]) -> None:
        """Takes note of the label keys that these selectors ask for."""
        for chosen in selectors:
            self.keys.update(requirement.key for requirement in chosen.requirements)


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
    return [[container.get(field) for field in _CONTAINER] for container in containers]


def _resizes(status: Mapping[str, Any]) -> list[Any] | None:
    states = [
        *(status.get("containerStatuses") or ()),
        *(status.get("initContainerStatuses") or ()),
    ]
    sizes = [
        (state.get("name"), state.get("resources"), state.get("allocatedResources"))
        for state in states
    ]
    return [sizes, status.get("conditions")] if any(size[1] is not None for size in sizes) else None
