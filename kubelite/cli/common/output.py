"""Renders data: tables, JSON, YAML and names. Pure.

Machine output is complete and plain: never colored, never cut to the width of a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kubelite.cli.common.command import Document, Output
from kubelite.cli.common.diagnostic import cell

_ESCAPED_IN_JSON = "<>&"
"""As Go's encoder does, and so kubectl."""


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
    """``data``, made of dicts, lists and plain values, as JSON or YAML. What is not printable is
    escaped: C1 controls, bidirectional and zero-width characters among it.
    """
    if format.value == "yaml":
        return _yaml(data)
    import json

    text = json.dumps(data, indent=4, ensure_ascii=False, sort_keys=True) + "\n"
    for character in _ESCAPED_IN_JSON:
        text = text.replace(character, f"\\u{ord(character):04x}")
    return _escaped(text, lambda character: json.dumps(character)[1:-1])


def _escaped(text: str, escape: Callable[[str], str]) -> str:
    """``escape`` is called for characters of quoted strings only: nothing else in these documents
    is not printable.
    """
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(c if c.isprintable() or c == "\n" else escape(c) for c in text)


def _yaml(data: Any) -> str:
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        """Chooses the style of strings as kubectl does."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def represent(dumper: Any, text: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_yaml_style(text))

    Dumper.add_representer(str, represent)
    text = yaml.dump(
        data, Dumper=Dumper, default_flow_style=False, allow_unicode=True, width=1 << 20
    )
    return _escaped(text, lambda character: f"\\U{ord(character):08X}")


def _yaml_style(text: str) -> str | None:
    """The style of a string: double quotes where something has to be escaped, and where the plain
    text would be read as something else; a block for several lines; None leaves the choice.
    """
    if not all(c.isprintable() or c == "\n" for c in text):
        return '"'
    if "\n" in text:
        return "|"
    from kubelite.lib.manifest_yaml import is_text

    return None if is_text(text) else '"'


def as_list(items: list[Any]) -> dict[str, Any]:
    """Several objects as kubectl wraps them."""
    return {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}
