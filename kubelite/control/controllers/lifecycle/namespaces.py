"""Deletion of namespaces: everything in them first, pods before all else. Pure.

After kubernetes, ``pkg/controller/namespace/deletion``. Conditions tell what a deletion waits for;
the namespace itself goes when its finalizer ``kubernetes`` is taken off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubelite.client.resources import NAMESPACES, PODS, GroupVersionResource, is_namespaced
from kubelite.control.controllers.actions import (
    NOTHING,
    Action,
    Clear,
    Outcome,
    Plan,
    Step,
    Update,
)
from kubelite.control.controllers.controller import Concerned, Controller, own_key
from kubelite.control.controllers.lifecycle.garbage_collector import RESOURCES
from kubelite.control.controllers.shared.conditions import find
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    format_time,
    is_deleting,
    namespace_of,
    parse_time,
    spec_of,
    status_of,
    with_type,
)
from kubelite.control.controllers.view import View, is_namespace_ending

FINALIZER = "kubernetes"
SHORTEST_WAIT, LONGEST_WAIT = 0.5, 15.0
"""Custom resources are not followed: while any may be left, it is looked again after this time."""

_FINE = {
    "NamespaceDeletionDiscoveryFailure": (
        "ResourcesDiscovered",
        "All resources successfully discovered",
    ),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": (
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    ),
}


def plan(view: View, key: Key, now: float) -> Plan:
    """Deletes what is in a namespace that is being deleted, and lets go of it when it is empty."""
    namespace = view.get(NAMESPACES, *key)
    if namespace is None or not is_deleting(namespace):
        return NOTHING
    if FINALIZER not in (spec_of(namespace).get("finalizers") or ()):
        return NOTHING
    name = key[1]

    def pods_cleared(outcomes: tuple[Outcome, ...]) -> tuple[Action | Step, ...]:
        left = outcomes[0].result
        if left is None:
            return ()
        if left["remaining"] or left["failures"]:
            return _report(namespace, left, now)
        return (Step((Clear(name),), cleared),)

    def cleared(outcomes: tuple[Outcome, ...]) -> tuple[Action | Step, ...]:
        left = outcomes[0].result
        return () if left is None else _report(namespace, left, now)

    waited = now - parse_time(namespace["metadata"]["deletionTimestamp"])
    wake = now + min(max(waited / 4, SHORTEST_WAIT), LONGEST_WAIT)
    return Plan((Step((Clear(name, (PODS,)),), pods_cleared),), wake)


def _report(namespace: Obj, left: Obj, now: float) -> tuple[Action | Step, ...]:
    """Writes down what is left; where nothing is, the namespace may go."""
    is_empty = not left["remaining"] and not left["failures"]
    old = status_of(namespace).get("conditions") or ()
    conditions = conditions_of(left, old, now)
    body = with_type(namespace, "v1", "Namespace")
    if conditions == list(old):
        return (_finalized(body),) if is_empty else ()
    status = {**status_of(namespace), "conditions": conditions}
    update = Update(NAMESPACES, {**body, "status": status}, "status")

    def written(outcomes: tuple[Outcome, ...]) -> tuple[Action | Step, ...]:
        result = outcomes[0].result
        return (_finalized(result),) if is_empty and result is not None else ()

    return (Step((update,), written),)


def _finalized(namespace: Obj) -> Update:
    kept = [name for name in spec_of(namespace).get("finalizers") or () if name != FINALIZER]
    body = with_type(namespace, "v1", "Namespace")
    body["spec"] = {**spec_of(namespace), "finalizers": kept}
    return Update(NAMESPACES, body, "finalize")


def conditions_of(left: Obj, old: Iterable[Obj], now: float) -> list[Obj]:
    """The conditions that say what is left. Those that are as they were keep their time."""
    present = list(old)
    troubles = _troubles(left)
    return [
        _condition(type_, troubles.get(type_), find(present, type_), now) for type_ in _FINE
    ] + [other for other in present if other.get("type") not in _FINE]


def _condition(
    type_: str, trouble: tuple[str, str] | None, old: Obj | None, now: float
) -> dict[str, Any]:
    reason, message = trouble or _FINE[type_]
    status = "True" if trouble else "False"
    is_same = old is not None and old.get("status") == status
    return {
        "type": type_,
        "status": status,
        "lastTransitionTime": old["lastTransitionTime"] if old and is_same else format_time(now),
        "reason": reason,
        "message": message,
    }


def _troubles(left: Obj) -> dict[str, tuple[str, str]]:
    troubles = {}
    failures = sorted(left["failures"])
    if failures:
        text = f"Failed to delete all resource types, {len(failures)} remaining: "
        troubles["NamespaceDeletionContentFailure"] = (
            "ContentDeletionFailed",
            text + ", ".join(failures),
        )
    remaining: Mapping[str, int] = left["remaining"]
    if remaining:
        counts = [f"{name} has {remaining[name]} resource instances" for name in sorted(remaining)]
        troubles["NamespaceContentRemaining"] = (
            "SomeResourcesRemain",
            f"Some resources are remaining: {', '.join(counts)}",
        )
    finalizers: Mapping[str, int] = left["finalizers"]
    if finalizers:
        counts = [f"{name} in {finalizers[name]} resource instances" for name in sorted(finalizers)]
        troubles["NamespaceFinalizersRemaining"] = (
            "SomeFinalizersRemain",
            f"Some content in the namespace has finalizers remaining: {', '.join(counts)}",
        )
    return troubles


def _last_is_gone(resource: GroupVersionResource) -> Concerned:
    """The namespace, when the last object of a resource has gone from it while it is deleted."""

    def concerned(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
        if new is not None or old is None:
            return []
        if not is_namespace_ending(view, namespace_of(old)):
            return []
        if view.list(resource, namespace_of(old)):
            return []
        return [("", namespace_of(old))]

    return concerned


NAMESPACE_CONTROLLER = Controller(
    "namespace-controller",
    "namespace-controller",
    "namespace-controller",
    {
        NAMESPACES: own_key,
        **{resource: _last_is_gone(resource) for resource in RESOURCES if is_namespaced(resource)},
    },
    plan,
    workers=10,
    needs_all=False,
)
