"""Whether the CEL rules of a CustomResourceDefinition can be kept: their text, their fields, their
cost. Pure.

The cost is estimated from the bounds that the schema declares, more roughly than Kubernetes does:
how often the rule is asked, and how long what each of its loops goes over may be. What it really
takes is bounded again when it runs (:mod:`~kubelite.control.api.schema.cel`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.schema import cel, cel_text
from kubelite.control.api.schema.cel_values import spelled
from kubelite.control.api.wire import causes
from kubelite.objects.cel import environments, types

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.schema.cel_text import Loop, Step
    from kubelite.control.api.wire.status import Cause

Schema = dict[str, Any]
MOST = 100_000_000
_BODY = 3 << 20  # bytes of the largest body
_MOST_TOGETHER = 10 * MOST
_COSTLY = (
    "{} exceeds budget by factor of {} (try simplifying the rule, or adding maxItems, "
    "maxProperties, and maxLength where arrays, maps, and strings are declared)"
)
_ALONE = "estimated rule cost"
_TOGETHER = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
_CONTRIBUTED = (
    "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
)
_MOST_BLAMED = 4
_UNRELATED = "oldSelf cannot be used on the uncorrelatable portion of the schema within {}"
_STEP = re.compile(r"""\.([A-Za-z_][A-Za-z0-9_]*)|\['((?:[^'\\]|\\.)*)'\]""")


class _Place(NamedTuple):
    """Where a schema stands: how often a value of it may occur, and the list above whose items have
    no identity. ``costly`` takes the rules that cost too much, with what each costs.
    """

    path: str
    number: int
    unrelated: str
    costly: list[tuple[int, str]]

    def below(self, step: str, times: int = 1, unrelated: str = "") -> _Place:
        lost = self.unrelated or unrelated
        return _Place(self.path + step, self.number * times, lost, self.costly)


def check(schema: Schema, path: str) -> Iterator[Cause]:
    """What is wrong with the rules of a whole schema."""
    place = _Place(path, 1, "", [])
    yield from _check(schema, place)
    total = sum(cost for cost, _ in place.costly)
    if total > _MOST_TOGETHER:
        for _, rule in sorted(place.costly, reverse=True)[:_MOST_BLAMED]:
            yield causes.forbidden(rule, _CONTRIBUTED)
        yield causes.forbidden(path, _too_costly(_TOGETHER, total / _MOST_TOGETHER))


def _too_costly(what: str, factor: float) -> str:
    shown = "more than 100x" if factor > 100 else f"{factor:.1f}x"
    return _COSTLY.format(what, f"{factor:f}x" if factor < 1.5 else shown)


def _check(schema: Schema, place: _Place) -> Iterator[Cause]:
    for index, rule in enumerate(schema.get(cel.RULES) or ()):
        yield from _rule(schema, rule, place.below(f".{cel.RULES}[{index}]"))
    for name, below in (schema.get("properties") or {}).items():
        yield from _check(below, place.below(f".properties[{name}]"))
    if isinstance(rest := schema.get("additionalProperties"), dict):
        yield from _check(rest, place.below(".additionalProperties", _longest(schema)))
    if isinstance(items := schema.get("items"), dict):
        lost = "" if schema.get("x-kubernetes-list-type") == "map" else place.path
        yield from _check(items, place.below(".items", _longest(schema), lost))


def _rule(schema: Schema, rule: Schema, place: _Place) -> Iterator[Cause]:
    path, unrelated = place.path, place.unrelated
    text = rule.get("rule", "")
    if not text.strip():
        yield causes.required(f"{path}.rule", "rule is not specified")
        return
    known = _variables(schema, rule)
    if why := cel.problem(text, known, types.BOOL):
        yield causes.invalid(f"{path}.rule", text, why)
    elif name := cel.missing_function(text):
        why = f"compilation failed: '{name}' is a function that this server does not have"
        yield causes.invalid(f"{path}.rule", text, why)
    elif cel.is_transition(text) and unrelated:
        yield causes.invalid(f"{path}.rule", text, _UNRELATED.format(unrelated))
    elif (cost := place.number * _cost(cel_text.loops(text), schema)) > MOST:
        place.costly.append((cost, f"{path}.rule"))
        yield causes.forbidden(f"{path}.rule", _too_costly(_ALONE, cost / MOST))
    if rule.get("optionalOldSelf") is not None and not cel.is_transition(text):
        why = "option optionalOldSelf may not be set if oldSelf is not used in rule"
        yield causes.invalid(f"{path}.optionalOldSelf", rule["optionalOldSelf"], why)
    yield from _said(schema, rule, path, known)


def _variables(schema: Schema, rule: Schema) -> dict[str, types.Type]:
    return environments.custom_rule(schema, spelled, optional=bool(rule.get("optionalOldSelf")))


def _cost(loops: tuple[Loop, ...], schema: Schema) -> int:
    """How many steps the loops of a rule may take for one value of a schema."""
    return max(_steps(loops, {"self": schema, "oldSelf": schema}, schema), 1)


def _steps(loops: tuple[Loop, ...], known: dict[str, Schema], whole: Schema) -> int:
    total = 0
    for loop in loops:
        holder = _reached(loop.path, known)
        length = _longest_below(whole) if holder is None else _longest(holder)
        inside = {**known, loop.variable: _item(holder or {})}
        total += length * (1 + _steps(loop.inside, inside, whole))
    return total


def _reached(path: tuple[Step, ...], known: dict[str, Schema]) -> Schema | None:
    """The schema of what a path leads to; None where only running the rule would tell."""
    if not path or path[0].kind != "field" or path[0].name not in known:
        return None
    here = known[path[0].name]
    for step in path[1:]:
        if step.kind == "field":
            named = {spelled(name) or name: below for name, below in _named(here).items()}
            here = named.get(step.name, here.get("additionalProperties") or {})
        elif step.kind == "item":
            here = _item(here)
        if not isinstance(here, dict):
            return None
    return here or None


def _named(schema: Schema) -> dict[str, Schema]:
    return schema.get("properties") or {}


def _item(schema: Schema) -> Schema:
    below = schema.get("items") or schema.get("additionalProperties")
    return below if isinstance(below, dict) else {}


def _longest(schema: Schema) -> int:
    """How many items a list or a map may have, or letters a text; what is not bounded is by the
    size of a body.
    """
    kind = schema.get("type")
    if kind == "string":
        return int(schema.get("maxLength", _BODY))
    if isinstance(items := schema.get("items"), dict):
        return int(schema.get("maxItems", _BODY // (_smallest(items) + 1)))
    if isinstance(rest := schema.get("additionalProperties"), dict):
        return int(schema.get("maxProperties", _BODY // (_smallest(rest) + 4)))
    return max(len(_named(schema)), 1)


def _smallest(schema: Schema) -> int:
    """The bytes that the shortest value of a schema takes as JSON."""
    if schema.get("type") == "object":
        required = schema.get("required") or ()
        fields = [(name, below) for name, below in _named(schema).items() if name in required]
        return 2 + sum(len(name) + 4 + _smallest(below) for name, below in fields)
    if schema.get("type") == "string":
        return 2 + int(schema.get("minLength", 0))
    return {"boolean": 4, "array": 2}.get(schema.get("type", ""), 1)


def _longest_below(schema: Schema) -> int:
    """The bound of the longest list or map at or below a schema."""
    below = [*_named(schema).values(), _item(schema)]
    return max([_longest(schema), *(_longest_below(part) for part in below if part)])


def _said(schema: Schema, rule: Schema, path: str, known: dict[str, types.Type]) -> Iterator[Cause]:
    """The words of a rule, and the field that it blames."""
    message = rule.get("message", "")
    if message and not message.strip():
        yield causes.invalid(f"{path}.message", message, "message must be non-empty if specified")
    elif "\n" in message.strip():
        yield causes.invalid(f"{path}.message", message, "message must not contain line breaks")
    elif "\n" in rule["rule"].strip() and not message.strip():
        yield causes.required(
            f"{path}.message", "message must be specified if rule contains line breaks"
        )
    expression = rule.get("messageExpression")
    if expression and (why := cel.problem(expression, known, types.STRING)):
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
