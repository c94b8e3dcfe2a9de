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
        field.name
        for field in fields
        if field.required and field.type not in "bild" and not _may_be_empty(name, field.name)
    )
    values = tuple(_VALUES.get(name, {}).items())
    below = [
        (field.name, field.type)
        for field in fields
        if field.name not in ("metadata", "status")
        and "." in field.item
        and field.item not in structs.UNTYPED
        and field.item not in _OWN_RULES
    ]
    return _Plan(
        must,
        values,
        tuple(part for part in below if _matters(part[1].lstrip("[{"), frozenset())),
    )


@cache
def _matters(name: str, above: frozenset[str]) -> bool:
    """Whether a definition, or one inside it, has anything to look at."""
    fields = schema.definition(name).fields.values()
    if name in _VALUES or any(
        field.required and not _may_be_empty(name, field.name) for field in fields
    ):
        return True
    inner = {field.item for field in fields if "." in field.item} - above - {name, *_OWN_RULES}
    return any(_matters(kind, above | {name}) for kind in inner)


def _may_be_empty(name: str, field: str) -> bool:
    return not _MAY_BE_EMPTY.isdisjoint((f"{name}.{field}", f"{name}.*"))


def check(name: str, value: Any, path: str = "") -> list[Cause]:
    """What is missing from a document of a definition, and what it says that is not known."""
    causes_found: list[Cause] = []
    _look(name, value, (path,), causes_found)
    return causes_found


def _look(name: str, value: Any, place: _Place, missing: list[Cause]) -> None:
    plan = _plan(name)
    if not all(map(value.get, plan.must)):
        missing += [
            causes.required(_written((*place, field)))
            for field in plan.must
            if value.get(field) in (None, "", [])
        ]
    for field, allowed in plan.values:
        if inner := value.get(field):
            _known(inner, allowed, (*place, field), missing)
    for field, kind in plan.below:
        if below := value.get(field):
            _inside(kind, below, (*place, field), missing)


def _known(value: Any, allowed: tuple[str, ...], place: _Place, missing: list[Cause]) -> None:
    if isinstance(value, list):
        for index, element in enumerate(value):
            _known(element, allowed, (*place, index), missing)
    elif value not in allowed:
        missing.append(causes.unsupported(_written(place), value, allowed))


def _inside(kind: str, value: Any, place: _Place, missing: list[Cause]) -> None:
    if kind[0] == "[":
        for index, element in enumerate(value):
            _inside(kind[1:], element, (*place, index), missing)
    elif kind[0] == "{":
        for key, inner in value.items():
            _inside(kind[1:], inner, (*place, (key,)), missing)
    elif isinstance(value, dict):
        _look(kind, value, place, missing)


def _written(place: _Place) -> str:
    """A place as causes name it: ``spec.ports[0].name``, ``limits[cpu]``. Written only when there
    is one to name.
    """
    steps = (
        f"[{step}]"
        if isinstance(step, int)
        else f"[{step[0]}]"
        if isinstance(step, tuple)
        else f".{step}"
        for step in place
    )
    return "".join(steps).lstrip(".")
