"""Parsing without a parser library: global options, and the plainest command lines. Pure.

``pod up FILE`` and its like are typed by people and scripts all day, and importing Typer is a third
of what such a command may take; the processes that ``kubelite up`` starts would keep it in memory
for as long as the cluster lives. Only command lines without options are taken here, and of these
processes the options that are spelled out; everything else goes to Typer. A test compares both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kubelite.cli.common.command import Option, Parameter, Settings

_WITH_VALUE = ("--root", "-n", "--namespace", "--color")
_FLAGS = ("--debug", "-q", "--quiet", "-v", "-vv", "-vvv", "--verbose")
# The positional parameter of each command that can be called without Typer, "" for none.
_OPERANDS = {
    "pod up": "sources",
    "pod down": "targets",
    "pod ls": "",
    "pod ps": "",
}
_STARTED = ("server", "node run")
"""What ``kubelite up`` starts."""
_SETTINGS = {"--root": "root", "-n": "namespace", "--namespace": "namespace"}


class Call(NamedTuple):
    """A command to call: its name in the command table, its arguments and the global options."""

    command: str
    arguments: dict[str, object]
    settings: Settings


def hoist(args: list[str]) -> tuple[list[str], list[str]]:
    """Separates the global options from the rest, which keeps its order.

    As with kubectl they may stand anywhere before ``--``; what follows ``--`` is left alone,
    and so is an option whose value is missing: the parser refuses it.
    """
    global_args: list[str] = []
    rest: list[str] = []
    position = 0
    while position < len(args):
        word = args[position]
        if word == "--":
            return global_args, rest + args[position:]
        if word in _WITH_VALUE and position + 1 < len(args):
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
    return bool(equals and name in _WITH_VALUE) or (word.startswith("-n") and word != "-n")


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


def match_started(
    global_args: list[str], rest: list[str], declared: Callable[[str], Sequence[Parameter]]
) -> Call | None:
    """The same for the processes of a cluster; ``declared`` gives the parameters of a command."""
    settings = _settings(global_args)
    command = next((name for name in _STARTED if rest[: len(name.split())] == name.split()), "")
    if settings is None or not command:
        return None
    arguments = _options(declared(command), rest[len(command.split()) :])
    return None if arguments is None else Call(command, arguments, settings)


def _options(declared: Sequence[Parameter], words: list[str]) -> dict[str, object] | None:
    """The values of ``--flag`` and ``--name value``; None where there is anything else."""
    parameters = {
        parameter.declaration.names: parameter
        for parameter in declared
        if isinstance(parameter.declaration, Option)
    }
    values: dict[str, object] = {}
    position = 0
    while position < len(words):
        parameter = parameters.get(words[position])
        if parameter is None or parameter.name in values:
            return None
        is_flag = parameter.type is bool
        value = True if is_flag else _value(parameter, "".join(words[position + 1 : position + 2]))
        if value is None:
            return None
        values[parameter.name] = value
        position += 1 if is_flag else 2
    return values


def _value(parameter: Parameter, text: str) -> object | None:
    declaration = parameter.declaration
    if _is_special(text) or declaration.parser is not None or not isinstance(declaration, Option):
        return None
    if parameter.type is int:
        low, high = declaration.minimum, declaration.maximum
        fits = text.isdecimal() and (low or 0) <= int(text) <= (high or 0)
        return int(text) if fits else None
    return text if parameter.type in (str, str | None) else None


def _is_special(word: str) -> bool:
    return not word or (word.startswith("-") and word != "-")


def _settings(global_args: list[str]) -> Settings | None:
    values: dict[str, str] = {}
    for option, value in zip(global_args[::2], global_args[1::2], strict=False):
        if option not in _SETTINGS or _is_special(value):
            return None
        values[_SETTINGS[option]] = value
    return None if len(global_args) % 2 else Settings(**values)  # type: ignore[arg-type]
