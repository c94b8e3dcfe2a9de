"""The part of JSONPath that printer columns and selectable fields use. Pure.

``.spec.replicas``, ``.metadata.labels['app\\.kubernetes\\.io/name']``, ``.spec.ports[0]``,
``.spec.ports[*].port``, ``.status.conditions[?(@.type=="Ready")].status``. Kubernetes' own dialect
(client-go ``util/jsonpath``) knows more; a path that needs it is refused by name.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, NamedTuple

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


@lru_cache(512)
def parse(text: str) -> tuple[Step, ...]:
    """The steps of a path, with or without braces and a leading dollar. Raises PathError."""
    path = text.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    steps: list[Step] = []
    at = 0
    while at < len(path) and path[at:] != ".":
        found = _STEP.match(path, at)
        if found is None:
            raise PathError(f"{text}: cannot be read at {path[at:]!r}")
        steps.append(_step(found))
        at = found.end()
    return tuple(steps)


def _step(found: re.Match[str]) -> Step:
    if found["index"] is not None:
        return Step("index", position=int(found["index"]))
    if found["all"]:
        return Step("all")
    if found["left"]:
        right = found["right"]
        return Step(
            "filter", test=(parse("." + found["left"]), found["operator"] or "", _literal(right))
        )
    name = found["name"] if found["name"] is not None else found["quoted"]
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
    found = [value]
    for step in steps:
        found = [each for at in found for each in _take(step, at)]
    return found


def _take(step: Step, at: Any) -> list[Any]:
    if step.kind == "name":
        return [at[step.name]] if isinstance(at, dict) and step.name in at else []
    if step.kind == "all":
        return (
            list(at.values()) if isinstance(at, dict) else list(at) if isinstance(at, list) else []
        )
    if not isinstance(at, list):
        return []
    if step.kind == "index":
        return at[step.position : step.position + 1 or None]
    return [each for each in at if _holds(step, each)]


def _holds(step: Step, each: Any) -> bool:
    assert step.test is not None
    steps, operator, right = step.test
    found = _find(steps, each)
    if not operator:
        return bool(found)
    return any(_compare(left, operator, right) for left in found)


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
