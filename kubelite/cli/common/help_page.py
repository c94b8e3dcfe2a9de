"""Help pages, laid out for the width of the terminal. Pure.

Written from the declarations of :mod:`kubelite.cli.common.command`, so that they need no parser
library, are there at once, and are readable in 40 columns.
"""

from __future__ import annotations

import enum
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from kubelite.cli.common.command import (
    GLOBAL_OPTIONS,
    Argument,
    Command,
    Commands,
    Option,
    Parameter,
    Usage,
    parameters,
)

_TITLE = "Run Kubernetes pods natively, in milliseconds, without Docker."
_VARIABLES = (
    "Each option can also be set by an environment variable: KUBELITE_ROOT, KUBELITE_NAMESPACE,"
    " KUBELITE_POD_LOGS_TAIL."
)
_MAX_WIDTH = 100
_MAX_TERM = 30
_NARROW = 60


def of_program(groups: Mapping[str, str], commands: Commands, width: int) -> str:
    """The page of ``kubelite --help``."""
    of_a_cluster = {
        name.partition(" ")[0] for name, row in commands.items() if row.module.startswith("api.")
    }
    rows = dict(groups) | {name: row.summary for name, row in commands.items() if " " not in name}
    return _page(
        width,
        "kubelite [OPTIONS] COMMAND [ARGS]...",
        _TITLE,
        ("Commands", [row for row in rows.items() if row[0] not in of_a_cluster]),
        (
            "Commands of a cluster, as kubectl's",
            [row for row in rows.items() if row[0] in of_a_cluster],
        ),
        ("Global options (anywhere before --)", _global_options()),
        _VARIABLES,
        examples=("kubelite pod up web.yaml", "kubelite pod --help"),
    )


def of_group(group: str, summary: str, commands: Commands, width: int) -> str:
    """The page of ``kubelite GROUP --help``."""
    rows = []
    for name, command in commands.items():
        if name.startswith(f"{group} ") and not command.alias_of:
            others = [
                other.rpartition(" ")[2] for other, row in commands.items() if row.alias_of == name
            ]
            also = f" (also: {', '.join(others)})" if others else ""
            rows.append((name.removeprefix(f"{group} "), command.summary + also))
    return _page(
        width,
        f"kubelite {group} COMMAND [ARGS]...",
        summary,
        ("Commands", rows),
        f"`kubelite {group} COMMAND --help` shows options and examples.",
    )


def of_command(name: str, command: Command, function: Any, width: int) -> str:
    """The page of one command."""
    declared = parameters(function)
    operands = [parameter for parameter in declared if isinstance(parameter.declaration, Argument)]
    options = [parameter for parameter in declared if isinstance(parameter.declaration, Option)]
    words = [
        "kubelite",
        name,
        *(["[OPTIONS]"] if options else []),
        *(operand.declaration.metavar for operand in operands),
    ]
    more: Usage = getattr(function, "usage", Usage(()))
    return _page(
        width,
        " ".join(words),
        command.summary,
        more.notes,
        (
            "Arguments",
            [(operand.declaration.metavar, operand.declaration.help) for operand in operands],
        ),
        ("Options", [(spelling(option), _explained(option)) for option in options]),
        "Global options such as --root and --namespace: see `kubelite --help`.",
        examples=more.examples,
    )


def _global_options() -> list[tuple[str, str]]:
    rows = [
        (_spelled(option, "" if not option.metavar else option.metavar), option.help)
        for option in GLOBAL_OPTIONS.values()
    ]
    return [*rows, ("--version", "Print the version and exit."), ("-h, --help", "Show this page.")]


def spelling(parameter: Parameter) -> str:
    """An option as its help page shows it: ``-o, --output table|json``."""
    option = parameter.declaration
    assert isinstance(option, Option)
    return _spelled(option, option.metavar or _value(parameter))


def _spelled(option: Option, value: str) -> str:
    names = sorted(option.names.split(), key=lambda name: (name.startswith("--"), name))
    return " ".join([", ".join(names), *([value] if value else [])])


def choices(kind: Any) -> list[str]:
    """The values of a parameter whose type is an enumeration, optional or not; else empty."""
    for candidate in (kind, *getattr(kind, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, enum.Enum):
            return [str(member.value) for member in candidate]
    return []


def _value(parameter: Parameter) -> str:
    names = getattr(parameter.type, "__args__", (parameter.type,))
    if bool in names or (
        isinstance(parameter.declaration, Option) and parameter.declaration.counted
    ):
        return ""
    return "|".join(choices(parameter.type)) or ("N" if int in names else "TEXT")


def _explained(parameter: Parameter) -> str:
    option = parameter.declaration
    default = parameter.default
    if not isinstance(option, Option) or not option.show_default:
        return option.help
    if default in (None, False, ..., "", -1) or default == ():
        return option.help
    shown = "on" if default is True else getattr(default, "value", default)
    return f"{option.help} (default: {shown})"


_Section = str | tuple[str, Sequence[tuple[str, str]]]


def _page(
    width: int, synopsis: str, summary: str, *sections: _Section, examples: Sequence[str] = ()
) -> str:
    width = min(max(width, 20), _MAX_WIDTH)
    parts = [_wrapped(synopsis, width, "Usage: ", " " * 7), _wrapped(summary, width)]
    for section in sections:
        if isinstance(section, str):
            parts += [_wrapped(section, width)] if section else []
        elif section[1]:
            parts.append(f"{section[0]}:\n" + _rows(section[1], width))
    if examples:
        # Never wrapped: a command line is there to be copied.
        parts.append("Examples:\n" + "\n".join(f"  {line}" for line in examples))
    return "\n\n".join(parts) + "\n"


def _rows(rows: Sequence[tuple[str, str]], width: int) -> str:
    """Terms and their meaning: in two columns, or below each other where there is little room."""
    column = min(max(len(term) for term, _ in rows), _MAX_TERM)
    lines = []
    for term, text in rows:
        if width < _NARROW or len(term) > column:
            lines.append(f"  {term}")
            indent = " " * (6 if width < _NARROW else column + 4)
            lines.append(_wrapped(text, width, indent, indent))
        else:
            first = f"  {term:<{column}}  "
            lines.append(_wrapped(text, width, first, " " * len(first)))
    return "\n".join(lines)


def _wrapped(text: str, width: int, first: str = "", rest: str = "") -> str:
    return textwrap.fill(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
