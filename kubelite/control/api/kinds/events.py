"""Events, of either API group. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.common.checks import check_dns_name
from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.schema import structs
from kubelite.control.api.tables.columns import columns, wide
from kubelite.control.api.tables.text import (
    lookup,
    name_of,
)
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.facts import ages, names, schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Cells = list[Any]


_GROUP = "events.k8s.io"
_SHORT, _LONG = 128, 1024


def _check_event(obj: Object) -> Iterator[Cause]:
    """What is wrong with an event of either group, named as the older one names its fields."""
    new = obj.get("apiVersion", "").startswith(_GROUP)
    event = _event(obj, "v1") if new else obj
    controller = "reportingController" if new else "reportingComponent"
    yield from _check_namespace(event)
    if event.get("eventTime") is not None:
        yield from _check_reporter(event, controller)
    namespace = (obj.get("metadata") or {}).get("namespace", "")
    yield from check_dns_name(namespace, "namespace") if namespace else ()


def _check_namespace(event: Object) -> Iterator[Cause]:
    namespace = (event.get("metadata") or {}).get("namespace", "")
    about = (event.get("involvedObject") or {}).get("namespace", "")
    path, why = "involvedObject.namespace", "does not match event.namespace"
    if event.get("eventTime") is None:
        # Old clients say nothing of objects without a namespace.
        if about != namespace and (about or namespace not in ("", "default")):
            yield causes.invalid(path, about, why)
    elif not about and namespace not in ("default", "kube-system"):
        yield causes.invalid(path, about, why)


def _check_reporter(event: Object, controller: str) -> Iterator[Cause]:
    name = event.get("reportingComponent", "")
    if not name:
        yield causes.required(controller)
    for problem in names.qualified(name):
        yield causes.invalid(controller, name, problem)
    for field, longest in (("reportingInstance", _SHORT), ("action", _SHORT), ("reason", _SHORT)):
        text = event.get(field, "")
        if not text:
            yield causes.required(field)
        if len(text) > longest:
            yield causes.invalid(field, "", f"can have at most {longest} characters")
    if len(event.get("message", "")) > _LONG:
        yield causes.invalid("message", "", f"can have at most {_LONG} characters")


def _check_new_event(obj: Object) -> Iterator[Cause]:
    """What the newer group asks of new events beside that."""
    event = _event(obj, "v1")
    if obj.get("eventTime") is None:
        yield causes.required("eventTime")
    if event.get("type") not in ("Normal", "Warning"):
        why = f"has invalid value: {event.get('type', '')}"
        yield causes.invalid("type", "", why)
    for field in ("firstTimestamp", "lastTimestamp", "count"):
        if event.get(field):
            yield causes.invalid(field, "", "needs to be unset")
    if any((event.get("source") or {}).values()):
        yield causes.invalid("source", "", "needs to be unset")
    if (series := event.get("series")) is not None:
        if series.get("count", 0) < 2:
            yield causes.invalid("series.count", "", "should be at least 2")
        if series.get("lastObservedTime") is None:
            yield causes.required("series.lastObservedTime")


def _check_event_update(new: Object, old: Object) -> Iterator[Cause]:
    event, before = _event(new, "v1"), _event(old, "v1")
    types = schema.types_of("core.v1.Event")
    for field, shown in (
        ("involvedObject", "involvedObject"),
        ("reason", "reason"),
        ("reportingComponent", "reportingController"),
        ("reportingInstance", "reportingInstance"),
        ("action", "action"),
        ("related", "related"),
        ("type", "type"),
    ):
        if event.get(field) != before.get(field):
            value = event.get(field, "" if types[field] == "s" else None)
            yield causes.invalid(shown, value, causes.IMMUTABLE, types[field])


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
    host = source.get("host") or obj.get("reportingInstance") or ""
    shown = component + (f", {host}" if host else "")
    count = lookup(obj, "series.count") or obj.get("count") or obj.get("deprecatedCount") or 1
    message = str(obj.get("message") or obj.get("note") or "").strip()
    head = [
        ages.since(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        target,
        about.get("fieldPath", ""),
        shown,
        message,
    ]
    return [*head, ages.since(when or last, now), count, name_of(obj)]


_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
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
    return {names.get(key, key): value for key, value in obj.items()} | {"apiVersion": gv}


_COLUMNS = columns(
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
)
KINDS: dict[tuple[str, str], Rules] = {
    ("", "Event"): Rules(
        any_finalizer=True,
        # Nothing but the rules of the store apply to the name.
        name=names.path_segment,
        check=_check_event,
        columns=_COLUMNS,
        cells=_event_cells,
        created_by_update=True,
        selectable=(
            *(f"involvedObject.{part}" for part in _INVOLVED),
            "reason",
            "reportingComponent",
            "source",
            "type",
        ),
        convert=_convert,
        may_be_empty=("core.v1.EventSource.component",),
    ),
    ("events.k8s.io", "Event"): Rules(
        any_finalizer=True,
        refused_without_group=True,
        check_create=_check_new_event,
        check_update=_check_event_update,
        may_be_empty=("events.v1.Event.eventTime", "events.v1.EventSeries.*"),
        check=_check_event,
        columns=_COLUMNS,
        cells=_event_cells,
        selectable=(
            *(f"regarding.{part}" for part in _INVOLVED),
            "reason",
            "reportingController",
            "type",
        ),
        convert=_convert,
    ),
}
