"""Events, of either API group. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.schema import structs
from kubelite.control.api.tables.columns import columns, wide
from kubelite.control.api.tables.text import (
    lookup,
    name_of,
    time_since,
)
from kubelite.control.api.wire import causes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
Cells = list[Any]


def _check_event(obj: Object) -> Iterator[Cause]:
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    namespace = (obj.get("metadata") or {}).get("namespace", "")
    if about.get("namespace") and about["namespace"] != namespace:
        yield causes.invalid(
            "involvedObject.namespace", about["namespace"], "does not match event.namespace"
        )


def _event_cells(obj: Object, now: datetime) -> Cells:
    about, source = (
        obj.get("involvedObject") or obj.get("regarding") or {},
        obj.get("source") or obj.get("deprecatedSource") or {},
    )
    when = obj.get("eventTime") or obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp")
    last = (
        lookup(obj, "series.lastObservedTime")
        or obj.get("lastTimestamp")
        or obj.get("deprecatedLastTimestamp")
        or when
    )
    target = (
        f"{about.get('kind', '').lower()}/{about['name']}"
        if about.get("name")
        else about.get("kind", "").lower()
    )
    component = (
        source.get("component")
        or obj.get("reportingComponent")
        or obj.get("reportingController")
        or ""
    )
    shown = component + (f", {source['host']}" if source.get("host") else "")
    count = lookup(obj, "series.count") or obj.get("count") or obj.get("deprecatedCount") or 1
    said = str(obj.get("message") or obj.get("note") or "").strip()
    head = [
        time_since(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        target,
        about.get("fieldPath", ""),
        shown,
        said,
    ]
    return [*head, time_since(when or last, now), count, name_of(obj)]


_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_SELECTABLE = (
    *(f"involvedObject.{part}" for part in _INVOLVED),
    "reason",
    "reportingComponent",
    "source",
    "type",
)
_EVENT = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}


def _convert(obj: Object, group_version: str) -> Object:
    return structs.normal(group_version, _event(obj, group_version))


def _event(obj: Object, gv: str) -> Object:
    new = gv.startswith("events.k8s.io/")
    names = _EVENT if new else {after: before for before, after in _EVENT.items()}
    made = {names.get(key, key): value for key, value in obj.items()} | {"apiVersion": gv}
    if new and made.get("eventTime") is None:
        # The new form requires a time that events of the old form need not have.
        born = (obj.get("metadata") or {}).get("creationTimestamp")
        made["eventTime"] = obj.get("firstTimestamp") or obj.get("lastTimestamp") or born
    return made


KINDS: dict[tuple[str, str], Rules] = {
    ("", "Event"): Rules(
        check=_check_event,
        columns=columns(
            "Last Seen",
            "Type",
            "Reason",
            "Object",
            wide("Subobject"),
            wide("Source"),
            "Message",
            wide("First Seen"),
            wide("Count"),
            wide("Name"),
        ),
        cells=_event_cells,
        created_by_update=True,
        selectable=_SELECTABLE,
        convert=_convert,
        may_be_empty=("core.v1.EventSource.component",),
    ),
    ("events.k8s.io", "Event"): Rules(
        check=_check_event,
        columns=columns(
            "Last Seen",
            "Type",
            "Reason",
            "Object",
            wide("Subobject"),
            wide("Source"),
            "Message",
            wide("First Seen"),
            wide("Count"),
            wide("Name"),
        ),
        cells=_event_cells,
        selectable=(*_SELECTABLE, *(f"regarding.{part}" for part in _INVOLVED)),
        convert=_convert,
        may_be_empty=("events.v1.Event.eventTime",),
    ),
}
