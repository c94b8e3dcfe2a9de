"""Claims: one that names no storage class gets the default one, and only some may grow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.admission.default_classes import default_name
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.status import refused
from kubelite.objects.facts import quantity
from kubelite.objects.rules.claims import OLD_CLASS

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt

DEFAULT = "storageclass.kubernetes.io/is-default-class"


async def default_class(attempt: Attempt) -> None:
    """A claim that says nothing of classes gets the default one."""
    if not attempt.creates("", "persistentvolumeclaims") or "storageClassName" in (
        attempt.obj.get("spec") or {}
    ):
        return
    if OLD_CLASS in (attempt.obj["metadata"].get("annotations") or {}):
        return
    if name := await default_name(attempt, "storageclasses", DEFAULT):
        attempt.obj["spec"]["storageClassName"] = name


async def resize(attempt: Attempt) -> None:
    """A claim grows when it is bound, of a class that allows it (PersistentVolumeClaimResize).
    Raises StatusError 403.
    """
    if attempt.operation != "UPDATE" or not attempt.of("", "persistentvolumeclaims"):
        return
    old, new = ((claim or {}).get("spec", {}) for claim in (attempt.old, attempt.obj))
    before, after = (
        ((claim_spec.get("resources") or {}).get("requests") or {}).get("storage", "0")
        for claim_spec in (old, new)
    )
    if quantity.compare(str(after), str(before)) <= 0:
        return
    if ((attempt.old or {}).get("status") or {}).get("phase") != "Bound":
        raise refused(
            attempt.request.resource,
            attempt.name,
            "Only bound persistent volume claims can be expanded",
        )
    name = old.get("storageClassName", "")
    entry = await attempt.context.store.get("storageclasses", "", name) if name else None
    if entry is None or not load(entry).get("allowVolumeExpansion"):
        why = (
            "only dynamically provisioned pvc can be resized and the storageclass that provisions "
            "the pvc must support resize"
        )
        raise refused(attempt.request.resource, attempt.name, why)
