"""Conditions in the status of objects. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kubelite.control.controllers.shared.meta import Obj, status_of


def condition(obj: Obj, type_: str) -> Obj | None:
    """The condition of a type in an object's status."""
    return find(status_of(obj).get("conditions") or (), type_)


def find(conditions: Iterable[Obj], type_: str) -> Obj | None:
    """The condition of a type in a list."""
    return next((entry for entry in conditions if entry.get("type") == type_), None)


def is_true(obj: Obj, type_: str) -> bool:
    """Whether an object has a condition of the type that is True."""
    match = condition(obj, type_)
    return match is not None and match.get("status") == "True"


def without(conditions: Iterable[Obj], type_: str) -> list[Obj]:
    """The conditions of other types."""
    return [entry for entry in conditions if entry.get("type") != type_]


def with_condition(conditions: Sequence[Obj], new: dict[str, Any]) -> list[Obj]:
    """The conditions with ``new`` in place of the one of its type, behind all others. The same list
    comes back where status and reason are as they were; the time of the transition stays where the
    status is as it was.
    """
    old = find(conditions, new["type"])
    if old is None:
        return [*conditions, new]
    if old.get("status") == new["status"] and old.get("reason") == new.get("reason"):
        return list(conditions)
    if old.get("status") == new["status"] and old.get("lastTransitionTime"):
        new = {**new, "lastTransitionTime": old["lastTransitionTime"]}
    return [*without(conditions, new["type"]), new]
