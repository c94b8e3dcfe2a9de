"""Pieces of table cells: ages, selectors, lists of names. Pure.

Texts are those of Kubernetes' printers (``pkg/printers/internalversion``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.lib.json import Object
from kubelite.objects.facts import ages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

NONE, UNKNOWN, UNSET = "<none>", ages.UNKNOWN, "<unset>"
_ACCESS = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
_OPERATORS = {"In": "in", "NotIn": "notin"}


def lookup(obj: Any, path: str, default: Any = None) -> Any:
    """A value inside an object by dotted path."""
    for part in path.split("."):
        obj = obj.get(part) if isinstance(obj, dict) else None
    return default if obj is None else obj


def age_of(obj: Object, now: datetime) -> str:
    """How old an object is."""
    return ages.since(lookup(obj, "metadata.creationTimestamp"), now)


def name_of(obj: Object) -> str:
    """The name of an object."""
    return str(lookup(obj, "metadata.name", ""))


def joined(values: Iterable[Any], empty: str = NONE) -> str:
    """Values with commas between them."""
    return ",".join(str(value) for value in values) or empty


def shown_labels(given: dict[str, str] | None) -> str:
    """Labels as ``a=b,c=d``."""
    return joined(f"{key}={value}" for key, value in sorted((given or {}).items()))


def shown_selector(given: Object | None) -> str:
    """A LabelSelector as a selector text."""
    if given is None:
        return NONE
    terms = [f"{key}={value}" for key, value in sorted((given.get("matchLabels") or {}).items())]
    for expression in given.get("matchExpressions") or ():
        operator, key = expression.get("operator"), expression.get("key")
        if operator in _OPERATORS:
            terms.append(
                f"{key} {_OPERATORS[operator]} ({','.join(sorted(expression.get('values') or ()))})"
            )
        else:
            terms.append(key if operator == "Exists" else f"!{key}")
    return joined(terms)


def container_cells(spec: Object) -> tuple[str, str]:
    """Names and images of a pod's containers."""
    listed = spec.get("containers") or ()
    names = (container.get("name", "") for container in listed)
    return joined(names, ""), joined((container.get("image", "") for container in listed), "")


def shown_access_modes(modes: Iterable[str] | None) -> str:
    """Access modes by their abbreviations, each once, in the order of the table."""
    given = set(modes or ())
    return joined((short for mode, short in _ACCESS.items() if mode in given), "")


def first_few(values: list[str], most: int = 3) -> str:
    """The first few values, and how many more there are."""
    shown = joined(values[:most])
    return f"{shown} + {len(values) - most} more..." if len(values) > most else shown


def shown_bool(value: bool) -> str:
    """A truth value as Kubernetes prints it in cells."""
    return "True" if value else "False"


def name_and_age(obj: Object, now: datetime) -> list[Any]:
    """The cells of a kind of which nothing special is shown."""
    return [name_of(obj), age_of(obj, now)]


def name_and_creation(obj: Object, now: datetime) -> list[Any]:
    """Name and time of creation, for the kinds that show the time itself."""
    return [name_of(obj), lookup(obj, "metadata.creationTimestamp", UNKNOWN)]


def name_values_age(*paths: str) -> Callable[[Object, datetime], list[Any]]:
    """Cells made of the name, some values by dotted path, and the age."""

    def cells(obj: Object, now: datetime) -> list[Any]:
        values = [_shown_value(lookup(obj, path)) for path in paths]
        return [name_of(obj), *values, age_of(obj, now)]

    return cells


def _shown_value(value: Any) -> str:
    if value in (None, ""):
        return NONE
    return shown_bool(value) if isinstance(value, bool) else str(value)
