"""Small checks that several kinds share. Documents in, causes out. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.metadata import IMMUTABLE
from kubelite.control.api.tables.text import lookup
from kubelite.control.api.wire import causes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
NOT_NEGATIVE = "must be greater than or equal to 0"
_PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%')"
)


def not_negative(holder: Object, fields: Iterable[str], path: str) -> Iterator[Cause]:
    """Numbers that may be absent or zero, never less."""
    for field in fields:
        if isinstance(holder.get(field), int) and holder[field] < 0:
            yield causes.invalid(f"{path}.{field}", holder[field], NOT_NEGATIVE)


def check_share(value: Any, path: str) -> Iterator[Cause]:
    """A number that is not negative, or a percentage."""
    if isinstance(value, int) and value < 0:
        yield causes.invalid(path, value, NOT_NEGATIVE)
    elif isinstance(value, str) and not re.fullmatch(r"[0-9]+%", value):
        yield causes.invalid(path, value, _PERCENT)


def check_at_most_all(value: Any, path: str) -> Iterator[Cause]:
    """A percentage of no more than 100."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]+%", value) and int(value[:-1]) > 100:
        yield causes.invalid(path, value, "must not be greater than 100%")


def unchanged(*paths: str) -> Callable[[Object, Object], Iterator[Cause]]:
    """A rule for fields that never change once they are there."""

    def rule(new: Object, old: Object) -> Iterator[Cause]:
        for path in paths:
            now = lookup(new, path)
            if now != lookup(old, path):
                yield causes.invalid(path, now, IMMUTABLE)

    return rule
