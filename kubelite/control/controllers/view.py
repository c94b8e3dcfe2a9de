"""What a plan may look at: objects by name, namespace, owner and node. Pure.

A view only reads. The loop's view stands on informers; :class:`FixedView` is made of plain values,
for tests and simulations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from kubelite.client.indexes import STANDARD
from kubelite.client.resources import NAMESPACES, GroupVersionResource, of_kind
from kubelite.control.controllers.shared.meta import (
    Obj,
    controller_of,
    is_deleting,
    name_of,
    namespace_of,
)


class View(Protocol):
    """Objects as the controller last saw them."""

    def get(self, resource: GroupVersionResource, namespace: str, name: str) -> Obj | None:
        """The object of that name; ``namespace`` is "" for objects of the cluster."""

    def list(self, resource: GroupVersionResource, namespace: str = "") -> Sequence[Obj]:
        """All objects of a namespace, "" for all namespaces."""

    def by_index(self, resource: GroupVersionResource, index: str, key: str) -> Sequence[Obj]:
        """The objects that an index of ``INDEXES`` has under a key."""


def orphan_keys(obj: Obj) -> list[str]:
    """The namespace of an object that no owner controls."""
    return [] if controller_of(obj) else [namespace_of(obj)]


ORPHAN = "orphan"
INDEXES = {**STANDARD, ORPHAN: orphan_keys}
"""What objects can be found by: the indexes of informers, and one for objects without a controller.
"""


def controlled_by(view: View, resource: GroupVersionResource, uid: str) -> Sequence[Obj]:
    """The objects whose controlling owner has this uid."""
    return view.by_index(resource, "controller", uid)


def orphans(view: View, resource: GroupVersionResource, namespace: str) -> Sequence[Obj]:
    """The objects of a namespace that no owner controls."""
    return view.by_index(resource, ORPHAN, namespace)


def on_node(view: View, resource: GroupVersionResource, node: str) -> Sequence[Obj]:
    """The pods bound to a node."""
    return view.by_index(resource, "node", node)


def is_namespace_ending(view: View, name: str) -> bool:
    """Whether a namespace is being deleted: nothing can be created there any more."""
    namespace = view.get(NAMESPACES, "", name)
    return namespace is not None and is_deleting(namespace)


class FixedView:
    """A view of given objects, which need ``apiVersion`` and ``kind``."""

    def __init__(self, objects: Iterable[Obj]) -> None:
        self._objects: dict[GroupVersionResource, dict[tuple[str, str], Obj]] = {}
        for obj in objects:
            resource = of_kind(obj["apiVersion"], obj["kind"])
            if resource is None:
                raise ValueError(f"{obj['apiVersion']} {obj['kind']} is not a built-in kind")
            self._of(resource)[namespace_of(obj), name_of(obj)] = obj

    def _of(self, resource: GroupVersionResource) -> dict[tuple[str, str], Obj]:
        return self._objects.setdefault(resource, {})

    def get(self, resource: GroupVersionResource, namespace: str, name: str) -> Obj | None:
        return self._of(resource).get((namespace, name))

    def list(self, resource: GroupVersionResource, namespace: str = "") -> Sequence[Obj]:
        objects: Mapping[tuple[str, str], Obj] = self._of(resource)
        return [obj for key, obj in objects.items() if not namespace or key[0] == namespace]

    def by_index(self, resource: GroupVersionResource, index: str, key: str) -> Sequence[Obj]:
        keys = INDEXES[index]
        return [obj for obj in self._of(resource).values() if key in keys(dict(obj))]
