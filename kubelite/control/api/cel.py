"""CEL rules of CustomResourceDefinitions, evaluated by an optional library (PyPI ``common-expression-language``). Pure.

Without it every rule is refused when its definition is written: a rule that is stored and not kept would be worse.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kubelite.control.api import causes
from kubelite.control.api.status import Cause
from kubelite.control.api.structural import children

if TYPE_CHECKING:
    from collections.abc import Iterator


Schema = dict[str, Any]
_RULES = "x-kubernetes-validations"
_MISSING = "CEL rules need the Python package common-expression-language on the server: pip install it, or leave the rule out"
_REASONS = {
    "FieldValueRequired": "Required value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueDuplicate": "Duplicate value",
}


def problem(rule: str) -> str:
    """Why a rule cannot be used; empty when it can."""
    try:
        _program(rule)
    except ImportError:
        return _MISSING
    except ValueError as error:
        return "compilation failed: " + str(error).partition("\n")[0]
    return ""


@lru_cache(512)
def _program(rule: str) -> Any:
    import cel

    return cel.compile(rule)


def check(schema: Schema, value: Any, old: Any, path: str) -> Iterator[Cause]:
    """Which rules a value breaks, itself and below. ``old`` is what stood there before, None where nothing did."""
    for rule in schema.get(_RULES) or ():
        if "oldSelf" not in rule["rule"] or old is not None:
            yield from _broken(rule, value, old, path)
    for key, below, step in children(schema, value):
        yield from check(below, value[key], _before(old, key), (path + step).lstrip("."))


def _before(old: Any, key: Any) -> Any:
    if isinstance(old, dict):
        return old.get(key)
    return old[key] if isinstance(old, list) and isinstance(key, int) and key < len(old) else None


def _broken(rule: dict[str, Any], value: Any, old: Any, path: str) -> Iterator[Cause]:
    where = path + rule.get("fieldPath", "")
    try:
        if _program(rule["rule"]).execute({"self": value, "oldSelf": old}) is True:
            return
    except (ValueError, TypeError, RuntimeError, LookupError) as error:
        yield causes.invalid(where, value, f"rule evaluation error: {error}")
        return
    said = rule.get("message") or f"failed rule: {rule['rule']}"
    reason = rule.get("reason", "")
    if reason in _REASONS:
        yield Cause(reason, f"{_REASONS[reason]}: {said}", where)
    else:
        yield causes.invalid(where, value if not isinstance(value, dict | list) else _shape(value), said)


def _shape(value: Any) -> str:
    return "object" if isinstance(value, dict) else "array"
