"""The short way for the plainest command lines: no parser library, the same functions below. Pure.

``pod up FILE`` and its like are typed by people and scripts all day, and Typer's import is a third
of what such a command may take. Only words without options are taken here; everything else, help
and completion included, goes to Typer. A test holds both ways together.
"""

from __future__ import annotations

from typing import NamedTuple

from kubelite.cli.settings import Settings


class Call(NamedTuple):
    """A function of this package, and what it gets."""

    module: str
    function: str
    arguments: dict[str, object]
    settings: Settings


_VERBS: dict[tuple[str, str], tuple[str, str, str]] = {
    ("pod", "up"): ("up", "up", "source"),
    ("pod", "down"): ("down", "down", "target"),
    ("pod", "ls"): ("listing", "ls", ""),
    ("pod", "ps"): ("listing", "ls", ""),
}
_GLOBAL = {"--root": "root", "-n": "namespace", "--namespace": "namespace"}


def match(front: list[str], rest: list[str]) -> Call | None:
    """The call that these arguments mean, or None where Typer has to look at them."""
    settings = _settings(front)
    verb = _VERBS.get((rest[0], rest[1])) if len(rest) >= 2 else None
    if settings is None or verb is None:
        return None
    module, function, parameter = verb
    operands = rest[2:]
    if len(operands) != bool(parameter) or any(_special(word) for word in operands):
        return None
    return Call(module, function, {parameter: operands[0]} if parameter else {}, settings)


def _special(word: str) -> bool:
    return not word or (word.startswith("-") and word != "-")


def _settings(front: list[str]) -> Settings | None:
    found: dict[str, str] = {}
    for option, value in zip(front[::2], front[1::2], strict=False):
        if option not in _GLOBAL or _special(value):
            return None
        found[_GLOBAL[option]] = value
    return None if len(front) % 2 else Settings(**found)  # type: ignore[arg-type]
