"""Which volume is one for a claim. Pure.

After kubernetes, ``component-helpers/storage/volume``: among the available volumes that satisfy a
claim the smallest is taken, first of those with the fewest access modes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubelite.client.resources import STORAGE_CLASSES
from kubelite.control.controllers.shared.meta import (
    Obj,
    annotations_of,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from kubelite.control.controllers.shared.selectors import selector_of
from kubelite.control.controllers.view import View
from kubelite.objects.facts import quantity
from kubelite.objects.facts.local_volumes import SELECTED_NODE
from kubelite.objects.rules.claims import OLD_CLASS


def class_of(obj: Obj) -> str:
    """The name of the storage class of a claim or volume, "" for none."""
    annotations = annotations_of(obj)
    if OLD_CLASS in annotations:
        return annotations[OLD_CLASS]
    return str(spec_of(obj).get("storageClassName") or "")


def is_reserved_for(volume: Obj, claim: Obj) -> bool:
    """Whether a volume names a claim: by name, and by uid where it has one."""
    reference = spec_of(volume).get("claimRef") or {}
    return (
        reference.get("namespace") == namespace_of(claim)
        and reference.get("name") == name_of(claim)
        and reference.get("uid") in (None, "", uid_of(claim))
    )


def waits_for_consumer(view: View, claim: Obj) -> bool:
    """Whether a claim is bound only when the scheduler has chosen a node for its pod."""
    if SELECTED_NODE in annotations_of(claim):
        return False
    storage_class = view.get(STORAGE_CLASSES, "", class_of(claim)) if class_of(claim) else None
    return (
        storage_class is not None
        and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
    )


def best_match(claim: Obj, volumes: Iterable[Obj], *, only_reserved: bool) -> Obj | None:
    """The volume that a claim is to have: one that was reserved for it, or the smallest of those
    that satisfy it. None where there is none.
    """
    fitting = [volume for volume in volumes if _is_candidate(claim, volume)]
    reserved = [volume for volume in fitting if is_reserved_for(volume, claim)]
    if reserved:
        return reserved[0]
    selector = spec_of(claim).get("selector")
    free = [
        volume
        for volume in fitting
        if not only_reserved
        and not spec_of(volume).get("claimRef")
        and status_of(volume).get("phase") == "Available"
        and class_of(volume) == class_of(claim)
        and (not selector or selector_of(selector).matches(labels_of(volume)))
    ]
    return min(free, key=_preference, default=None)


def _is_candidate(claim: Obj, volume: Obj) -> bool:
    return (
        not is_deleting(volume)
        and (not spec_of(volume).get("claimRef") or is_reserved_for(volume, claim))
        and _capacity(volume) >= requested(claim)
        and _mode(volume) == _mode(claim)
        and _attributes_class(volume) == _attributes_class(claim)
        and _has_access_modes(claim, volume)
    )


def _preference(volume: Obj) -> tuple[int, int, str]:
    modes = spec_of(volume).get("accessModes") or ()
    return len(set(modes)), _capacity(volume), name_of(volume)


def mismatch(volume: Obj, claim: Obj) -> str:
    """Why a volume that a claim asks for by name does not satisfy it, "" where it does."""
    if requested(claim) > _capacity(volume):
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if _attributes_class(volume) != _attributes_class(claim):
        return "volumeAttributesClassName does not match"
    if _mode(volume) != _mode(claim):
        return "incompatible volumeMode"
    return "" if _has_access_modes(claim, volume) else "incompatible accessMode"


def has_other_mode(volume: Obj, claim: Obj) -> bool:
    """Whether one is a file system and the other a block device."""
    return _mode(volume) != _mode(claim)


def _mode(obj: Obj) -> str:
    return str(spec_of(obj).get("volumeMode") or "Filesystem")


def _attributes_class(obj: Obj) -> str:
    return str(spec_of(obj).get("volumeAttributesClassName") or "")


def _has_access_modes(claim: Obj, volume: Obj) -> bool:
    return set(spec_of(claim).get("accessModes") or ()) <= set(
        spec_of(volume).get("accessModes") or ()
    )


def _capacity(volume: Obj) -> int:
    return storage_in(spec_of(volume).get("capacity"))


def requested(claim: Obj) -> int:
    """How much storage a claim asks for, in billionths of a byte."""
    return storage_in((spec_of(claim).get("resources") or {}).get("requests"))


def storage_in(amounts: Mapping[str, object] | None) -> int:
    """The storage among amounts of resources, in billionths of a byte."""
    return quantity.parse(str((amounts or {}).get("storage", "0"))).nano
