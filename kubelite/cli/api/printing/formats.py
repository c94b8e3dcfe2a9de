"""The values of ``-o``: which form of objects is wanted, and objects in it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from kubelite.cli.api.printing import template
from kubelite.cli.api.printing.table import Columns
from kubelite.cli.common import output
from kubelite.cli.common.command import Document
from kubelite.cli.common.diagnostic import cell
from kubelite.control.api.schema import jsonpath
from kubelite.lib.json import Object

_WITH_ARGUMENT = ("jsonpath", "custom-columns")
NAMES = ("json", "yaml", "name", "wide", *_WITH_ARGUMENT)


class Format(NamedTuple):
    """A form of output, ``name`` "" for the table of the server, and its argument."""

    name: str = ""
    argument: str = ""

    @property
    def is_table(self) -> bool:
        return self.name in ("", "wide")


def parse(text: str) -> Format:
    """The form that a value of ``-o`` means. Raises ValueError with a sentence."""
    name, equals, argument = text.partition("=")
    if text and (name not in NAMES or bool(equals) != (name in _WITH_ARGUMENT)):
        raise ValueError(f"{text!r} is no output format: one of {', '.join(NAMES)}")
    if name == "jsonpath":
        template.parse(argument)
    if name == "custom-columns":
        _column_paths(argument)
    return Format(name, argument)


def without_managed_fields(obj: Object) -> Object:
    """The object as it is shown: who manages which field is left out, here and in its items."""
    shown = dict(obj)
    if isinstance(shown.get("metadata"), dict):
        metadata = shown["metadata"]
        shown["metadata"] = {key: metadata[key] for key in metadata if key != "managedFields"}
    if isinstance(shown.get("items"), list):
        shown["items"] = [without_managed_fields(item) for item in shown["items"]]
    return shown


def text(obj: Object, format: Format, *, managed_fields: bool = False, headers: bool = True) -> str:
    """An object or a list as JSON, YAML, by a template or in columns."""
    shown = obj if managed_fields else without_managed_fields(obj)
    if format.name in ("json", "yaml"):
        return output.document(shown, Document(format.name))
    if format.name == "jsonpath":
        return template.expand(template.parse(format.argument), shown)
    items: Sequence[Object] = shown["items"] if str(obj.get("kind")).endswith("List") else [shown]
    return _columns(items, format.argument, headers)


def _column_paths(argument: str) -> list[tuple[str, str]]:
    columns = [entry.partition(":") for entry in argument.split(",")]
    for title, colon, path in columns:
        if not title or not colon or not path:
            raise ValueError(
                f"custom-columns={argument}: expected TITLE:PATH, such as NAME:.metadata.name"
            )
        jsonpath.parse(_dotted(path))
    return [(title, _dotted(path)) for title, _, path in columns]


def _dotted(path: str) -> str:
    inner = path.removeprefix("{").removesuffix("}")
    return inner if inner.startswith(".") else f".{inner}"


def _columns(items: Sequence[Object], argument: str, headers: bool) -> str:
    columns = _column_paths(argument)
    lines = [[title for title, _ in columns]] if headers else []
    lines += [[_cell(jsonpath.find(path, item)) for _, path in columns] for item in items]
    return Columns().text(lines) if lines else ""


def _cell(values: list[Any]) -> str:
    shown = [value for value in values if value is not None]
    return cell(",".join(template.shown(value) for value in shown)) or "<none>"
