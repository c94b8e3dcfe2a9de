"""``system info``: what this machine offers, and what is missing."""

from __future__ import annotations

import sys
from typing import Annotated, Any

from kubelite.cli.common import output
from kubelite.cli.common.command import Document, Option, Settings, usage
from kubelite.cli.common.diagnostic import cell
from kubelite.cli.common.engine import open_pods
from kubelite.cli.common.screen import Screen

DOCUMENT = Option("--output -o", "Output format: json or yaml.")


@usage("kubelite system info", "kubelite system info -o json")
def info(settings: Settings, *, format: Annotated[Document | None, DOCUMENT] = None) -> int:
    """Prints versions, kernel features, cgroups and paths, with the reason for what is missing."""
    from kubelite import __version__

    screen = Screen(settings)
    facts = {
        "version": __version__,
        "python": sys.version.split()[0],
        **open_pods(settings, screen).queries.info(),
    }
    screen.data(pretty(facts) if format is None else output.document(facts, format))
    return 0


def pretty(facts: dict[str, Any]) -> str:
    """Nested facts as aligned lines: members are indented below their name."""
    return "".join(line + "\n" for line in _lines(facts, 0))


def _lines(facts: dict[str, Any], depth: int) -> list[str]:
    names = {key: cell(str(key)).replace("_", " ") for key in facts}
    width = max((len(name) for name in names.values()), default=0)
    lines: list[str] = []
    for key, value in facts.items():
        indent = "  " * depth
        if isinstance(value, dict) and value:
            lines += [f"{indent}{names[key]}", *_lines(value, depth + 1)]
        else:
            first, *others = _values(value)
            lines.append(f"{indent}{names[key]:<{width}}  {first}".rstrip())
            lines += [f"{indent}{'':<{width}}  {other}" for other in others]
    return lines


def _values(value: Any) -> list[str]:
    """A line for each sentence of a list; otherwise one."""
    if isinstance(value, (list, tuple)) and any(" " in str(item) for item in value):
        return [_value(item) for item in value]
    return [_value(value)]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ("", [], (), {}):
        return "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(_value(item) for item in value)
    return cell(str(value))
