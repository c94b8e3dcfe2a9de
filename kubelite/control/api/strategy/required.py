"""Rules that need no code of their own: which fields must be there, and which values some texts may
have. Pure.

What must be there comes from the schema table; the values stand in the kinds' rules. Status is not
looked at: it is written by components, which may know more than we do.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.kinds.registry import known_values, may_be_empty
from kubelite.control.api.schema import structs
from kubelite.control.api.wire import causes
from kubelite.objects.facts import schema

if TYPE_CHECKING:
    from kubelite.control.api.wire.status import Cause

_VALUES = known_values()
_MAY_BE_EMPTY = {
    *may_be_empty(),
    *(f"meta.v1.OwnerReference.{field}" for field in ("apiVersion", "kind", "name", "uid")),
    *(f"meta.v1.LabelSelectorRequirement.{field}" for field in ("key", "operator")),
    "meta.v1.Condition.message",
    "authentication.v1.TokenReviewSpec.token",
}
# Looked at by the rules of ``objects/rules``, these fields too.
_OWN_RULES = ("core.v1.PodSpec",)
_Place = tuple[str | int | tuple[str], ...]  # fields, indices of lists, keys of maps


class _Plan(NamedTuple):
    """What to look at in one definition: fields that must be there, fields with known values,
    structs to go into.
    """

    must: tuple[str, ...]
    values: tuple[tuple[str, tuple[str, ...]], ...]
    below: tuple[tuple[str, str], ...]


@cache
def _plan(name: str) -> _Plan:
    fields = schema.definition(name).fields.values()
    must = tuple(
        each.name
        for each in fields
        if each.required and each.type not in "bild" and not _may_be_empty(name, each.name)
    )
    values = tuple(_VALUES.get(name, {}).items())
    below = [
        (each.name, each.type)
        for each in fields
        if each.name not in ("metadata", "status")
        and "." in each.item
        and each.item not in structs.UNTYPED
        and each.item not in _OWN_RULES
    ]
    return _Plan(
        must,
        values,
        tuple(each for each in below if _matters(each[1].lstrip("[{"), frozenset())),
    )


@cache
def _matters(name: str, above: frozenset[str]) -> bool:
    """Whether a definition, or one inside it, has anything to look at."""
    fields = schema.definition(name).fields.values()
    if name in _VALUES or any(
        each.required and not _may_be_empty(name, each.name) for each in fields
    ):
        return True
    inner = {each.item for each in fields if "." in each.item} - above - {name, *_OWN_RULES}
    return any(_matters(each, above | {name}) for each in inner)


def _may_be_empty(name: str, field: str) -> bool:
    return not _MAY_BE_EMPTY.isdisjoint((f"{name}.{field}", f"{name}.*"))


def check(name: str, value: Any, path: str = "") -> list[Cause]:
    """What is missing from a document of a definition, and what it says that is not known."""
    found: list[Cause] = []
    _look(name, value, (path,), found)
    return found


def _look(name: str, value: Any, at: _Place, found: list[Cause]) -> None:
    plan = _plan(name)
    if not all(map(value.get, plan.must)):
        found += [
            causes.required(_written((*at, field)))
            for field in plan.must
            if value.get(field) in (None, "", [])
        ]
    for field, allowed in plan.values:
        if said := value.get(field):
            _known(said, allowed, (*at, field), found)
    for field, kind in plan.below:
        if below := value.get(field):
            _inside(kind, below, (*at, field), found)


def _known(said: Any, allowed: tuple[str, ...], at: _Place, found: list[Cause]) -> None:
    if isinstance(said, list):
        for index, each in enumerate(said):
            _known(each, allowed, (*at, index), found)
    elif said not in allowed:
        found.append(causes.unsupported(_written(at), said, allowed))


def _inside(kind: str, value: Any, at: _Place, found: list[Cause]) -> None:
    if kind[0] == "[":
        for index, each in enumerate(value):
            _inside(kind[1:], each, (*at, index), found)
    elif kind[0] == "{":
        for key, each in value.items():
            _inside(kind[1:], each, (*at, (key,)), found)
    elif isinstance(value, dict):
        _look(kind, value, at, found)


def _written(at: _Place) -> str:
    """A place as causes name it: ``spec.ports[0].name``, ``limits[cpu]``. Written only when there
    is one to name.
    """
    steps = (
        f"[{step}]"
        if isinstance(step, int)
        else f"[{step[0]}]"
        if isinstance(step, tuple)
        else f".{step}"
        for step in at
    )
    return "".join(steps).lstrip(".")
