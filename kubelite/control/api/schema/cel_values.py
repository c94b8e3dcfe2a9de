"""Values as CEL rules see them: the types that their schema gives them, and names that CEL can
spell. Pure.

A JSON 1 of type number is a double, a text of format date-time a timestamp; a property ``max-age``
is spelled ``max__dash__age``, ``namespace`` is ``__namespace__`` (apiextensions,
``cel/model/schemas.go``).
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from kubelite.control.api.schema.structural_schema import children
from kubelite.lib.text_cache import remember_short

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubelite.control.api.schema.cel_text import Loop, Step

Schema = dict[str, Any]
_RESERVED = frozenset(
    "true false null in as break const continue else for function if import let loop package "
    "namespace return var void"
    " while".split()
)
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_SPECIAL = re.compile(r"__|[./-]")
_SPELLED = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|ns|m|s)")


@remember_short(1024)
def spelled(name: str) -> str | None:
    """How a rule names a property; None where it cannot."""
    if name in _RESERVED:
        return f"__{name}__"
    escaped = _SPECIAL.sub(lambda match: _ESCAPES[match[0]], name)
    return escaped if _SPELLED.fullmatch(escaped) else None


def converted(schema: Schema, value: Any) -> Any:
    """A copy of a value for a rule."""
    if isinstance(value, dict):
        parts = {key: converted(below, value[key]) for key, below, _ in children(schema, value)}
        named = schema.get("properties") or {}
        return {
            (spelled(key) or key) if key in named else key: parts.get(key, inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        below = schema.get("items")
        return (
            [converted(below, element) for element in value] if isinstance(below, dict) else value
        )
    if schema.get("type") == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if schema.get("type") == "integer" and isinstance(value, float):
        return int(value)
    return _formatted(schema.get("format", ""), value) if isinstance(value, str) else value


def _formatted(form: str, text: str) -> Any:
    """A text of a known format as what it stands for; itself where it cannot be read, which the
    schema has refused.
    """
    try:
        if form == "date-time":
            return datetime.fromisoformat(text)
        if form == "date":
            return datetime.fromisoformat(text + "T00:00:00+00:00")
        if form == "byte":
            return base64.b64decode(text, validate=True)
        return _duration(text) if form == "duration" else text
    except (ValueError, binascii.Error, OverflowError):
        return text


def _duration(text: str) -> timedelta:
    """A duration as Go writes it: ``1h30m``, ``-2.5s``. Raises ValueError."""
    sign, bare = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    parts = _DURATION.findall(bare)
    if (bare != "0" and "".join(number + unit for number, unit in parts) != bare) or not bare:
        raise ValueError(text)
    return timedelta(seconds=sign * sum(float(number) * _UNITS[unit] for number, unit in parts))


def steps(loops: tuple[Loop, ...], value: Any) -> int:
    """How many steps the loops of a rule take for a value of ``self``; the library copies a list or
    a map whenever it reads one, and that counts, value by value.
    """
    return named_steps(loops, {"self": value, "oldSelf": value})


def named_steps(loops: tuple[Loop, ...], values: dict[str, Any]) -> int:
    """How many steps the loops of an expression take for values of its variables."""
    if not loops:
        return 0

    @cache
    def largest() -> int:
        return max((_largest(value) for value in values.values()), default=0)

    return _steps(loops, {name: [value] for name, value in values.items()}, largest)


def _steps(loops: tuple[Loop, ...], known: dict[str, list[Any]], largest: Callable[[], int]) -> int:
    total = 0
    for loop in loops:
        holders = _reached(loop.path, known)
        if holders is None:
            length, items = largest(), []
        else:
            length = max(
                (len(holder) for holder in holders if hasattr(holder, "__len__")), default=0
            )
            items = [item for holder in holders for item in _items(holder)]
        inside = {**known, loop.variable: items}
        copied = sum(_heaviest(_reached(path, inside)) for path in loop.mentions)
        if loop.builds:
            copied += _heaviest(holders)
        total += length * (1 + copied + _steps(loop.inside, inside, largest))
    return total


def _heaviest(values: list[Any] | None) -> int:
    """Of how many values the largest one is made."""
    return max(map(_weight, values or ()), default=0)


def _weight(value: Any) -> int:
    return 1 + sum(map(_weight, _items(value))) if isinstance(value, dict | list) else 0


def _reached(path: tuple[Step, ...], known: dict[str, list[Any]]) -> list[Any] | None:
    """What a path leads to; None where only running the rule would tell."""
    if not path or path[0].kind != "field" or path[0].name not in known:
        return None
    values = known[path[0].name]
    for step in path[1:]:
        if step.kind == "field":
            values = [
                holder[step.name]
                for holder in values
                if isinstance(holder, dict) and step.name in holder
            ]
        elif step.kind == "item":
            values = [item for holder in values for item in _items(holder)]
    return values


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _largest(value: Any) -> int:
    """How long the longest list, map or text in a value is."""
    if isinstance(value, dict | list):
        return max([len(value), *map(_largest, _items(value))])
    return len(value) if isinstance(value, str) else 0
