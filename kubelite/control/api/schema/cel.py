"""CEL rules of CustomResourceDefinitions, evaluated by the library common-expression-language,
which is loaded when the first rule is met. Pure.

A rule that calls a function which neither the library has nor ``cel_functions`` is refused when its
definition is written: one that is stored and not kept would be worse.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kubelite.control.api.schema import cel_functions, cel_optionals, cel_text, cel_values
from kubelite.control.api.schema.cel_values import converted
from kubelite.control.api.schema.structural_schema import children
from kubelite.control.api.wire import causes
from kubelite.control.api.wire.status import Cause
from kubelite.lib.text_cache import LONGEST_EXPRESSION, remember_short
from kubelite.objects.cel import checker, types
from kubelite.objects.cel.syntax import UnreadableExpression

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kubelite.objects.cel.types import Type

Schema = dict[str, Any]
RULES = "x-kubernetes-validations"
REASONS = {
    "FieldValueInvalid": "Invalid value",
    "FieldValueRequired": "Required value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueDuplicate": "Duplicate value",
}
# A step takes a quarter of a microsecond, in which the library lets no other thread run.
RULE_STEPS = 200_000
OBJECT_STEPS = 2_000_000
_EVALUATION = 20  # steps that even the simplest rule costs
_SPENT = (
    "validation failed due to running out of cost budget, no further validation rules will be run"
)
_OLD = re.compile(r"\boldSelf\b")
_FUNCTIONS = frozenset(
    "size contains startsWith endsWith matches string int uint double bytes duration timestamp "
    "type dyn getFullYear getMonth"
    " getDayOfMonth getDate getDayOfYear getDayOfWeek getHours getMinutes getSeconds "
    "getMilliseconds of none ofNonZeroValue"
    " hasValue value or orValue isSorted".split()
)


def problem(expression: str, variables: Mapping[str, Type], *returns: Type) -> str:
    """Why an expression cannot be used where these variables are known and one of these types is
    wanted; empty when it can.
    """
    try:
        _program(expression)
        checked = checker.check(expression, variables)
    except UnreadableExpression:
        return ""  # the library reads more than we do
    except ValueError as error:
        return "compilation failed: " + str(error).partition("\n")[0]
    if checked.problems:
        return "compilation failed: " + checker.report(expression, checked.problems)
    if returns and not any(types.fits(checked.type, kind, {}) for kind in returns):
        named = [str(kind).replace("null", "null_type") for kind in returns]
        return "must evaluate to " + (
            named[0] if len(named) == 1 else f"one of [{' '.join(named)}]"
        )
    return ""


def missing_function(expression: str) -> str:
    """A function that an expression calls and that can only be read here; "" where there is none.
    Raises ValueError for what cannot be read.
    """
    named = {name for name in _program(expression).functions() if name[0].isalpha()}
    known = {*_FUNCTIONS, *cel_functions.FUNCTIONS, *cel_optionals.FUNCTIONS}
    return next(iter(sorted(named - known - _library_functions())), "")


def has_rules(schema: Schema) -> bool:
    """Whether a schema has rules, itself or below."""
    if schema.get(RULES):
        return True
    below = [*(schema.get("properties") or {}).values()]
    below += [schema.get("items"), schema.get("additionalProperties")]
    return any(has_rules(part) for part in below if isinstance(part, dict))


def is_transition(rule: str) -> bool:
    """Whether a rule looks at what was there before."""
    return _OLD.search(rule) is not None


@remember_short(256, LONGEST_EXPRESSION)
def _program(rule: str) -> Any:
    import cel

    return cel.compile(cel_optionals.as_calls(rule))


@lru_cache(1)
def _library_functions() -> frozenset[str]:
    from cel import stdlib

    return frozenset(name.rpartition(".")[2] for name in stdlib.STDLIB_FUNCTIONS)


@remember_short(256, LONGEST_EXPRESSION)
def _is_plain(rule: str) -> bool:
    """Whether a rule calls nothing but what the library has by itself: to make all other functions
    known for it takes as long again as to run it.
    """
    ours = {*cel_functions.FUNCTIONS, *cel_optionals.FUNCTIONS, *_library_functions()}
    return ours.isdisjoint(_program(rule).functions())


@lru_cache(1)
def _context() -> Any:
    """What every rule may call, beside what the library has by itself."""
    import cel
    from cel import stdlib

    context = cel.Context()
    stdlib.add_stdlib_to_context(context)
    for name, function in (cel_functions.FUNCTIONS | cel_optionals.FUNCTIONS).items():
        context.add_function(name, function)
    context.update(cel_functions.NAMESPACES)
    return context


class _Budget:
    """How many steps the rules of one object may still take."""

    def __init__(self) -> None:
        self.left = OBJECT_STEPS

    def take(self, rule: str, *values: Any) -> bool:
        """Takes what a rule may need for its loops; False where that is too much."""
        steps = _EVALUATION + sum(cel_values.steps(cel_text.loops(rule), value) for value in values)
        self.left -= steps
        return steps <= RULE_STEPS and self.left >= 0


def check(schema: Schema, value: Any, old: Any, path: str) -> Iterator[Cause]:
    """Which rules a value breaks, itself and below. ``old`` is what stood there before, None where
    nothing did.
    """
    budget = _Budget()
    for cause in _check(schema, value, old, path, budget):
        yield cause
        if cause.message.endswith(_SPENT):
            return


def _check(schema: Schema, value: Any, old: Any, path: str, budget: _Budget) -> Iterator[Cause]:
    if value is None:
        return
    for rule in schema.get(RULES) or ():
        yield from _kept(rule, schema, value, old, path, budget)
    before = _correlated(schema, value, old)
    for key, below, step in children(schema, value):
        yield from _check(below, value[key], before.get(key), (path + step).lstrip("."), budget)


def _correlated(schema: Schema, value: Any, old: Any) -> dict[Any, Any]:
    """What stood where the parts of a value stand: items of a list are known by their keys, or not
    at all.
    """
    if isinstance(old, dict):
        return old
    keys = schema.get("x-kubernetes-list-map-keys")
    if not keys or not isinstance(old, list) or not isinstance(value, list):
        return {}
    known = {_identity(element, keys): element for element in old}
    return {index: known.get(_identity(element, keys)) for index, element in enumerate(value)}


def _identity(item: Any, keys: list[str]) -> str:
    return repr([item.get(key) for key in keys] if isinstance(item, dict) else item)


def _kept(
    rule: dict[str, Any], schema: Schema, value: Any, old: Any, path: str, budget: _Budget
) -> Iterator[Cause]:
    """Why a rule is broken. One about the present only is not asked again where nothing has
    changed.
    """
    transition, optional = is_transition(rule["rule"]), bool(rule.get("optionalOldSelf"))
    if (transition and old is None and not optional) or (
        not transition and old is not None and old == value
    ):
        return
    where = path + rule.get("fieldPath", "") if path else rule.get("fieldPath", "").lstrip(".")
    if not budget.take(rule["rule"], value, old):
        yield causes.forbidden(where, _SPENT)
        return
    try:
        variables = {"self": converted(schema, value), "oldSelf": _before(schema, old, optional)}
        if run(rule["rule"], variables) is True:
            return
    except (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError) as error:
        why = f"{_error_text(error)} evaluating rule: {_fallback(rule)}"
        yield causes.invalid(where, _shape(value), why)
        return
    yield _cause(rule, variables, where)


def _before(schema: Schema, old: Any, optional: bool) -> Any:
    before = None if old is None else converted(schema, old)
    if not optional:
        return before
    import cel

    return cel.OptionalValue.none() if before is None else cel.OptionalValue.of(before)


def run(expression: str, variables: dict[str, Any]) -> Any:
    """The value of an expression. Raises ValueError, TypeError, RuntimeError, LookupError or
    ArithmeticError for what cannot be evaluated, or not in :data:`RULE_STEPS`.
    """
    if cel_values.named_steps(cel_text.loops(expression), variables) > RULE_STEPS:
        raise RuntimeError("operation cancelled: actual cost limit exceeded")
    program = _program(expression)
    if _is_plain(expression):
        return program.execute(variables)
    context = _context()
    context.update(variables)
    return program.execute(context)


def _error_text(error: Exception) -> str:
    """What stopped a rule, as CEL's own library says it."""
    match error:
        case KeyError():
            return f"no such key: {error.args[0]}"
        case ZeroDivisionError():
            return "division by zero"
        case _:
            return str(error)


def _fallback(rule: dict[str, Any]) -> str:
    """What is said of a broken rule that has no words of its own for this case."""
    return str(rule.get("message") or "").strip() or f"failed rule: {rule['rule'].strip()}"


def _cause(rule: dict[str, Any], variables: dict[str, Any], where: str) -> Cause:
    message = _expressed(rule, variables) or _fallback(rule)
    reason = rule.get("reason") or "FieldValueInvalid"
    return (
        causes.without_value(where, message)
        if reason == "FieldValueInvalid"
        else Cause(reason, f"{REASONS[reason]}: {message}", where)
    )


def _expressed(rule: dict[str, Any], variables: dict[str, Any]) -> str:
    """What a rule's own expression says of its failure; empty where there is none, or it says
    nothing fit to be shown.
    """
    if not rule.get("messageExpression"):
        return ""
    try:
        message = run(rule["messageExpression"], variables)
    except (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError):
        return ""
    return message.strip() if isinstance(message, str) and "\n" not in message.strip() else ""


def _shape(value: Any) -> Any:
    """A value as the causes show it: of maps and lists only what they are."""
    return "object" if isinstance(value, dict) else "array" if isinstance(value, list) else value
