"""Parsing without a parser library: global options, and the plainest command lines. Pure.

``pod up FILE`` and its like are typed by people and scripts all day, and importing Typer is a third
of what such a command may take. Only command lines without options are taken here; everything else
goes to Typer. A test compares both.
"""

from __future__ import annotations

from typing import NamedTuple

from kubelite.cli.common.command import Settings

_WITH_VALUE = ("--root", "-n", "--namespace", "--color")
_FLAGS = ("--debug", "-q", "--quiet", "-v", "-vv", "-vvv", "--verbose")
# The positional parameter of each command that can be called without Typer, "" for none.
_OPERANDS = {
    "pod up": "sources",
    "pod down": "targets",
    "pod ls": "",
    "pod ps": "",
}
_SETTINGS = {"--root": "root", "-n": "namespace", "--namespace": "namespace"}


class Call(NamedTuple):
    """A command to call: its name in the command table, its arguments and the global options."""

    command: str
    arguments: dict[str, object]
    settings: Settings


def hoist(args: list[str]) -> tuple[list[str], list[str]]:
    """Separates the global options from the rest, which keeps its order.

    As with kubectl they may stand anywhere before ``--``; what follows ``--`` is left alone.
    """
    global_args: list[str] = []
    rest: list[str] = []
    position = 0
    while position < len(args):
        word = args[position]
        if word == "--":
            return global_args, rest + args[position:]
        if word in _WITH_VALUE:
            global_args += args[position : position + 2]
            position += 2
            continue
        target = global_args if word in _FLAGS or _has_value(word) else rest
        target.append(word)
        position += 1
    return global_args, rest


def _has_value(word: str) -> bool:
    """Whether the word is a global option with its value: ``--root=/x`` or ``-nkube-system``."""
    name, equals, _ = word.partition("=")
    return bool(equals and name in _WITH_VALUE) or (
        word.startswith("-n") and not word.startswith("--")
    )


def match(global_args: list[str], rest: list[str]) -> Call | None:
    """The call that these arguments mean, or None if Typer has to parse them."""
    settings = _settings(global_args)
    command = " ".join(rest[:2])
    if settings is None or command not in _OPERANDS:
        return None
    parameter, operands = _OPERANDS[command], rest[2:]
    if len(operands) != bool(parameter) or any(_is_special(word) for word in operands):
        return None
    return Call(command, {parameter: operands} if parameter else {}, settings)


def _is_special(word: str) -> bool:
    return not word or (word.startswith("-") and word != "-")


def _settings(global_args: list[str]) -> Settings | None:
    values: dict[str, str] = {}
    for option, value in zip(global_args[::2], global_args[1::2], strict=False):
        if option not in _SETTINGS or _is_special(value):
            return None
        values[_SETTINGS[option]] = value
    return None if len(global_args) % 2 else Settings(**values)  # type: ignore[arg-type]
