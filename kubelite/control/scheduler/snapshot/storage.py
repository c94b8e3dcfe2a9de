"""The storage objects of a snapshot: claims, volumes, classes, and what nodes can attach. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from kubelite.control.scheduler.facts.fields import Field
from kubelite.control.scheduler.facts.selectors import NodeTerm, node_term, selector
from kubelite.objects.facts.labels import EVERYTHING, Requirement, Selector
from kubelite.objects.facts.local_volumes import SELECTED_NODE
from kubelite.objects.rules.claims import OLD_CLASS

NO_PROVISIONER = "kubernetes.io/no-provisioner"


class Volume(NamedTuple):
    """A PersistentVolume. ``terms`` is None where any node will do; ``claim`` is "ns/name" of who
    has it, ``claim_uid`` tells it from another of that name, "" where it does not say.
    """

    name: str
    labels: dict[str, str]
    storage_class: str
    size: int
    modes: frozenset[str]
    block: bool
    terms: tuple[NodeTerm, ...] | None
    claim: str
    available: bool
    driver: str
    handle: str
    claim_uid: str = ""


class Claim(NamedTuple):
    """A PersistentVolumeClaim. ``volume`` is "" until it is bound, ``problem`` what keeps every pod
    from using it.
    """

    key: str
    volume: str
    storage_class: str
    size: int
    modes: frozenset[str]
    block: bool
    selector: Selector
    selected_node: str
    problem: str
    owner: str = ""  # the uid of what controls it, as a pod does its ephemeral volume's claim
    uid: str = ""


class StorageClass(NamedTuple):
    """A StorageClass; ``topologies`` are the allowed ones, empty for all."""

    name: str
    provisioner: str
    waits: bool
    topologies: tuple[NodeTerm, ...]


class Capacity(NamedTuple):
    """A CSIStorageCapacity: the nodes it speaks of, and the largest volume there."""

    storage_class: str
    selector: Selector
    largest: int


class Storage:
    """All of them, by name."""

    def __init__(self) -> None:
        self.volumes: dict[str, Volume] = {}
        self.claims: dict[str, Claim] = {}
        self.classes: dict[str, StorageClass] = {}
        self.capacities: dict[str, Capacity] = {}
        self.limits: dict[str, dict[str, int]] = {}  # of each node, by driver
        self.checks_capacity: dict[str, bool] = {}  # of each driver

    def put(self, kind: str, obj: Field, present: bool) -> None:
        """Takes over an object, or drops it. Raises BadObject."""
        meta = obj.at("metadata")
        name = meta.at("name").text()
        if kind == "PersistentVolumeClaim":
            claim = _claim(obj)
            _set(self.claims, claim.key, claim, present)
            self.volumes.pop(_assumed_volume(claim.key), None)
        elif kind == "PersistentVolume":
            _set(self.volumes, name, _volume(obj), present)
        elif kind == "StorageClass":
            _set(self.classes, name, _class(obj), present)
        elif kind == "CSINode":
            _set(self.limits, name, _limits(obj), present)
        elif kind == "CSIDriver":
            _set(self.checks_capacity, name, obj.at("spec", "storageCapacity").flag(), present)
        else:
            _set(self.capacities, f"{meta.at('namespace').text()}/{name}", _capacity(obj), present)

    def bind(self, claim: str, volume: str) -> None:
        """Assumes that a claim is bound; without a volume, that one is being provisioned for it."""
        if volume:
            uid = self.claims[claim].uid
            self.volumes[volume] = self.volumes[volume]._replace(claim=claim, claim_uid=uid)
        bound = self.claims[claim]._replace(volume=volume or _assumed_volume(claim))
        self.claims[claim] = bound
        if not volume:
            self.volumes[bound.volume] = _provisioned(bound, self.classes)


KINDS = frozenset(
    (
        "PersistentVolumeClaim",
        "PersistentVolume",
        "StorageClass",
        "CSINode",
        "CSIDriver",
        "CSIStorageCapacity",
    )
)


def _assumed_volume(claim: str) -> str:
    """The volume that is assumed while one is being provisioned; no real one has such a name."""
    return f"pvc-{claim}"


def _set(table: dict[str, Any], key: str, value: Any, present: bool) -> None:
    if present:
        table[key] = value
    else:
        table.pop(key, None)


def _provisioned(claim: Claim, classes: dict[str, StorageClass]) -> Volume:
    driver = classes[claim.storage_class].provisioner if claim.storage_class in classes else ""
    return Volume(
        name=claim.volume,
        labels={},
        storage_class=claim.storage_class,
        size=claim.size,
        modes=claim.modes,
        block=claim.block,
        terms=None,
        claim=claim.key,
        available=False,
        driver=driver,
        handle=claim.key,
        claim_uid=claim.uid,
    )


def _class_name(obj: Field) -> str:
    old = obj.at("metadata", "annotations").map().get(OLD_CLASS)
    return str(old) if old else obj.at("spec", "storageClassName").text()


def _volume(obj: Field) -> Volume:
    spec = obj.at("spec")
    required = spec.at("nodeAffinity", "required")
    ref = spec.at("claimRef")
    phase = obj.at("status", "phase").text()
    return Volume(
        name=obj.at("metadata", "name").text(),
        labels=obj.at("metadata", "labels").labels(),
        storage_class=_class_name(obj),
        size=spec.at("capacity", "storage").amount(),
        modes=frozenset(spec.at("accessModes").texts()),
        block=spec.at("volumeMode").text() == "Block",
        terms=tuple(node_term(term) for term in required.at("nodeSelectorTerms").items())
        if required
        else None,
        claim=f"{ref.at('namespace').text() or 'default'}/{ref.at('name').text()}" if ref else "",
        available=phase in ("", "Available")
        and obj.at("metadata", "deletionTimestamp").value is None,
        driver=spec.at("csi", "driver").text(),
        handle=spec.at("csi", "volumeHandle").text(),
        claim_uid=ref.at("uid").text(),
    )


def _claim(obj: Field) -> Claim:
    meta, spec = obj.at("metadata"), obj.at("spec")
    chosen = spec.at("selector")
    return Claim(
        key=f"{meta.at('namespace').text() or 'default'}/{meta.at('name').text()}",
        volume=spec.at("volumeName").text(),
        storage_class=_class_name(obj),
        size=spec.at("resources", "requests", "storage").amount(),
        modes=frozenset(spec.at("accessModes").texts()),
        block=spec.at("volumeMode").text() == "Block",
        selector=EVERYTHING if chosen.value is None else selector(chosen),
        selected_node=str(meta.at("annotations").map().get(SELECTED_NODE) or ""),
        problem=_problem(obj),
        owner=_controller(meta),
        uid=meta.at("uid").text(),
    )


def _controller(meta: Field) -> str:
    for owner in meta.at("ownerReferences").items():
        if owner.at("controller").flag():
            return owner.at("uid").text()
    return ""


def _problem(obj: Field) -> str:
    name = obj.at("metadata", "name").text()
    if obj.at("status", "phase").text() == "Lost":
        volume = obj.at("spec", "volumeName").text()
        return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"'
    if obj.at("metadata", "deletionTimestamp").value is not None:
        return f'persistentvolumeclaim "{name}" is being deleted'
    return ""


def _class(obj: Field) -> StorageClass:
    return StorageClass(
        name=obj.at("metadata", "name").text(),
        provisioner=obj.at("provisioner").text(),
        waits=obj.at("volumeBindingMode").text() == "WaitForFirstConsumer",
        topologies=tuple(_topology(topology) for topology in obj.at("allowedTopologies").items()),
    )


def _topology(field: Field) -> NodeTerm:
    requirements = tuple(
        Requirement(expression.at("key").text(), "In", frozenset(expression.at("values").texts()))
        for expression in field.at("matchLabelExpressions").items()
    )
    return NodeTerm(requirements, (), bool(requirements))


def _limits(obj: Field) -> dict[str, int]:
    drivers = [
        driver
        for driver in obj.at("spec", "drivers").items()
        if driver.at("allocatable", "count").value is not None
    ]
    return {
        driver.at("name").text(): driver.at("allocatable", "count").whole() for driver in drivers
    }


def _capacity(obj: Field) -> Capacity:
    largest = obj.at(
        "maximumVolumeSize" if obj.at("maximumVolumeSize").value is not None else "capacity"
    )
    return Capacity(
        obj.at("storageClassName").text(), selector(obj.at("nodeTopology")), largest.amount()
    )
