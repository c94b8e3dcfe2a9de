"""Pods made from the template of their owner. Pure."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from kubelite.control.controllers.shared.hashing import generated_name
from kubelite.control.controllers.shared.meta import Obj, name_of, namespace_of, owner_reference
from kubelite.control.controllers.shared.ownership import OwnerKind


def pod_of(owner: Obj, kind: OwnerKind, template: Obj) -> dict[str, Any]:
    """A pod without a name: labels, annotations, finalizers and spec of the template, controlled by
    ``owner``.
    """
    given = template.get("metadata") or {}
    metadata: dict[str, Any] = {
        "namespace": namespace_of(owner),
        "ownerReferences": [owner_reference(owner, kind.api_version, kind.kind)],
    }
    for field in ("labels", "annotations", "finalizers"):
        if given.get(field):
            metadata[field] = deepcopy(given[field])
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": deepcopy(template.get("spec") or {}),
    }


def copies(pod: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Pods that will differ in their names only; all else they share."""
    return [{**pod, "metadata": dict(pod["metadata"])} for _ in range(count)]


def generate_name(owner: Obj) -> str:
    """The ``generateName`` of the pods of an owner; a dash too many for a pod's name is left
    out.
    """
    return f"{name_of(owner)}-" if len(name_of(owner)) < 253 else name_of(owner)


def name_pods(pods: list[dict[str, Any]], base: str, taken: set[str], *parts: str) -> None:
    """Gives each pod a name that is a function of the parts and of its place in the list."""
    index = 0
    for pod in pods:
        name = generated_name(base, *parts, str(index))
        while name in taken:
            index += 1
            name = generated_name(base, *parts, str(index))
        taken.add(name)
        index += 1
        pod["metadata"] |= {"generateName": base, "name": name}
