"""PersistentVolumes and their claims, storage classes, and what CSI drivers say. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds import metadata, poddefaults
from kubelite.control.api.kinds.checks import (
    unchanged,
)
from kubelite.control.api.kinds.rules import Rules, initial_phase
from kubelite.control.api.tables.columns import boolean, columns, integer, wide
from kubelite.control.api.tables.text import (
    NONE,
    UNSET,
    age_of,
    joined,
    lookup,
    name_of,
    name_values_age,
    shown_access_modes,
)
from kubelite.control.api.wire import causes
from kubelite.objects.facts import names, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
Cells = list[Any]


def default_claim(obj: Any) -> None:
    """A PersistentVolumeClaim, or the template of one."""
    obj.status.phase = obj.status.phase or "Pending"
    poddefaults.claim(obj.spec)


def _default_volume(obj: Any) -> None:
    obj.status.phase = obj.status.phase or "Pending"
    obj.spec.persistentVolumeReclaimPolicy = obj.spec.persistentVolumeReclaimPolicy or "Retain"
    poddefaults.claim(obj.spec)
    if obj.spec.hostPath is not None:
        poddefaults.host_path(obj.spec.hostPath)


def _default_storage_class(obj: Any) -> None:
    obj.reclaimPolicy = obj.reclaimPolicy or "Delete"
    obj.volumeBindingMode = obj.volumeBindingMode or "Immediate"


def _default_csi_driver(obj: Any) -> None:
    spec = obj.spec
    spec.attachRequired = True if spec.attachRequired is None else spec.attachRequired
    for name in ("podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"):
        setattr(spec, name, bool(getattr(spec, name)))
    spec.fsGroupPolicy = spec.fsGroupPolicy or "ReadWriteOnceWithFSType"
    spec.volumeLifecycleModes = spec.volumeLifecycleModes or ["Persistent"]


def _check_claim(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if not spec.get("accessModes"):
        yield causes.required("spec.accessModes", "at least 1 access mode is required")
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if size is None:
        yield causes.required("spec.resources[storage]")
    elif quantity.parse(str(size)).nano <= 0:
        yield causes.invalid("spec.resources[storage]", size, "must be greater than zero")
    yield from metadata.selector(spec.get("selector"), "spec.selector")
    for why in names.subdomain(spec["storageClassName"]) if spec.get("storageClassName") else ():
        yield causes.invalid("spec.storageClassName", spec["storageClassName"], why)


_NO_SOURCE = {"capacity", "accessModes", "claimRef", "persistentVolumeReclaimPolicy", "storageClassName", "mountOptions",
              "volumeMode", "nodeAffinity", "volumeAttributesClassName"}  # fmt: skip


def volume_sources(spec: Object) -> Object:
    """The parts of a PersistentVolume's spec that say where its data is."""
    return {key: value for key, value in spec.items() if key not in _NO_SOURCE}


def _check_volume(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if not spec.get("accessModes"):
        yield causes.required("spec.accessModes")
    if not spec.get("capacity"):
        yield causes.required("spec.capacity")
    elif "storage" not in spec["capacity"]:
        yield causes.unsupported("spec.capacity", next(iter(spec["capacity"])), ("storage",))
    chosen = list(volume_sources(spec))
    if not chosen:
        yield causes.required("spec", "must specify a volume type")
    for extra in chosen[1:]:
        yield causes.forbidden(f"spec.{extra}", "may not specify more than 1 volume type")
    if "local" in chosen and not spec.get("nodeAffinity"):
        yield causes.required("spec.nodeAffinity", "Local volume requires node affinity")


_CLAIM = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def _check_claim_update(new: Object, old: Object) -> Iterator[Cause]:
    now, was = dict(new.get("spec") or {}), dict(old.get("spec") or {})
    for field in ("resources", "volumeAttributesClassName"):
        now.pop(field, None)
        was.pop(field, None)
    if not was.get("volumeName"):
        now.pop("volumeName", None)
    if was.get("storageClassName") is None:
        now.pop("storageClassName", None)
    if now != was:
        yield causes.forbidden("spec", _CLAIM)
    asked, given = (lookup(each, "spec.resources.requests") or {} for each in (new, old))
    if (
        quantity.parse(str(asked.get("storage", "0"))).nano
        < quantity.parse(str(given.get("storage", "0"))).nano
    ):
        yield causes.forbidden(
            "spec.resources.requests.storage", "field can not be less than previous value"
        )


def _check_volume_update(new: Object, old: Object) -> Iterator[Cause]:
    if volume_sources(new.get("spec") or {}) != volume_sources(old.get("spec") or {}):
        why = "spec.persistentvolumesource is immutable after creation"
        yield causes.forbidden("spec.persistentvolumesource", why)
    yield from unchanged("spec.volumeMode")(new, old)


def _check_storage_class_update(new: Object, old: Object) -> Iterator[Cause]:
    for field in ("parameters", "provisioner", "reclaimPolicy"):
        if new.get(field) != old.get(field):
            yield causes.forbidden(field, f"updates to {field} are forbidden.")
    yield from unchanged("volumeBindingMode")(new, old)


_RECYCLE = (
    "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use"
    " dynamic provisioning."
)


def _volume_warnings(obj: Object) -> Iterator[str]:
    if obj["spec"].get("persistentVolumeReclaimPolicy") == "Recycle":
        yield _RECYCLE


def _shown_phase(obj: Object) -> str:
    return (
        "Terminating"
        if lookup(obj, "metadata.deletionTimestamp")
        else str(lookup(obj, "status.phase", ""))
    )


def _claim_cells(obj: Object, now: datetime) -> Cells:
    spec, bound = obj.get("spec") or {}, bool(lookup(obj, "spec.volumeName"))
    capacity = lookup(obj, "status.capacity.storage", "") if bound else ""
    modes = shown_access_modes(lookup(obj, "status.accessModes")) if bound else ""
    classes = [spec.get("storageClassName") or "", spec.get("volumeAttributesClassName") or UNSET]
    head = [name_of(obj), _shown_phase(obj), spec.get("volumeName", ""), capacity, modes, *classes]
    return [*head, age_of(obj, now), spec.get("volumeMode") or UNSET]


def _volume_cells(obj: Object, now: datetime) -> Cells:
    spec, claim = obj.get("spec") or {}, lookup(obj, "spec.claimRef")
    whose = f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else ""
    policy = spec.get("persistentVolumeReclaimPolicy", "")
    head = [
        name_of(obj),
        lookup(spec, "capacity.storage", ""),
        shown_access_modes(spec.get("accessModes")),
        policy,
        _shown_phase(obj),
        whose,
    ]
    classes = [spec.get("storageClassName", ""), spec.get("volumeAttributesClassName") or UNSET]
    return [
        *head,
        *classes,
        lookup(obj, "status.reason", ""),
        age_of(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


def _storage_class_cells(obj: Object, now: datetime) -> Cells:
    default = (
        lookup(obj, "metadata.annotations", {}).get("storageclass.kubernetes.io/is-default-class")
        == "true"
    )
    fields = [obj.get(field, "") for field in ("provisioner", "reclaimPolicy", "volumeBindingMode")]
    shown = name_of(obj) + (" (default)" if default else "")
    return [shown, *fields, bool(obj.get("allowVolumeExpansion")), age_of(obj, now)]


def _csi_driver_cells(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    flags = [
        bool(spec.get(field)) for field in ("attachRequired", "podInfoOnMount", "storageCapacity")
    ]
    tokens = joined((each.get("audience", "") for each in spec.get("tokenRequests") or ()), UNSET)
    modes = joined(spec.get("volumeLifecycleModes") or (), NONE)
    return [
        name_of(obj),
        *flags,
        tokens,
        bool(spec.get("requiresRepublish")),
        modes,
        age_of(obj, now),
    ]


def _csi_node_cells(obj: Object, now: datetime) -> Cells:
    return [name_of(obj), len(lookup(obj, "spec.drivers", [])), age_of(obj, now)]


KINDS: dict[tuple[str, str], Rules] = {
    ("", "PersistentVolume"): Rules(
        defaults=_default_volume,
        check=_check_volume,
        check_update=_check_volume_update,
        warnings=_volume_warnings,
        columns=columns(
            "Name",
            "Capacity",
            "Access Modes",
            "Reclaim Policy",
            "Status",
            "Claim",
            "StorageClass",
            "VolumeAttributesClass",
            "Reason",
            "Age",
            wide("VolumeMode"),
        ),
        cells=_volume_cells,
        returned_on_delete=True,
        initial_status=initial_phase("Pending"),
        values={
            "core.v1.PersistentVolumeSpec": {
                "accessModes": (
                    "ReadOnlyMany",
                    "ReadWriteMany",
                    "ReadWriteOnce",
                    "ReadWriteOncePod",
                ),
                "persistentVolumeReclaimPolicy": ("Delete", "Recycle", "Retain"),
                "volumeMode": ("Block", "Filesystem"),
            }
        },
    ),
    ("", "PersistentVolumeClaim"): Rules(
        defaults=default_claim,
        check=_check_claim,
        check_update=_check_claim_update,
        columns=columns(
            "Name",
            "Status",
            "Volume",
            "Capacity",
            "Access Modes",
            "StorageClass",
            "VolumeAttributesClass",
            "Age",
            wide("VolumeMode"),
        ),
        cells=_claim_cells,
        returned_on_delete=True,
        initial_status=initial_phase("Pending"),
        values={
            "core.v1.PersistentVolumeClaimSpec": {
                "accessModes": (
                    "ReadOnlyMany",
                    "ReadWriteMany",
                    "ReadWriteOnce",
                    "ReadWriteOncePod",
                ),
                "volumeMode": ("Block", "Filesystem"),
            }
        },
    ),
    ("storage.k8s.io", "StorageClass"): Rules(
        defaults=_default_storage_class,
        check_update=_check_storage_class_update,
        columns=columns(
            "Name",
            "Provisioner",
            "ReclaimPolicy",
            "VolumeBindingMode",
            "AllowVolumeExpansion",
            "Age",
        ),
        cells=_storage_class_cells,
        returned_on_delete=True,
        values={
            "storage.v1.StorageClass": {
                "reclaimPolicy": ("Delete", "Retain"),
                "volumeBindingMode": ("Immediate", "WaitForFirstConsumer"),
            }
        },
    ),
    ("storage.k8s.io", "CSIDriver"): Rules(
        defaults=_default_csi_driver,
        columns=columns(
            "Name",
            boolean("AttachRequired"),
            boolean("PodInfoOnMount"),
            boolean("StorageCapacity"),
            "TokenRequests",
            boolean("RequiresRepublish"),
            "Modes",
            "Age",
        ),
        cells=_csi_driver_cells,
        returned_on_delete=True,
    ),
    ("storage.k8s.io", "CSINode"): Rules(
        columns=columns("Name", integer("Drivers"), "Age"),
        cells=_csi_node_cells,
        returned_on_delete=True,
        may_be_empty=("storage.v1.CSINodeSpec.drivers",),
    ),
    ("storage.k8s.io", "CSIStorageCapacity"): Rules(
        columns=columns("Name", "StorageClassName", "Capacity", "Age"),
        cells=name_values_age("storageClassName", "capacity"),
        may_be_empty=("storage.v1.CSIStorageCapacity.storageClassName",),
    ),
    ("storage.k8s.io", "VolumeAttachment"): Rules(
        check_update=unchanged("spec"),
        columns=columns("Name", "Attacher", "PV", "Node", boolean("Attached"), "Age"),
        cells=lambda obj, now: [
            name_of(obj),
            lookup(obj, "spec.attacher", ""),
            lookup(obj, "spec.source.persistentVolumeName", ""),
            lookup(obj, "spec.nodeName", ""),
            bool(lookup(obj, "status.attached")),
            age_of(obj, now),
        ],
        returned_on_delete=True,
    ),
    ("storage.k8s.io", "VolumeAttributesClass"): Rules(
        columns=columns("Name", "DriverName", "Age"),
        cells=name_values_age("driverName"),
    ),
}
