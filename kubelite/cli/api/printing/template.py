"""JSONPath templates as ``-o jsonpath=`` has them. Pure.

``{.items[*].metadata.name}``, ``{range .items[*]}{.metadata.name}{"\\n"}{end}``, and text around
them. Paths are those of :mod:`kubelite.control.api.schema.jsonpath`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from kubelite.control.api.schema import jsonpath

_PIECE = re.compile(
    r"""\{(?P<block>(?:"(?:\\.|[^"])*"|'(?:\\.|[^'])*'|[^{}"'])*)\}|(?P<text>[^{]+)"""
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class Text(NamedTuple):
    """Text that is shown as it is."""

    text: str


class Path(NamedTuple):
    """A path whose values are shown."""

    path: str


class Range(NamedTuple):
    """A part that is shown for every value of a path."""

    path: str
    body: list[Text | Path | Range]


Part = Text | Path | Range


def parse(template: str) -> list[Part]:
    """The parts of a template. Raises ValueError with a sentence."""
    open_parts: list[list[Part]] = [[]]
    ranges: list[str] = []
    position = 0
    while position < len(template):
        match = _PIECE.match(template, position)
        if match is None:
            raise ValueError(f"the template has a brace that is not closed: {template[position:]}")
        position = match.end()
        if match["block"] is None:
            open_parts[-1].append(Text(match["text"]))
            continue
        block = match["block"].strip()
        if block.startswith("range ") or block == "range":
            ranges.append(_path(block.removeprefix("range")))
            open_parts.append([])
        elif block == "end":
            if not ranges:
                raise ValueError("the template has an {end} without {range}")
            body = open_parts.pop()
            open_parts[-1].append(Range(ranges.pop(), body))
        elif block[:1] in ("'", '"') and block[-1:] == block[:1] and len(block) > 1:
            open_parts[-1].append(Text(_unescaped(block[1:-1])))
        else:
            open_parts[-1].append(Path(_path(block)))
    if ranges:
        raise ValueError("the template has a {range} without {end}")
    return open_parts[0]


def _path(text: str) -> str:
    jsonpath.parse(text.strip())
    return text.strip()


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text)


def expand(parts: list[Part], value: Any) -> str:
    """The text of a template for a document; a path that leads nowhere is empty."""
    return "".join(_expanded(parts, value))


def _expanded(parts: list[Part], value: Any) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Text):
            yield part.text
        elif isinstance(part, Path):
            yield " ".join(shown(item) for item in jsonpath.find(part.path, value))
        else:
            for item in jsonpath.find(part.path, value):
                yield from _expanded(part.body, item)


def shown(value: Any) -> str:
    """A value in a template or a custom column."""
    return value if isinstance(value, str) else jsonpath.printed(value)
