"""Everything that is wrong with an object before it is stored: all of it, not the first. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.registry import rules_of
from kubelite.control.api.schema import cel, structural_schema, validation
from kubelite.control.api.strategy import metadata, required
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.api.wire.status import Cause

# Causes after which the rules of a definition are not asked.
_BLOCKING = (
    "FieldValueNotSupported",
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
)
_UNCHECKED = (
    "some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)
_TOP = ("kind", "apiVersion", "metadata")


def validate_create(res: Resource, obj: Object) -> list[Cause]:
    """What is wrong with a new object, in the order of the document as far as the rules have
    one.
    """
    problems = [*metadata.check_create(res, obj)]
    if res.crd is not None:
        return [*problems, *_custom(res, obj, None, problems)]
    rules, contents = rules_of(res), list(_contents(res, obj))
    fresh = list(rules.check_create(obj)) if rules.check_create is not None else []
    return [*problems, *(fresh + contents if rules.creation_first else contents + fresh)]


def validate_update(res: Resource, sub: str, new: Object, old: Object) -> list[Cause]:
    """What is wrong with an object's new state, and what changed that may not. ``sub`` is the
    subresource or "".
    """
    problems = [*metadata.check_update(res, new, old)]
    if res.crd is not None:
        return [*problems, *_custom(res, new, old, problems)]
    rules = rules_of(res)
    check_change = rules.check_subresource.get(sub) if sub else rules.check_update
    changes = list(check_change(new, old)) if check_change is not None else []
    if sub == "status" or all(
        new.get(key) == old.get(key) for key in {*new, *old} if key not in ("metadata", "status")
    ):
        return problems + changes
    fresh = list(_contents(res, new))
    # What was stored once stays writable where it did not change: a rule that is new must not lock
    # an object up.
    known = set(_contents(res, old)) if fresh else set()
    broken = [cause for cause in fresh if cause not in known]
    return [*problems, *(changes + broken if rules.changes_first else broken + changes)]


def _contents(res: Resource, obj: Object) -> Iterator[Cause]:
    if res.definition is not None:
        yield from required.check(res.definition, obj)
    if (check := rules_of(res).check) is not None:
        yield from check(obj)


def _custom(res: Resource, obj: Object, old: Object | None, before: list[Cause]) -> Iterator[Cause]:
    """What is wrong with a custom object, of which ``before`` was found already."""
    described = structural_schema.schema_of(res)
    body = {key: value for key, value in obj.items() if key not in _TOP}
    wanted = {
        **described,
        "required": [name for name in described.get("required") or () if name not in _TOP],
    }
    broken = list(validation.check(wanted, body))
    if broken and old is not None:
        # As of built-in kinds: what was stored once stays writable where it did not change.
        known = set(
            validation.check(wanted, {key: value for key, value in old.items() if key not in _TOP})
        )
        broken = [cause for cause in broken if cause not in known]
    yield from broken
    yield from _scaled(res, obj)
    if not any(cause.reason in _BLOCKING for cause in (*before, *broken)):
        yield from cel.check(described, obj, old, "")
    elif cel.has_rules(described):
        yield causes.without_value("<nil>", f"null: {_UNCHECKED}")


def _scaled(res: Resource, obj: Object) -> Iterator[Cause]:
    """Numbers of replicas, where a definition says which fields these are."""
    scale = ((res.crd or {}).get("subresources") or {}).get("scale") or {}
    for key in ("specReplicasPath", "statusReplicasPath"):
        if not (path := scale.get(key, "")):
            continue
        number: Any = obj
        for step in path[1:].split("."):
            number = number.get(step) if isinstance(number, dict) else None
        if number is None:
            continue
        if not isinstance(number, int) or isinstance(number, bool):
            yield causes.invalid(path, number, "should be an integer")
        elif number < 0:
            yield causes.invalid(path, number, "should be a non-negative integer")
        elif number >= 2**31:
            yield causes.invalid(path, number, f"should be less than or equal to {2**31 - 1}")
