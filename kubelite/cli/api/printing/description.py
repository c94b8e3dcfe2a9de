"""Objects of any kind for people, field by field, as kubectl describes unknown ones. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from kubelite.cli.common.diagnostic import cell, clean
from kubelite.lib.json import Object
from kubelite.objects.facts import ages

_HEAD = ("apiVersion", "kind", "metadata")
_SHOWN_ABOVE = ("name", "namespace", "labels", "annotations", "managedFields")
_UPPER = {"Api": "API", "Uid": "UID", "Ip": "IP", "Id": "ID", "Url": "URL", "Tls": "TLS"}
_EVENT_HEADERS = ("Type", "Reason", "Age", "From", "Message")


def text(obj: Object) -> str:
    """The description of an object, without its events."""
    metadata = obj["metadata"]
    lines = [f"Name:\t{_scalar(metadata['name'])}", f"Namespace:\t{metadata.get('namespace', '')}"]
    lines += _map("Labels", metadata.get("labels"), "=")
    lines += _map("Annotations", metadata.get("annotations"), ": ")
    lines += [f"API Version:\t{obj['apiVersion']}", f"Kind:\t{obj['kind']}"]
    rest = {key: value for key, value in metadata.items() if key not in _SHOWN_ABOVE}
    lines += _fields({"metadata": rest}, 0)
    lines += _fields({key: value for key, value in obj.items() if key not in _HEAD}, 0)
    return _aligned(lines)


def _map(title: str, values: Object | None, sign: str) -> list[str]:
    rows = [f"{key}{sign}{_scalar(value)}" for key, value in sorted((values or {}).items())]
    first, *others = rows or ["<none>"]
    return [f"{title}:\t{first}", *(f"\t{row}" for row in others)]


def _fields(values: Object, level: int) -> Iterator[str]:
    space = "  " * level
    for key, value in sorted(values.items()):
        label = f"{space}{title_of(key)}:"
        if isinstance(value, dict):
            yield label
            yield from _fields(value, level + 1)
        elif isinstance(value, list):
            yield label
            for item in value:
                if isinstance(item, dict):
                    yield from _fields(item, level + 1)
                else:
                    yield f"{space}  {_scalar(item)}"
        else:
            yield f"{label}\t{_scalar(value)}"


def title_of(key: str) -> str:
    """A field's name in words: ``clusterIP`` is Cluster IP. A key with a sign in it stays."""
    if not key.isalnum():
        return clean(key)
    words = re.findall(r"[A-Z]+s?(?![a-z])|[A-Z]?[a-z0-9]+|[A-Z]", key)
    titles = [word if word.isupper() else word[:1].upper() + word[1:] for word in words]
    return " ".join(_UPPER.get(word, word) for word in titles)


def _scalar(value: Any) -> str:
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return str(value).lower()
    return clean(str(value)).replace("\n", "\n  ")


def _aligned(lines: Sequence[str]) -> str:
    """Labels and values in two columns; a line without a value begins others."""
    text: list[str] = []
    block: list[tuple[str, str]] = []

    def end() -> None:
        width = max((len(label) for label, _ in block), default=0) + 2
        text.extend(f"{label:<{width}}{value}".rstrip() + "\n" for label, value in block)
        block.clear()

    for line in lines:
        label, tab, value = line.partition("\t")
        if tab:
            block.append((label, value))
        else:
            end()
            text.append(f"{line}\n")
    end()
    return "".join(text)


def events(items: Sequence[Object], now: datetime) -> str:
    """The table of an object's events, oldest first."""
    if not items:
        return "Events:  <none>\n"
    rows = [_EVENT_HEADERS, tuple("-" * len(title) for title in _EVENT_HEADERS)]
    rows += [_event(item, now) for item in sorted(items, key=time_of)]
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    lines = (
        "  "
        + "".join(text.ljust(width) for text, width in zip(row[:-1], widths[:-1], strict=True))
        + f"{row[-1]}\n"
        for row in rows
    )
    return "Events:\n" + "".join(lines)


def _event(event: Object, now: datetime) -> tuple[str, ...]:
    source = (event.get("source") or {}).get("component") or event.get("reportingComponent") or ""
    message = str(event.get("message") or "").strip()
    kind, reason = str(event.get("type") or ""), str(event.get("reason") or "")
    return (cell(kind), cell(reason), age_of(event, now), cell(source), cell(message))


def time_of(event: Object) -> str:
    """When an event happened last, as RFC 3339."""
    last = (event.get("series") or {}).get("lastObservedTime") or event.get("lastTimestamp")
    return str(last or event.get("eventTime") or event.get("firstTimestamp") or "")


def age_of(event: Object, now: datetime) -> str:
    """How long ago it happened, and since when if more than once: ``2s (x3 over 5m)``."""
    count = (event.get("series") or {}).get("count") or event.get("count") or 1
    last = ages.since(time_of(event), now)
    if count < 2:
        return last
    first = event.get("firstTimestamp") or event.get("eventTime")
    return f"{last} (x{count} over {ages.since(first, now)})"
