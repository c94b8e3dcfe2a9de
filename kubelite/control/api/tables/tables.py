"""The Table form that ``kubectl get`` asks for, and objects reduced to their metadata. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.schema import jsonpath
from kubelite.control.api.tables.text import name_of
from kubelite.lib.json import Object
from kubelite.objects.facts import ages

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable
    from datetime import datetime

    from kubelite.control.api.tables.columns import Column

META = "meta.k8s.io/v1"
_AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def partial(obj: Object, unread: Container[str] = ()) -> Object:
    """An object reduced to its metadata, without the annotations ``unread``."""
    metadata = obj.get("metadata") or {}
    if unread and (annotations := metadata.get("annotations")):
        metadata = {key: value for key, value in metadata.items() if key != "annotations"}
        if kept := {key: text for key, text in annotations.items() if key not in unread}:
            metadata["annotations"] = kept
    return {"kind": "PartialObjectMetadata", "apiVersion": META, "metadata": metadata}


class Layout(NamedTuple):
    """How a kind's objects become rows: the column definitions, the cells of a row, its marks."""

    definitions: list[Object]
    cells: Callable[[Object, datetime], list[Any]]
    conditions: Callable[[Object], list[Object]] | None = None
    reduced: Callable[[Object], Object] = partial


def layout(
    columns: Iterable[Column],
    cells: Callable[[Object, datetime], list[Any]],
    conditions: Callable[[Object], list[Object]] | None,
    reduced: Callable[[Object], Object],
) -> Layout:
    """The layout of a built-in kind; ``reduced`` gives its objects with their metadata only."""
    return Layout([_defined(column) for column in columns], cells, conditions, reduced)


def _defined(column: Column) -> Object:
    form = "name" if column.names or column.title == "Name" else ""
    return _column(column.title, column.type, form, priority=int(column.wide))


def custom_layout(version: Object) -> Layout:
    """The layout of a custom kind, by the version entry of its definition."""
    declared = version.get("additionalPrinterColumns") or [_AGE]
    definitions = [_column("Name", "string", "name"), *(_declared(column) for column in declared)]

    def cells(obj: Object, now: datetime) -> list[Any]:
        return [name_of(obj), *(_cell(column, obj, now) for column in declared)]

    return Layout(definitions, cells)


def render(
    form: Layout,
    objs: list[Object],
    *,
    now: datetime,
    include: str,
    columns: bool,
    metadata: Object | None,
) -> Object:
    """A Table with a row for each object. ``include`` says what a row carries: Metadata, Object or
    None.
    """
    rows = [_row(form, obj, now, include) for obj in objs]
    table: Object = {"kind": "Table", "apiVersion": META, "metadata": metadata or {}}
    return {**table, "columnDefinitions": form.definitions if columns else [], "rows": rows}


def _row(form: Layout, obj: Object, now: datetime, include: str) -> Object:
    row: Object = {"cells": form.cells(obj, now)}
    if form.conditions is not None and (conditions := form.conditions(obj)):
        row["conditions"] = conditions
    row["object"] = None
    if include != "None":
        row["object"] = obj if include == "Object" else form.reduced(obj)
    return row


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
    values = jsonpath.find(column["jsonPath"], obj)
    if not values:
        return None
    if column["type"] == "date":
        return _date(values[0], now)
    if column["type"] == "string":
        return " ".join(_shown(value) for value in values)
    wanted: dict[str, type | tuple[type, ...]] = {
        "integer": int,
        "number": (int, float),
        "boolean": bool,
    }
    first = values[0]
    fits = isinstance(first, wanted[column["type"]]) and isinstance(first, bool) == (
        column["type"] == "boolean"
    )
    return first if fits else None


def _date(value: Any, now: datetime) -> str:
    try:
        return ages.since(value, now)
    except (TypeError, ValueError):
        return "<invalid>"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return jsonpath.printed(value)


def partial_list(objs: list[Object], metadata: Object) -> Object:
    """A list of objects that are reduced to their metadata."""
    kind = "PartialObjectMetadataList"
    return {"kind": kind, "apiVersion": META, "metadata": metadata, "items": objs}
