"""CEL of admission: policies, match conditions, and what their expressions may name. Pure.

The library knows no types of messages: ``Object{spec: Object.spec{replicas: 3}}`` is read as a map,
which is what becomes of it anyway.
"""

from __future__ import annotations

import re
from typing import Any

from kubelite.control.api.schema import cel
from kubelite.lib.text_cache import LONGEST_EXPRESSION, remember_short
from kubelite.objects.cel import mentions

_TOKEN = re.compile(
    r"""(?P<text>[rRbB]{0,2}(?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))
    |(?P<comment>//[^\n]*)|(?P<name>[A-Za-z_][A-Za-z0-9_.]*)|(?P<space>\s+)|(?P<other>.)""",
    re.VERBOSE,
)
_VARIABLE = re.compile(r"\bvariables\.([A-Za-z_][A-Za-z0-9_]*)")
_MESSAGES = ("Object", "JSONPatch")


class EvaluationError(Exception):
    """An expression cannot be compiled, or cannot be evaluated for this write."""


@remember_short(256, LONGEST_EXPRESSION)
def as_maps(expression: str) -> str:
    """The expression with messages written as maps: ``JSONPatch{op: "add"}`` is ``{"op":
    "add"}``.
    """
    if "{" not in expression:
        return expression
    out: list[str] = []
    braces: list[bool] = []  # of each open one, whether it is a message's
    awaits_field = False
    pending = ""
    for token in _TOKEN.finditer(expression):
        kind, text = token.lastgroup, token[0]
        if kind == "name":
            out.append(pending)
            pending = ""
            if text.split(".")[0] in _MESSAGES:
                pending = text
            else:
                out.append(f'"{text}"' if awaits_field else text)
                awaits_field = False
            continue
        if kind in ("space", "comment"):
            out.append(text)
            continue
        if text == "{":
            braces.append(bool(pending))
            awaits_field, pending = bool(pending), ""
        elif text == "}" and braces:
            braces.pop()
            awaits_field = False
        elif text == "," and braces and braces[-1]:
            awaits_field = True
        elif text in "([":
            braces.append(False)
            awaits_field = False
        elif text in ")]" and braces:
            braces.pop()
        out += [pending, text]
        pending = ""
    return "".join([*out, pending])


class Scope:
    """The names that the expressions of one policy can use for one write.

    A name whose value is a function, and the ``variables`` of the policy, are evaluated when they
    are first named. Only what an expression reads of them is handed to it: the library makes
    values of its own of all that it is given.
    """

    def __init__(
        self, names: dict[str, Any], variables: list[dict[str, Any]] | None = None
    ) -> None:
        self._names = dict(names)
        self._expressions = {
            variable["name"]: variable["expression"] for variable in variables or ()
        }
        self._values: dict[str, Any] = {}

    def evaluate(self, expression: str) -> Any:
        """The value of an expression. Raises EvaluationError."""
        for name in _VARIABLE.findall(expression):
            if name not in self._values and name in self._expressions:
                self._values[name] = self.evaluate(self._expressions[name])
        text = as_maps(expression)
        try:
            return cel.run(text, self._read(mentions.parts(text)))
        except (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError) as error:
            raise EvaluationError(str(error).partition("\n")[0]) from error

    def _read(self, parts: mentions.Parts | None) -> dict[str, Any]:
        """The names that an expression reads, with the parts of their values that it reads."""
        values = {}
        for name in (*self._names, "variables"):
            if parts is None or name in parts:
                below = None if parts is None else parts[name]
                values[name] = mentions.reduced(self._value(name), below)
        return values

    def _value(self, name: str) -> Any:
        if name == "variables":
            return self._values
        if callable(self._names[name]):
            self._names[name] = self._names[name]()
        return self._names[name]

    def holds(self, expression: str) -> bool:
        """Whether an expression is true. Raises EvaluationError, also for what is no boolean."""
        value = self.evaluate(expression)
        if not isinstance(value, bool):
            raise EvaluationError("must evaluate to bool")
        return value

    def text(self, expression: str) -> str:
        """The text that an expression makes; "" where it makes none fit to be shown."""
        try:
            value = self.evaluate(expression)
        except EvaluationError:
            return ""
        return value.strip() if isinstance(value, str) and "\n" not in value.strip() else ""


def all_hold(conditions: list[dict[str, Any]] | None, scope: Scope) -> bool:
    """Whether all match conditions hold: one that is false decides, even beside errors. Raises
    EvaluationError.
    """
    failure: EvaluationError | None = None
    for condition in conditions or ():
        try:
            if not scope.holds(condition["expression"]):
                return False
        except EvaluationError as error:
            failure = error
    if failure is not None:
        raise failure
    return True
