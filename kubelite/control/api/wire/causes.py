"""What is wrong with a field, as a Status carries it. Pure.

The words are those of :mod:`kubelite.objects.rules.cause`; here paths are texts already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.wire.status import Cause
from kubelite.objects.facts import go_types
from kubelite.objects.rules import cause as rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kubelite.lib.json import Object


shown = rule.value_text
NIL = rule.NIL
IMMUTABLE = "field is immutable"


def of_rules(causes: Iterable[rule.Cause]) -> Iterator[Cause]:
    """What the rules of ``objects/rules`` found, as causes of a Status."""
    return map(_of, causes)


def _of(cause: rule.Cause) -> Cause:
    return Cause(cause.reason, cause.message, rule.path_text(cause.path))


def required(path: str, why: str = "") -> Cause:
    """Nothing is there and something must be."""
    return _of(rule.required((path,), why))


def invalid(path: str, value: Any, why: str, kind: str = "") -> Cause:
    """The value breaks a rule. ``kind``: its type in the schema table, where Kubernetes' validation
    has an internal struct of it.
    """
    return _of(rule.invalid((path,), value, why, kind))


def immutable(path: str, document: Object, value: Any) -> Cause:
    """The value of a field of the document, which may not change."""
    return invalid(path, go_types.internal_field(document, path, value), IMMUTABLE)


def mistyped(path: str, value: Any, why: str) -> Cause:
    """The value has the wrong JSON type."""
    return _of(rule.mistyped((path,), value, why))


def unsupported(path: str, value: Any, allowed: Iterable[Any], kind: str = "") -> Cause:
    """The value is none of those that are known. ``kind`` as for :func:`invalid`."""
    return _of(rule.not_supported((path,), value, allowed, kind))


def duplicate(path: str, value: Any, kind: str = "") -> Cause:
    """The value is there twice. ``kind`` as for :func:`invalid`."""
    return _of(rule.duplicate((path,), value, kind))


def forbidden(path: str, why: str) -> Cause:
    """The field may not be set, or may not change."""
    return _of(rule.forbidden((path,), why))


def too_long(path: str, limit: int) -> Cause:
    """A text of more bytes than are allowed."""
    return _of(rule.too_long((path,), limit))


def too_many(path: str, number: int, limit: int) -> Cause:
    """A list of more items than are allowed."""
    return _of(rule.too_many((path,), number, limit))


def not_found(path: str, value: Any) -> Cause:
    """The value names something that is not there."""
    return _of(rule.not_found((path,), value))


def shown_list(values: Iterable[Any]) -> str:
    """Values as Go prints a list of them: ``["In" "NotIn"]``."""
    return "[" + " ".join(shown(value) for value in values) + "]"


def without_value(path: str, why: str) -> Cause:
    """The value breaks a rule, and nothing of it is shown."""
    return Cause("FieldValueInvalid", f"Invalid value: {why}", path)


def internal(path: str, why: str) -> Cause:
    """The value cannot be judged."""
    return Cause("InternalError", f"Internal error: {why}", path)
