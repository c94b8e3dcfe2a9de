"""Renders data: tables, JSON, YAML and names. Pure.

Machine output is complete and plain: never colored, never cut to the width of a terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubelite.cli.common.command import Document, Output
from kubelite.cli.common.diagnostic import cell


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns three spaces apart, as kubectl prints them; each line ends with a
    newline.
    """
    cells = [list(headers), *([cell(text) for text in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    lines = (
        "   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        for row in cells
    )
    return "".join(line.rstrip() + "\n" for line in lines)


def document(data: Any, format: Output | Document) -> str:
    """``data``, made of dicts, lists and plain values, as JSON or YAML."""
    if format.value == "yaml":
        return _yaml(data)
    import json

    return json.dumps(data, indent=4, ensure_ascii=False) + "\n"


def _yaml(data: Any) -> str:
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text = yaml.dump(
        data, Dumper=dumper, default_flow_style=False, allow_unicode=True, width=1 << 20
    )
    return str(text)


def as_list(items: list[Any]) -> dict[str, Any]:
    """Several objects as kubectl wraps them."""
    return {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}
