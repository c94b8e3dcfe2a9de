"""The Table form that ``kubectl get`` asks for, and objects reduced to their metadata. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.schema import jsonpath
from kubelite.control.api.tables import cells, pod_cells
from kubelite.control.api.tables.text import name, since

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from kubelite.control.api.wire.resource import Resource

Object = dict[str, Any]
META = "meta.k8s.io/v1"
_AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def render(
    res: Resource,
    objs: list[Object],
    *,
    now: datetime,
    include: str = "Metadata",
    columns: bool = True,
    metadata: Object | None = None,
) -> Object:
    """A Table with a row for each object. ``include`` says what a row carries: Metadata, Object or
    None.
    """
    definitions, cells_of = _layout(res)
    rows = [_row(res, obj, cells_of(obj, now), include) for obj in objs]
    table: Object = {"kind": "Table", "apiVersion": META, "metadata": metadata or {}}
    return {**table, "columnDefinitions": definitions if columns else [], "rows": rows}


def _row(res: Resource, obj: Object, cells: list[Any], include: str) -> Object:
    row: Object = {"cells": cells}
    if (res.group, res.kind) == ("", "Pod") and (conditions := pod_cells.conditions(obj)):
        row["conditions"] = conditions
    if include != "None":
        row["object"] = obj if include == "Object" else partial(obj)
    return row


def _layout(res: Resource) -> tuple[list[Object], Callable[[Object, datetime], list[Any]]]:
    if res.crd is not None:
        declared = res.crd.get("additionalPrinterColumns") or [_AGE]
        definitions = [_column("Name", "string", "name"), *(_declared(each) for each in declared)]
        return definitions, lambda obj, now: [
            name(obj),
            *(_cell(each, obj, now) for each in declared),
        ]
    text, cells_of = cells.KINDS.get((res.group, res.kind), cells.PLAIN)
    return _columns(text), cells_of


def _columns(text: str) -> list[Object]:
    """Definitions from a line of names: after ``|``, or with ``-`` before it, a column is shown
    only when asked for.
    """
    narrow, _, wide = text.partition("|")
    found = [_named(each.removeprefix("-"), int(each[0] == "-")) for each in narrow.split(",")]
    return found + [_named(each, 1) for each in wide.split(",") if each]


_MARKS = {"#": "integer", "?": "boolean"}


def _named(title: str, priority: int) -> Object:
    kind = _MARKS.get(title[-1], "string")
    return _column(title.rstrip("#?"), kind, "name" if title == "Name" else "", priority=priority)


def _column(
    title: str, kind: str, form: str = "", description: str = "", priority: int = 0
) -> Object:
    return {
        "name": title,
        "type": kind,
        "format": form,
        "description": description or title,
        "priority": priority,
    }


def _declared(column: Object) -> Object:
    given = column.get("description", ""), column.get("priority", 0)
    return _column(column["name"], column["type"], column.get("format", ""), *given)


def _cell(column: Object, obj: Object, now: datetime) -> Any:
    """A cell of a custom column; null where its path leads nowhere or to something else than it
    says.
    """
    found = jsonpath.find(column["jsonPath"], obj)
    if not found:
        return None
    if column["type"] == "date":
        return _date(found[0], now)
    if column["type"] == "string":
        return " ".join(_shown(each) for each in found)
    wanted: dict[str, type | tuple[type, ...]] = {
        "integer": int,
        "number": (int, float),
        "boolean": bool,
    }
    first = found[0]
    fits = isinstance(first, wanted[column["type"]]) and isinstance(first, bool) == (
        column["type"] == "boolean"
    )
    return first if fits else None


def _date(value: Any, now: datetime) -> str:
    try:
        return since(value, now)
    except (TypeError, ValueError):
        return "<invalid>"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return jsonpath.printed(value)


def partial(obj: Object) -> Object:
    """An object reduced to its metadata."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": META,
        "metadata": obj.get("metadata") or {},
    }


def partial_list(objs: list[Object], metadata: Object) -> Object:
    """A list of objects reduced to their metadata."""
    kind = "PartialObjectMetadataList"
    return {
        "kind": kind,
        "apiVersion": META,
        "metadata": metadata,
        "items": [partial(obj) for obj in objs],
    }
