"""What can be wrong with a field, in the words of Kubernetes (apimachinery
``util/validation/field``). Pure.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubelite.control.api.wire.status import Cause

if TYPE_CHECKING:
    from collections.abc import Iterable


def required(path: str, why: str = "") -> Cause:
    """Nothing is there and something must be."""
    return Cause("FieldValueRequired", "Required value" + (f": {why}" if why else ""), path)


def invalid(path: str, value: Any, why: str) -> Cause:
    """The value breaks a rule."""
    return Cause("FieldValueInvalid", f"Invalid value: {shown(value)}: {why}", path)


def mistyped(path: str, value: Any, why: str) -> Cause:
    """The value has the wrong JSON type."""
    return Cause("FieldValueTypeInvalid", f"Invalid value: {shown(value)}: {why}", path)


def unsupported(path: str, value: Any, allowed: Iterable[Any]) -> Cause:
    """The value is none of those that are known."""
    listed = ", ".join(shown(each) for each in allowed)
    return Cause(
        "FieldValueNotSupported",
        f"Unsupported value: {shown(value)}: supported values: {listed}",
        path,
    )


def duplicate(path: str, value: Any) -> Cause:
    """The value is there twice."""
    return Cause("FieldValueDuplicate", f"Duplicate value: {shown(value)}", path)


def forbidden(path: str, why: str) -> Cause:
    """The field may not be set, or may not change."""
    return Cause("FieldValueForbidden", f"Forbidden: {why}", path)


def too_long(path: str, most: int) -> Cause:
    """A text of more bytes than are allowed."""
    return Cause("FieldValueTooLong", f"Too long: may not be more than {most} bytes", path)


def too_many(path: str, number: int, most: int) -> Cause:
    """A list of more items than are allowed."""
    return Cause("FieldValueTooMany", f"Too many: {number}: must have at most {most} items", path)


def not_found(path: str, value: Any) -> Cause:
    """The value names something that is not there."""
    return Cause("FieldValueNotFound", f"Not found: {shown(value)}", path)


def shown(value: Any) -> str:
    """A value as messages show it: texts in quotes, the rest as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
