"""Server-side tables as kubectl lays them out. Pure.

The rules are those of kubectl's printer: columns padded by three spaces to at least six, the last
one not at all; cells end at their first line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from kubelite.cli.common.diagnostic import clean
from kubelite.lib.json import Object

_PADDING, _LEAST = 3, 6


class Style(NamedTuple):
    """What is shown besides the usual columns. ``prefix`` is the type's label where objects of
    several types are shown.
    """

    wide: bool = False
    namespaces: bool = False
    labels: bool = False
    label_columns: tuple[str, ...] = ()
    headers: bool = True
    prefix: str = ""


class Columns:
    """The widths of a table's columns, which never become less as rows are added."""

    def __init__(self) -> None:
        self._widths: list[int] = []

    def text(self, rows: Sequence[Sequence[str]]) -> str:
        """The lines of rows that have equally many cells, each with a newline."""
        needed = [max(map(len, column)) + _PADDING for column in zip(*rows, strict=True)]
        before = self._widths or [_LEAST] * len(needed)
        self._widths = [max(pair) for pair in zip(needed, before, strict=True)]
        return "".join(
            "".join(
                text.ljust(width) for text, width in zip(row[:-1], self._widths[:-1], strict=True)
            )
            + f"{row[-1]}\n"
            for row in rows
        )


def rows(tables: Sequence[Object], style: Style) -> list[list[str]]:
    """The cells of Tables of one resource, headers first."""
    lines: list[list[str]] = []
    definitions: list[Object] = []
    for table in tables:
        definitions = table.get("columnDefinitions") or definitions
        shown = [
            number
            for number, column in enumerate(definitions)
            if style.wide or not column.get("priority")
        ]
        if style.headers and not lines:
            lines.append(_headers([str(definitions[number]["name"]) for number in shown], style))
        for row in table.get("rows") or ():
            cells = [_cell(row["cells"][number]) for number in shown]
            lines.append(_row(cells, row["object"]["metadata"], style))
    return lines


def _headers(names: Sequence[str], style: Style) -> list[str]:
    return [
        *(["NAMESPACE"] if style.namespaces else ()),
        *(name.upper() for name in names),
        *(label.rpartition("/")[2].upper() for label in style.label_columns),
        *(["LABELS"] if style.labels else ()),
    ]


def _row(cells: list[str], metadata: Object, style: Style) -> list[str]:
    labels = metadata.get("labels") or {}
    if style.prefix:
        cells[0] = f"{style.prefix}/{cells[0]}"
    pairs = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return [
        *([str(metadata.get("namespace") or "")] if style.namespaces else ()),
        *cells,
        *(str(labels.get(label, "")) for label in style.label_columns),
        *([pairs or "<none>"] if style.labels else ()),
    ]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    first, newline, _ = str(value).partition("\n")
    return clean(first + ("..." if newline else ""))
