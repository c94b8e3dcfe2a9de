"""Fields of a later version of a built-in kind: nobody here knows them, and no write may lose them.
Pure.

A client cannot bring them in, as with Kubernetes' servers; a server of a later version can have
stored them. They stay where they are as long as what they are in stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.schema import structs
from kubelite.objects.facts import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Steps = tuple[str | int, ...]
Found = dict[Steps, Any]


def fields(name: str, value: Any) -> Found:
    """What a document of a definition has and the definition does not, by the steps that lead
    there.
    """
    return dict(_fields(name, value, ()))


def _fields(name: str, value: Any, steps: Steps) -> Iterator[tuple[Steps, Any]]:
    if not isinstance(value, dict):
        return
    known = schema.definition(name).fields
    for key, child in value.items():
        if key not in known:
            if child is not None:
                yield (*steps, key), child
        elif "." in known[key].item and known[key].item not in structs.UNTYPED:
            for where, member in _members(known[key].type, child, (*steps, key)):
                yield from _fields(known[key].item, member, where)


def _members(kind: str, value: Any, steps: Steps) -> Iterator[tuple[Steps, Any]]:
    """The structs inside a value of a type."""
    if kind[0] == "[" and isinstance(value, list):
        for index, element in enumerate(value):
            yield from _members(kind[1:], element, (*steps, index))
    elif kind[0] == "{" and isinstance(value, dict):
        for key, member in value.items():
            yield from _members(kind[1:], member, (*steps, key))
    elif kind[0] not in "[{":
        yield steps, value


def shown(steps: Steps) -> str:
    """``spec.containers[0].later``."""
    return "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps
    ).removeprefix(".")


def stored_before(unknown: Found, before: Iterable[Steps]) -> Found:
    """Those that were there before, in whichever item of a list."""
    places = {_place(steps) for steps in before}
    return {steps: value for steps, value in unknown.items() if _place(steps) in places}


def _place(steps: Steps) -> Steps:
    return tuple(-1 if isinstance(step, int) else step for step in steps)


def put(unknown: Found, target: dict[str, Any]) -> None:
    """Puts fields back to where they were, in place."""
    for steps, value in unknown.items():
        here: Any = target
        for step in steps[:-1]:
            here = here.setdefault(step, {}) if isinstance(step, str) else here[step]
        here[steps[-1]] = value
