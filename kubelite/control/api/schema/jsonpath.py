"""The part of JSONPath that printer columns and selectable fields use. Pure.

``.spec.replicas``, ``.metadata.labels['app\\.kubernetes\\.io/name']``, ``.spec.ports[0]``,
``.spec.ports[*].port``, ``.status.conditions[?(@.type=="Ready")].status``. Kubernetes' own dialect
(client-go ``util/jsonpath``) knows more; a path that needs it is refused by name.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from kubelite.lib.text_cache import remember_short

_STEP = re.compile(
    r"""\.?(?P<name>(?:[^.\[\]\\'"()@?*]|\\.)+)"""
    r"""|\[(?P<quote>['"])(?P<quoted>(?:\\.|(?!(?P=quote)).)*)(?P=quote)\]"""
    r"""|\[(?P<index>-?\d+)\]"""
    r"""|\.?(?P<all>\[\*\]|\*)"""
    r"""|\[\?\(\s*@\.?(?P<left>[^=!<>)\s]+)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<right>'[^']*'|"[^"]*"|[^)\s]+)\s*)?\)\]"""
)


class PathError(ValueError):
    """The path cannot be read; the message names it."""


class Step(NamedTuple):
    """``name`` into an object, ``index`` into a list, ``all`` of either, ``filter`` of a list."""

    kind: str
    name: str = ""
    position: int = 0
    test: tuple[tuple[Step, ...], str, Any] | None = None


@remember_short(512)
def parse(text: str) -> tuple[Step, ...]:
    """The steps of a path, with or without braces and a leading dollar. Raises PathError."""
    path = text.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    steps: list[Step] = []
    position = 0
    while position < len(path) and path[position:] != ".":
        match = _STEP.match(path, position)
        if match is None:
            raise PathError(f"{text}: cannot be read at {path[position:]!r}")
        steps.append(_step(match))
        position = match.end()
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    if match["index"] is not None:
        return Step("index", position=int(match["index"]))
    if match["all"]:
        return Step("all")
    if match["left"]:
        right = match["right"]
        return Step(
            "filter", test=(parse("." + match["left"]), match["operator"] or "", _literal(right))
        )
    name = match["name"] if match["name"] is not None else match["quoted"]
    return Step("name", re.sub(r"\\(.)", r"\1", name))


def _literal(text: str | None) -> Any:
    if text is None:
        return None
    if text[0] in "'\"":
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        raise PathError(f"{text} is neither a text in quotes nor a number") from None


def find(text: str, value: Any) -> list[Any]:
    """Every value at a path; none where it leads nowhere. Raises PathError."""
    return _find(parse(text), value)


def _find(steps: tuple[Step, ...], value: Any) -> list[Any]:
    values = [value]
    for step in steps:
        values = [inner for outer in values for inner in _take(step, outer)]
    return values


def _take(step: Step, value: Any) -> list[Any]:
    if step.kind == "name":
        return [value[step.name]] if isinstance(value, dict) and step.name in value else []
    if step.kind == "all":
        return (
            list(value.values())
            if isinstance(value, dict)
            else list(value)
            if isinstance(value, list)
            else []
        )
    if not isinstance(value, list):
        return []
    if step.kind == "index":
        return value[step.position : step.position + 1 or None]
    return [element for element in value if _holds(step, element)]


def _holds(step: Step, element: Any) -> bool:
    assert step.test is not None
    steps, operator, right = step.test
    values = _find(steps, element)
    if not operator:
        return bool(values)
    return any(_compare(left, operator, right) for left in values)


def _compare(left: Any, operator: str, right: Any) -> bool:
    if operator in ("==", "!="):
        return bool(left == right) == (operator == "==")
    if type(left) is not type(right):
        return False
    return bool(
        {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[operator]
    )


def printed(value: Any) -> str:
    """A value that is no text, as the cells of custom columns show it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
