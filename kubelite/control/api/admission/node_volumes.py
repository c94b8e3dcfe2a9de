"""What a node writes about volumes for the drivers that it runs: the PersistentVolume that a driver
has made for a claim, how large it is now, that it is gone, and what its own attachments have come
to. Nothing of that opens a Secret, a path or another volume to it.

Kubernetes has a controller with credentials of its own beside each driver for this; here the nodes
do it, each with the same right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.status import refused
from kubelite.objects.facts import local_volumes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubelite.control.api.admission.chain import Attempt
    from kubelite.lib.json import Object

_OF_SERVER = ("resourceVersion", "managedFields", "generation")
"""What the server itself writes into the metadata of an object that is changed."""


async def volume(attempt: Attempt, node: str) -> None:
    """A PersistentVolume. Raises StatusError 403."""
    if attempt.operation == "CREATE":
        why = await _new_volume(attempt, node)
    elif attempt.operation == "DELETE":
        why = _goes(attempt.old or {}, node)
    else:
        why = _changed_volume(attempt.old or {}, attempt.obj, node)
    if why:
        raise refused(attempt.request.resource, attempt.name, f'node "{node}" {why}')


async def _new_volume(attempt: Attempt, node: str) -> str:
    metadata, spec = attempt.obj["metadata"], attempt.obj["spec"]
    source, holder = spec.get("csi"), spec.get("claimRef") or {}
    if not source or source["driver"] == local_volumes.PROVISIONER:
        return "can only create persistent volumes of CSI drivers"
    if any(field.endswith("SecretRef") for field in source):
        return "can not create persistent volumes that refer to secrets"
    annotations = metadata.get("annotations") or {}
    if annotations.get(local_volumes.PROVISIONED_BY) != source["driver"]:
        return "can only create persistent volumes provisioned by their driver"
    if metadata["name"] != local_volumes.volume_name(holder.get("uid", "")):
        return "can only create persistent volumes named after the claim that they are for"
    claim = await attempt.context.store.get(
        "persistentvolumeclaims", holder.get("namespace", ""), holder.get("name", "")
    )
    if claim is not None and not _may_provision(load(claim), holder["uid"], source["driver"], node):
        return "can only create persistent volumes for claims that wait for it and their driver"
    if await _is_taken(attempt, source):
        return "can not create a persistent volume for what another persistent volume stands for"
    return ""


def _may_provision(claim: Object, uid: str, driver: str, node: str) -> bool:
    """Whether a driver on this node was asked for a volume. Of a claim that is gone (another one
    has its name now) too: the volume it has made meanwhile is released, and removed.
    """
    annotations = claim["metadata"].get("annotations") or {}
    return claim["metadata"]["uid"] != uid or (
        annotations.get(local_volumes.CLAIMED_PROVISIONER) == driver
        and annotations.get(local_volumes.SELECTED_NODE) in (None, "", node)
    )


async def _is_taken(attempt: Attempt, source: Object) -> bool:
    """Whether a PersistentVolume of another name stands for the same volume of the driver."""
    present = await attempt.context.store.page("persistentvolumes")
    wanted = source["driver"], source["volumeHandle"]
    return any(
        (other := obj["spec"].get("csi"))
        and (other["driver"], other["volumeHandle"]) == wanted
        and obj["metadata"]["name"] != attempt.name
        for obj in map(load, present.entries)
    )


def _is_of_node(obj: Object, node: str) -> bool:
    """Whether a provisioned volume is a driver's, which any node may run, or lies on this node."""
    return bool(obj["spec"].get("csi")) or local_volumes.is_on(obj, node)


def _goes(old: Object, node: str) -> str:
    annotations = old["metadata"].get("annotations") or {}
    is_released = (old.get("status") or {}).get("phase") == "Released"
    if (
        is_released
        and local_volumes.is_deleted_with_claim(old)
        and local_volumes.PROVISIONED_BY in annotations
        and _is_of_node(old, node)
    ):
        return ""
    return "can only delete persistent volumes that go with their claim"


def _changed_volume(old: Object, new: Object, node: str) -> str:
    if not _is_of_node(old, node):
        return "can only change persistent volumes of CSI drivers and its own"
    if _without(new["spec"], "capacity") != _without(old["spec"], "capacity"):
        return "can only change the capacity of persistent volumes"
    before, after = (_without(obj["metadata"], *_OF_SERVER) for obj in (old, new))
    held, left = before.pop("finalizers", None) or [], after.pop("finalizers", None) or []
    is_gone = "deletionTimestamp" in before
    may_leave = [name for name in held if name != local_volumes.FINALIZER] if is_gone else held
    if before != after or left not in (held, may_leave):
        return f"can only take {local_volumes.FINALIZER} from persistent volumes that are deleted"
    return ""


def attachment(attempt: Attempt, node: str) -> None:
    """A VolumeAttachment. Raises StatusError 403."""
    if (attempt.old or attempt.obj)["spec"].get("nodeName") != node:
        why = f'node "{node}" can only change volume attachments of its own'
        raise refused(attempt.request.resource, attempt.name, why)


def claim(attempt: Attempt, node: str) -> None:
    """A PersistentVolumeClaim. Raises StatusError 403."""
    if _besides_size(attempt.old or {}) != _besides_size(attempt.obj):
        why = f'node "{node}" can only change the capacity and conditions of claims'
        raise refused(attempt.request.resource, attempt.name, why)


def _besides_size(obj: Object) -> Object:
    """A claim without what its expansion writes."""
    if not obj:
        return {}
    return {
        **obj,
        "metadata": _without(obj["metadata"], *_OF_SERVER),
        "status": _without(obj.get("status") or {}, "capacity", "conditions"),
    }


def _without(mapping: Mapping[str, Any], *fields: str) -> Object:
    return {name: value for name, value in mapping.items() if name not in fields}
