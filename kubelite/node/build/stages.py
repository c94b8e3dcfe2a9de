"""The stages of a Containerfile and what each needs of the others.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kubelite.node.build import words
from kubelite.node.build.containerfile import Containerfile, Instruction
from kubelite.node.build.errors import BuildError, at
from kubelite.node.image.oci import MACHINES

SCRATCH = "scratch"


class Stage(NamedTuple):
    """From one FROM to the next.  `base` is the name of an image, of an earlier stage, or
    `scratch`; `needs` are the numbers of the stages that it is made of.
    """

    number: int
    name: str
    base: str
    line: int
    instructions: tuple[Instruction, ...]
    needs: frozenset[int]

    @property
    def shown(self) -> str:
        """Its name, or its number."""
        return self.name or f"stage {self.number}"


class Plan(NamedTuple):
    """The stages that have to be built, by number, the last one wanted; `arguments` are the ARGs
    before the first FROM.
    """

    stages: dict[int, Stage]
    target: int
    arguments: Mapping[str, str]


def plan(
    file: Containerfile, given: Mapping[str, str], predefined: Mapping[str, str], target: str = ""
) -> Plan:
    """The stages that the one named `target`, or the last, needs.

    `given` are the values of `--build-arg`, `predefined` those that every build has. Raises
    BuildError.
    """
    arguments, rest = _arguments(file, given, predefined)
    stages: list[Stage] = []
    for group in _groups(rest):
        stages.append(_stage(group, stages, arguments, file.escape))
    number = len(stages) - 1 if not target else find(target, stages)
    if number is None:
        known = ", ".join(stage.shown for stage in stages)
        raise BuildError(f"there is no stage {target}", hint=f"there are: {known}")
    wanted: set[int] = set()
    todo = [number]
    while todo:
        wanted.add(current := todo.pop())
        todo += stages[current].needs - wanted
    return Plan({index: stages[index] for index in sorted(wanted)}, number, arguments)


def find(name: str, stages: Sequence[Stage]) -> int | None:
    """The number of the stage that a name or number means; the last of several."""
    if name.isdecimal() and int(name) < len(stages):
        return int(name)
    return next((s.number for s in reversed(stages) if s.name and s.name == name.lower()), None)


def _arguments(
    file: Containerfile, given: Mapping[str, str], predefined: Mapping[str, str]
) -> tuple[dict[str, str], list[Instruction]]:
    """The values of the ARGs before the first FROM, and the instructions from it on."""
    values = dict(predefined)
    for position, instruction in enumerate(file.instructions):
        if instruction.name == "FROM":
            return values, list(file.instructions[position:])
        if instruction.name != "ARG":
            raise at(instruction.line, f"{instruction.name} before the first FROM")
        for name, default in arguments_of(instruction, values, file.escape):
            values[name] = given.get(name, default or "")
    raise BuildError("the Containerfile has no FROM")


def arguments_of(
    instruction: Instruction, variables: Mapping[str, str], escape: str
) -> list[tuple[str, str | None]]:
    """Names and defaults that an ARG declares."""
    declared: list[tuple[str, str | None]] = []
    for word in words.split(instruction.text, escape):
        name, equals, value = word.partition("=")
        declared.append((name, words.expand(value, variables, escape) if equals else None))
    return declared


def _groups(instructions: list[Instruction]) -> list[list[Instruction]]:
    groups: list[list[Instruction]] = []
    for instruction in instructions:
        if instruction.name == "FROM":
            groups.append([])
        groups[-1].append(instruction)
    return groups


def _stage(
    group: list[Instruction], earlier: list[Stage], arguments: Mapping[str, str], escape: str
) -> Stage:
    head, number = group[0], len(earlier)
    parts = words.split(head.text, escape)
    if len(parts) not in (1, 3) or (len(parts) == 3 and parts[1].upper() != "AS"):
        raise at(head.line, "expected FROM IMAGE [AS NAME]")
    _check_flags(head, arguments, escape)
    base = words.expand(parts[0], arguments, escape)
    if not base:
        raise at(head.line, f"the image {parts[0]} is an empty name")
    sources = [base, *_sources(group[1:])]
    needed = (find(source, earlier) for source in sources)
    needs = frozenset(number for number in needed if number is not None)
    name = parts[2].lower() if len(parts) == 3 else ""
    return Stage(number, name, base, head.line, tuple(group[1:]), needs)


def _check_flags(head: Instruction, arguments: Mapping[str, str], escape: str) -> None:
    for key, value in head.flags:
        if key != "platform":
            raise at(head.line, f"FROM has no option --{key}")
        ours = f"{arguments['BUILDOS']}/{arguments['BUILDARCH']}"
        system, _, rest = words.expand(value, arguments, escape).partition("/")
        machine = rest.partition("/")[0]
        if f"{system}/{MACHINES.get(machine, machine)}" != ours:
            raise at(head.line, f"--platform={value} cannot be built here: this machine is {ours}")


def _sources(instructions: list[Instruction]) -> list[str]:
    """What `--from` and `RUN --mount=from=` name."""
    sources = [i.flag("from") for i in instructions if i.name in ("COPY", "ADD")]
    for instruction in instructions:
        for key, value in instruction.flags:
            options = value.split(",") if key == "mount" else []
            sources += [o.removeprefix("from=") for o in options if o.startswith("from=")]
    return [source for source in sources if source]
