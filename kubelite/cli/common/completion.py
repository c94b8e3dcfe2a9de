"""Shell completion: what may follow the words typed so far.

Answers within the time of an interpreter's start: names of pods come straight from their records,
without the engine, and neither Typer nor msgspec is imported.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from kubelite.cli.common.command import (
    GLOBAL_OPTIONS,
    Argument,
    Commands,
    Option,
    Parameter,
    load,
    named,
    parameters,
)
from kubelite.cli.common.fastpath import hoist
from kubelite.node.runtime.home import Home


def print_candidates(groups: Mapping[str, str], commands: Commands, words: list[str]) -> int:
    """Prints a line for each word that may stand in place of the last one. Never fails."""
    try:
        lines = "".join(f"{word}\n" for word in candidates(groups, commands, words))
        sys.stdout.write(lines)
    except Exception:  # noqa: BLE001 - a broken record must not break the user's shell
        return 1
    return 0


def candidates(groups: Mapping[str, str], commands: Commands, words: list[str]) -> list[str]:
    """What the last of ``words``, which may be empty, can become."""
    *before, incomplete = words or [""]
    if before and before[-1] in GLOBAL_OPTIONS["root"].names.split():
        return []
    global_args, rest = hoist(before)
    context = _Context(global_args, rest)
    if before and before[-1] in ("-n", "--namespace"):
        possible = context.namespaces()
    elif before and before[-1] == "--color":
        possible = ["auto", "always", "never"]
    else:
        possible = _after(groups, commands, context, rest, incomplete)
    return sorted({word for word in possible if word.startswith(incomplete)})


def _after(
    groups: Mapping[str, str],
    commands: Commands,
    context: _Context,
    rest: list[str],
    incomplete: str,
) -> list[str]:
    if "--" in rest:
        return []
    name, command = named(commands, rest)
    if not name:
        return _command_words(groups, commands, rest, incomplete)
    declared = parameters(load(command))
    context.words = rest[len(name.split()) :]
    valued = _option_of(declared, context.words[-1] if context.words else "")
    if valued is not None:
        return context.values(valued)
    if incomplete.startswith("-"):
        return [*_option_names(declared), "--help"]
    return context.values(_operand(declared, context.operands(declared)))


def _command_words(
    groups: Mapping[str, str], commands: Commands, rest: list[str], incomplete: str
) -> list[str]:
    if incomplete.startswith("-"):
        names = [name for option in GLOBAL_OPTIONS.values() for name in option.names.split()]
        return [*(name for name in names if name.startswith("--")), "--help", "--version"]
    if not rest:
        return [*groups, *(name for name in commands if " " not in name)]
    prefix = f"{rest[0]} "
    inside = [name for name in commands if name.startswith(prefix)] if len(rest) == 1 else []
    return [name.removeprefix(prefix) for name in inside]


def _option_names(declared: list[Parameter]) -> list[str]:
    options = [
        parameter.declaration for parameter in declared if isinstance(parameter.declaration, Option)
    ]
    names = [name for option in options for name in option.names.replace("/", " ").split()]
    return [name for name in names if name.startswith("--")]


def _option_of(declared: list[Parameter], word: str) -> Parameter | None:
    """The option that ``word`` is, if it takes a value."""
    for parameter in declared:
        if (
            isinstance(parameter.declaration, Option)
            and word in parameter.declaration.names.split()
        ):
            return parameter if takes_value(parameter) else None
    return None


def takes_value(parameter: Parameter) -> bool:
    """Whether an option is followed by a value: not a flag, not a counted one."""
    declaration = parameter.declaration
    is_counted = isinstance(declaration, Option) and declaration.counted
    return not is_counted and bool not in (
        parameter.type,
        *getattr(parameter.type, "__args__", ()),
    )


def _operand(declared: list[Parameter], position: int) -> Parameter | None:
    """The positional parameter at a position; the last one if it may be repeated."""
    operands = [parameter for parameter in declared if isinstance(parameter.declaration, Argument)]
    if position < len(operands):
        return operands[position]
    if operands and "..." in operands[-1].declaration.metavar:
        return operands[-1]
    return None


class _Context:
    """The state root and the words of a command line that is being completed."""

    def __init__(self, global_args: list[str], rest: list[str]) -> None:
        options = dict(itertools.pairwise(global_args))
        self.words = rest
        self._home = Home(options.get("--root"))
        self._namespace = options.get("-n") or options.get("--namespace") or "default"

    def operands(self, declared: list[Parameter]) -> int:
        """How many operands there are already."""
        return len(self._operand_words(declared))

    def _operand_words(self, declared: list[Parameter]) -> list[str]:
        operands = []
        previous = ""
        for word in self.words:
            if not word.startswith("-") and _option_of(declared, previous) is None:
                operands.append(word)
            previous = word
        return operands

    def values(self, parameter: Parameter | None) -> list[str]:
        """The values that a parameter can have; none where the shell's files are meant."""
        if parameter is None:
            return []
        from kubelite.cli.common.help_page import choices

        listed = choices(parameter.type)
        if listed:
            return listed
        kind = parameter.declaration.completes
        if kind == "pod":
            return self.pods()
        if kind == "container":
            return self.containers()
        return self.images() if kind == "image" else []

    def pods(self) -> list[str]:
        """The names of the pods of the namespace."""
        return [pod["name"] for pod in self._records() if pod["namespace"] == self._namespace]

    def namespaces(self) -> list[str]:
        """The namespaces that have pods."""
        return [pod["namespace"] for pod in self._records()]

    def containers(self) -> list[str]:
        """The containers of the pods that the line names, of all pods if it names none."""
        chosen = {word.rpartition("/")[2] for word in self.words}
        records = [pod for pod in self._records() if pod["namespace"] == self._namespace]
        specs = [pod["pod"]["spec"] for pod in records if pod["name"] in chosen] or [
            pod["pod"]["spec"] for pod in records
        ]
        return [
            container["name"]
            for spec in specs
            for container in (*spec["containers"], *(spec.get("initContainers") or ()))
        ]

    def images(self) -> list[str]:
        """The names of the images in the store, in their short form, and ``host``."""
        names = [record["name"] for record in _read_all(f"{self._home.images}/names", "")]
        short = [
            name.removeprefix("docker.io/").removeprefix("library/").removesuffix(":latest")
            for name in names
        ]
        return ["host", *short]

    def _records(self) -> Iterator[dict[str, Any]]:
        return _read_all(self._home.pods, "/pod.json")


def _read_all(directory: str, suffix: str) -> Iterator[dict[str, Any]]:
    """The records below a directory, first lines as JSON; what cannot be read is left out."""
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for name in names:
        try:
            with open(f"{directory}/{name}{suffix}", "rb") as file:
                yield json.loads(file.readline())
        except (OSError, ValueError):
            continue
