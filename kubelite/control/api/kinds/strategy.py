"""What may be said of an object and what may change in it: the one face of the modules that know
the kinds. Pure.

The order in which a write goes through: ``conform`` (fields, types, defaults), ``prepare_*`` (what
the server writes itself), ``validate_*`` (what is still wrong).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds import conform as builtin
from kubelite.control.api.kinds.prepare import prepare_create, prepare_update
from kubelite.control.api.kinds.validate import validate_create, validate_update
from kubelite.control.api.schema import structural
from kubelite.control.api.schema.conversion import convert
from kubelite.control.api.wire import documents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubelite.control.api.wire.resource import Resource

__all__ = [
    "conform",
    "default_propagation",
    "knows",
    "order",
    "prepare_create",
    "prepare_update",
    "returns_object_on_delete",
    "served",
    "stored",
    "validate_create",
    "validate_update",
]

_ORPHANING = (("batch", "jobs"), ("", "replicationcontrollers"))
_RETURNED = {
    ("", "pods"), ("", "services"), ("", "serviceaccounts"), ("", "persistentvolumes"), ("", "persistentvolumeclaims"),
    ("", "podtemplates"), ("", "resourcequotas"), ("", "namespaces"), ("storage.k8s.io", "storageclasses"),
    ("storage.k8s.io", "csidrivers"), ("storage.k8s.io", "csinodes"), ("storage.k8s.io", "volumeattachments"),
}  # fmt: skip


def conform(
    res: Resource,
    obj: Any,
    *,
    validation: str = "Ignore",
    duplicates: Sequence[str] = (),
    old: dict[str, Any] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """The object in the servers' field order with its defaults, less what is not known, and
    warnings for the client.

    ``validation`` is the request's ``fieldValidation``: Strict refuses unknown and duplicate
    fields, Warn tells of them, Ignore drops them. What ``old`` has of them was stored by a later
    version, and stays. Raises StatusError 400.
    """
    if res.crd is not None:
        return structural.conform(res, obj, validation, duplicates)
    return builtin.conform(res, obj, validation, duplicates, old)


def knows(res: Resource, obj: dict[str, Any]) -> bool:
    """Whether every field of an object is known; custom kinds say themselves what becomes of
    others.
    """
    return res.crd is not None or builtin.knows(res, obj)


def served(res: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """A stored object in the version that a resource serves; ``obj`` itself where it is that
    already.
    """
    found = convert(obj, res.gv)
    return found if res.settled else structural.served(res, found)


def order(res: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """An object in the servers' field order, after parts of it were added."""
    return structural.order(obj) if res.crd is not None else builtin.order(res, obj)


def stored(res: Resource, obj: dict[str, Any]) -> bytes:
    """An object in order, as the store keeps it."""
    return (
        documents.stored(structural.order(obj)) if res.crd is not None else builtin.stored(res, obj)
    )


def default_propagation(res: Resource) -> str:
    """What becomes of the dependents of a deleted object when the request does not say."""
    return "Orphan" if (res.group, res.plural) in _ORPHANING else "Background"


def returns_object_on_delete(res: Resource) -> bool:
    """Whether DELETE answers with the object; otherwise with a Status."""
    return res.crd is None and (res.group, res.plural) in _RETURNED
