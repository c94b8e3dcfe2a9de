"""What may be said of an object and what may change in it: the one face of the modules that know
the kinds. Pure.

The order in which a write goes through: ``conform`` (fields, types, defaults), ``prepare_*`` (what
the server writes itself), ``validate_*`` (what is still wrong).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.control.api.kinds.registry import convert, rules_of
from kubelite.control.api.schema import structural_schema
from kubelite.control.api.strategy import conform as builtin
from kubelite.control.api.strategy.prepare import prepare_create, prepare_update
from kubelite.control.api.strategy.validate import validate_create, validate_update
from kubelite.control.api.tables import tables
from kubelite.control.api.wire import documents, selectors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.api.wire.selectors import Selector

__all__ = [
    "conform",
    "created_by_update",
    "default_propagation",
    "knows",
    "needs_version",
    "order",
    "prepare_create",
    "prepare_update",
    "refused_as",
    "render_table",
    "returns_object_on_delete",
    "selector",
    "served",
    "stored",
    "validate_create",
    "validate_update",
]


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
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    if isinstance(metadata, dict) and metadata.get("managedFields") == []:
        # Empty lists are dropped, and this one says something: that all managers are forgotten.
        obj = {**obj, "metadata": {**metadata, "managedFields": [{}]}}
    if res.crd is not None:
        return structural_schema.conform(res, obj, validation, duplicates)
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
    converted = convert(obj, res.gv)
    return converted if res.settled else structural_schema.served(res, converted)


def order(res: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """An object in the servers' field order, after parts of it were added."""
    return structural_schema.order(obj) if res.crd is not None else builtin.order(res, obj)


def stored(res: Resource, obj: dict[str, Any]) -> bytes:
    """An object in order, as the store keeps it."""
    return (
        documents.stored(structural_schema.order(obj))
        if res.crd is not None
        else builtin.stored(res, obj)
    )


def default_propagation(res: Resource) -> str:
    """What becomes of the dependents of a deleted object when the request does not say."""
    return "Orphan" if rules_of(res).orphans_dependents else "Background"


def returns_object_on_delete(res: Resource) -> bool:
    """Whether DELETE answers with the object; otherwise with a Status."""
    return rules_of(res).returned_on_delete


def created_by_update(res: Resource) -> bool:
    """Whether a PUT of an object that does not exist creates it."""
    return rules_of(res).created_by_update


def needs_version(res: Resource) -> bool:
    """Whether a PUT must say which state it changes."""
    return res.crd is not None or not rules_of(res).unconditional_update


def refused_as(res: Resource) -> Resource:
    """The resource that the refusal of a wrong object names."""
    if res.crd is None and rules_of(res).refused_without_group:
        return msgspec.structs.replace(res, group="")
    return res


def selector(res: Resource, labels: str, fields: str) -> Selector:
    """The selector of a request, from its two texts. Raises StatusError 400 for what cannot be read
    or selected.
    """
    return selectors.parse(labels, fields, _selectable(res), _unselectable(res))


def _unselectable(res: Resource) -> str:
    """The refusal of a field that cannot be selected; kinds with fields of their own have another.
    After the ``AddFieldLabelConversionFunc`` calls of kubernetes ``pkg/apis``.
    """
    if res.crd is not None:
        return selectors.FIELD_NOT_SUPPORTED
    rules = rules_of(res)
    own = selectors.FIELD_NOT_SUPPORTED if rules.selectable else selectors.NOT_SELECTABLE
    return rules.unselectable or own


def _selectable(res: Resource) -> tuple[str, ...]:
    """Which fields may stand in a field selector.

    The namespace may, though an object of the cluster has none, where nothing is said of the kind.
    """
    if res.crd is None:
        own = rules_of(res).selectable
        general = not own
    else:
        own = tuple(field["jsonPath"].lstrip(".") for field in res.crd.get("selectableFields", ()))
        general = False
    named = selectors.EVERYWHERE if general or res.namespaced else selectors.OF_CLUSTER
    return (*named, *own)


def render_table(
    res: Resource,
    objs: list[dict[str, Any]],
    *,
    now: datetime,
    include: str = "Metadata",
    columns: bool = True,
    metadata: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A Table with a row for each object. ``include`` says what a row carries: Metadata, Object or
    None; ``columns`` whether the columns are defined.
    """
    layout = tables.custom_layout(res.crd) if res.crd is not None else _builtin_layout(res)
    return tables.render(layout, objs, now=now, include=include, columns=columns, metadata=metadata)


def _builtin_layout(res: Resource) -> tables.Layout:
    rules = rules_of(res)
    return tables.layout(
        rules.columns, rules.cells, rules.row_conditions, lambda obj: partial(res, obj)
    )


def partial(res: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """An object reduced to its metadata. Kubernetes takes them from the object as it has it inside,
    where what some annotations say is in fields.
    """
    return tables.partial(obj, () if res.crd is not None else rules_of(res).field_annotations)
