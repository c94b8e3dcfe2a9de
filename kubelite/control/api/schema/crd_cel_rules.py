"""Whether the CEL rules of a CustomResourceDefinition can be kept: their text, their fields, their
cost. Pure.

The cost is estimated from the bounds that the schema declares, more roughly than Kubernetes does:
how often the rule is asked, and what its loops may go over. What it really takes is bounded again
when it runs (:mod:`~kubelite.control.api.schema.cel`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kubelite.control.api.schema import cel, cel_text
from kubelite.control.api.wire import causes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.status import Cause

Schema = dict[str, Any]
MOST = 100_000_000
_UNBOUNDED = (3 << 20) // 4  # items that a body of three megabytes can hold
_COSTLY = (
    "estimated rule cost exceeds budget by factor of more than {:.1f}x (try simplifying the rule, or adding maxItems,"
    " maxProperties, and maxLength where arrays, maps, and strings are declared)"
)
_UNRELATED = "oldSelf cannot be used on the uncorrelatable portion of the schema within {}"
_STEP = re.compile(r"""\.([A-Za-z_][A-Za-z0-9_]*)|\['((?:[^'\\]|\\.)*)'\]""")


def check(schema: Schema, path: str, number: int = 1, unrelated: str = "") -> Iterator[Cause]:
    """What is wrong with the rules of a schema and below. ``number`` is how often a value of it may
    occur, ``unrelated`` the list above whose items have no identity.
    """
    for index, rule in enumerate(schema.get(cel.RULES) or ()):
        yield from _rule(schema, rule, f"{path}.{cel.RULES}[{index}]", number, unrelated)
    for name, below in (schema.get("properties") or {}).items():
        yield from check(below, f"{path}.properties[{name}]", number, unrelated)
    if isinstance(rest := schema.get("additionalProperties"), dict):
        yield from check(
            rest,
            f"{path}.additionalProperties",
            number * schema.get("maxProperties", _UNBOUNDED),
            unrelated,
        )
    if isinstance(items := schema.get("items"), dict):
        lost = unrelated or ("" if schema.get("x-kubernetes-list-type") == "map" else path)
        yield from check(items, f"{path}.items", number * schema.get("maxItems", _UNBOUNDED), lost)


def _rule(schema: Schema, rule: Schema, path: str, number: int, unrelated: str) -> Iterator[Cause]:
    text = rule.get("rule", "")
    if not text.strip():
        yield causes.required(f"{path}.rule", "rule is not specified")
        return
    if why := cel.problem(text):
        yield causes.invalid(f"{path}.rule", text, why)
    elif cel.is_transition(text) and unrelated:
        yield causes.invalid(f"{path}.rule", text, _UNRELATED.format(unrelated))
    elif (cost := number * _most(schema) ** cel_text.loops(text).depth) > MOST:
        yield causes.forbidden(f"{path}.rule", _COSTLY.format(cost / MOST))
    if rule.get("optionalOldSelf") is not None and not cel.is_transition(text):
        why = "option optionalOldSelf may not be set if oldSelf is not used in rule"
        yield causes.invalid(f"{path}.optionalOldSelf", rule["optionalOldSelf"], why)
    yield from _said(schema, rule, path)


def _most(schema: Schema) -> int:
    """The bound of the longest list or map at or below a schema; a text may be made into one."""
    bounds = [1]
    if isinstance(rest := schema.get("additionalProperties"), dict):
        bounds += [schema.get("maxProperties", _UNBOUNDED), _most(rest)]
    if isinstance(items := schema.get("items"), dict):
        bounds += [schema.get("maxItems", _UNBOUNDED), _most(items)]
    return max(bounds + [_most(below) for below in (schema.get("properties") or {}).values()])


def _said(schema: Schema, rule: Schema, path: str) -> Iterator[Cause]:
    """The words of a rule, and the field that it blames."""
    said = rule.get("message", "")
    if said and not said.strip():
        yield causes.invalid(f"{path}.message", said, "message must be non-empty if specified")
    elif "\n" in said.strip():
        yield causes.invalid(f"{path}.message", said, "message must not contain line breaks")
    elif "\n" in rule["rule"].strip() and not said.strip():
        yield causes.required(
            f"{path}.message", "message must be specified if rule contains line breaks"
        )
    if (expression := rule.get("messageExpression")) and (why := cel.problem(expression)):
        yield causes.invalid(f"{path}.messageExpression", expression, f"messageExpression {why}")
    if rule.get("reason") and rule["reason"] not in cel.REASONS:
        yield causes.unsupported(f"{path}.reason", rule["reason"], cel.REASONS)
    if (field := rule.get("fieldPath")) and not _leads(schema, field):
        yield causes.invalid(f"{path}.fieldPath", field, "fieldPath must be a valid path")


def _leads(schema: Schema, field: str) -> bool:
    """Whether a path like ``.spec['max-age']`` leads to a field that the schema names."""
    steps = list(_STEP.finditer(field))
    if "".join(step[0] for step in steps) != field:
        return False
    here: Any = schema
    for step in steps:
        named = here.get("properties") or {}
        here = named.get(step[1] or step[2], here.get("additionalProperties"))
        if not isinstance(here, dict):
            return False
    return True
