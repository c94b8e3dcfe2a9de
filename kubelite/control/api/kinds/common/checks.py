"""Small checks that several kinds share. Documents in, causes out. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kubelite.control.api.tables.text import lookup
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.facts import go_types, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kubelite.control.api.wire.status import Cause

NOT_NEGATIVE = "must be greater than or equal to 0"
_PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
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


def unchanged(
    *paths: str, shown: tuple[str, ...] = ()
) -> Callable[[Object, Object], Iterator[Cause]]:
    """A rule for fields that never change once they are there. Causes name them as they are
    ``shown``, where that is another way than by path.
    """

    def rule(new: Object, old: Object) -> Iterator[Cause]:
        for path, name in zip(paths, shown or paths, strict=True):
            now = lookup(new, path)
            if now != lookup(old, path):
                shown_value = go_types.internal_field(new, path, now)
                yield causes.invalid(name, shown_value, causes.IMMUTABLE)

    return rule


def check_secret_reference(reference: Object, path: str) -> Iterator[Cause]:
    """A reference to a Secret in a namespace that is named too."""
    for field in ("name", "namespace"):
        if not reference.get(field):
            yield causes.required(f"{path}.{field}")


def check_dns_name(name: str, path: str) -> Iterator[Cause]:
    """The name of another object, which is a DNS subdomain."""
    for problem in names.subdomain(name):
        yield causes.invalid(path, name, problem)


def check_port_number(number: Any, path: str, before: str = "") -> Iterator[Cause]:
    """The number of a port; ``before`` is said before the rule."""
    if not 1 <= number <= 65535:
        yield causes.invalid(path, number, f"{before}must be between 1 and 65535, inclusive")


def check_port_or_name(port: int | str, path: str) -> Iterator[Cause]:
    """A port by number or by name."""
    if isinstance(port, int):
        yield from check_port_number(port, path)
        return
    for problem in names.port_name(port):
        yield causes.invalid(path, port, problem)


def check_local_reference(reference: Object, path: str) -> Iterator[Cause]:
    """A reference to an object of any kind by API group, kind and name."""
    group = reference.get("apiGroup")
    if group is not None:
        yield from check_dns_name(group, f"{path}.apiGroup")
    for field in ("kind", "name"):
        text = reference.get(field, "")
        if not text:
            yield causes.required(f"{path}.{field}")
        for problem in names.path_segment(text):
            yield causes.invalid(f"{path}.{field}", text, problem)
