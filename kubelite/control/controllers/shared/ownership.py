"""Which objects a controller owns: adopting and releasing by ``controllerRef``. Pure.

An orphan that the selector matches is adopted, an owned object that it no longer matches is
released; neither happens while the owner is being deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from kubelite.client.resources import GroupVersionResource
from kubelite.control.controllers.actions import Action, Confirm, Patch
from kubelite.control.controllers.shared.meta import (
    Obj,
    controller_of,
    is_controlled_by,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    uid_of,
)
from kubelite.control.controllers.view import View, controlled_by, orphans
from kubelite.objects.facts.labels import Selector


class OwnerKind(NamedTuple):
    """The kind of an owner, as references to it are written."""

    resource: GroupVersionResource
    api_version: str
    kind: str


class Claim(NamedTuple):
    """The objects that belong to an owner, those about to be adopted among them, and the actions
    that make it so.
    """

    owned: tuple[Obj, ...]
    actions: tuple[Action, ...]


def claim(
    view: View,
    owner: Obj,
    kind: OwnerKind,
    resource: GroupVersionResource,
    selector: Selector,
    considered: Callable[[Obj], bool] = lambda obj: True,
    is_member: Callable[[Obj], bool] = lambda obj: True,
    finalizer: str = "",
) -> Claim:
    """What ``owner`` owns of a resource: what its selector matches and ``is_member`` accepts.

    Only objects that are ``considered`` are adopted and released; ``finalizer`` is put on what is
    adopted and taken off what is released.
    """

    def matches(obj: Obj) -> bool:
        return selector.matches(labels_of(obj)) and is_member(obj)

    owned: list[Obj] = []
    released: list[Action] = []
    for obj in controlled_by(view, resource, uid_of(owner)):
        if not considered(obj) or matches(obj):
            owned.append(obj)
        elif not is_deleting(owner):
            released.append(release(owner, resource, obj, finalizer))
    adopted: list[Obj] = []
    if not is_deleting(owner):
        adopted = [
            obj
            for obj in orphans(view, resource, namespace_of(owner))
            if not is_deleting(obj) and matches(obj) and considered(obj)
        ]
    actions = (*_adoptions(owner, kind, resource, adopted, finalizer), *released)
    return Claim((*owned, *adopted), actions)


def _adoptions(
    owner: Obj,
    kind: OwnerKind,
    resource: GroupVersionResource,
    adopted: Iterable[Obj],
    finalizer: str,
) -> Iterable[Action]:
    """The owner is confirmed first: an orphan of an owner that is gone would be collected."""
    patches = [adopt(owner, kind, resource, obj, finalizer) for obj in adopted]
    if not patches:
        return ()
    where = kind.resource, namespace_of(owner), name_of(owner)
    return (Confirm(*where, uid_of(owner)), *patches)


def adopt(
    owner: Obj, kind: OwnerKind, resource: GroupVersionResource, obj: Obj, finalizer: str = ""
) -> Patch:
    """Makes ``owner`` the controlling owner of an object."""
    reference = owner_reference(owner, kind.api_version, kind.kind)
    metadata = {"uid": uid_of(obj), "ownerReferences": [reference]}
    if finalizer:
        metadata["finalizers"] = [finalizer]
    return Patch(resource, namespace_of(obj), name_of(obj), {"metadata": metadata})


def release(owner: Obj, resource: GroupVersionResource, obj: Obj, finalizer: str = "") -> Patch:
    """Takes ``owner`` out of the owners of an object."""
    metadata = {
        "uid": uid_of(obj),
        "ownerReferences": [{"$patch": "delete", "uid": uid_of(owner)}],
    }
    if finalizer:
        metadata["$deleteFromPrimitiveList/finalizers"] = [finalizer]
    return Patch(resource, namespace_of(obj), name_of(obj), {"metadata": metadata})


def owner_keys(
    view: View, kind: OwnerKind, obj: Obj, selects: Callable[[Obj], Selector]
) -> list[tuple[str, str]]:
    """The keys of owners that an object concerns: its controller, or for an orphan every owner
    whose selector matches it.
    """
    namespace = namespace_of(obj)
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            is_ours = (
                reference.get("kind") == kind.kind
                and str(reference.get("apiVersion")).split("/")[0] == kind.api_version.split("/")[0]
            )
            return [(namespace, reference["name"])] if is_ours else []
    if is_deleting(obj):
        return []
    return [
        (namespace, name_of(owner))
        for owner in view.list(kind.resource, namespace)
        if selects(owner).matches(labels_of(obj))
    ]


def changed_owner_keys(
    view: View,
    kind: OwnerKind,
    old: Obj | None,
    new: Obj | None,
    selects: Callable[[Obj], Selector],
) -> list[tuple[str, str]]:
    """The keys of owners that a change of an object concerns: those of its new state, and those of
    its old one where it is gone or may have left them.
    """
    keys: list[tuple[str, str]] = []
    for obj in (old, new):
        if obj is not None and (obj is new or new is None or has_moved(obj, new)):
            keys += owner_keys(view, kind, obj, selects)
    return keys


def has_moved(old: Obj, new: Obj) -> bool:
    """Whether an object may have other owners than before."""
    return controller_of(old) != controller_of(new) or labels_of(old) != labels_of(new)


def is_owned(obj: Obj, owner: Obj) -> bool:
    """Whether ``owner`` controls an object."""
    return is_controlled_by(obj, uid_of(owner))
