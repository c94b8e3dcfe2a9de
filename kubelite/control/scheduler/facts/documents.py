"""Objects out of files: any mix of YAML documents, JSON values, Lists and arrays. Pure.

JSON goes a fast way of its own, since that is what large dumps are written in; YAML is read as
kubectl reads it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from kubelite.control.scheduler.facts.errors import BadObject
from kubelite.lib import manifest_yaml

_SEPARATOR = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_SPACE = re.compile(r"\s*")


def objects(data: bytes, name: str, absent: str = "") -> list[dict[str, Any]]:
    """The objects of a file in order; ``absent`` is the kind of those that do not say theirs.
    Raises BadObject.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadObject(f"{name} is not UTF-8 text") from None
    objs = [obj for value in _values(text, name) for obj in _flat(value, name)]
    for number, obj in enumerate(objs, 1):
        if not isinstance(obj.setdefault("kind", absent), str) or not obj["kind"]:
            raise BadObject(f"{name}: object {number} has no kind")
    return objs


def _values(text: str, name: str) -> Iterator[Any]:
    line = 0
    for part in _SEPARATOR.split(text):
        yield from (
            _json(part)
            if part.lstrip()[:1] in ("{", "[") and _is_json(part)
            else _yaml(part, name, line)
        )
        line += part.count("\n")


def _is_json(text: str) -> bool:
    try:
        for _ in _json(text):
            pass
    except ValueError:
        return False
    return True


def _json(text: str) -> Iterator[Any]:
    decode, position = json.JSONDecoder().raw_decode, _end_of_space(text, 0)
    while position < len(text):
        value, position = decode(text, position)
        yield value
        position = _end_of_space(text, position)


def _end_of_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _yaml(text: str, name: str, line: int) -> Iterator[Any]:
    try:
        for document in manifest_yaml.documents(text):
            yield document.value
    except manifest_yaml.YamlError as wrong:
        where = f"{name}:{line + wrong.place.line}:{wrong.place.column}" if wrong.place else name
        raise BadObject(f"{where}: {wrong}") from None


def _flat(value: Any, name: str) -> Iterator[dict[str, Any]]:
    if value is None:
        return
    if isinstance(value, list):
        for item in value:
            yield from _flat(item, name)
    elif not isinstance(value, dict):
        raise BadObject(f"{name}: {str(value)[:40]!r} is no object")
    elif isinstance(value.get("items"), list) and str(value.get("kind", "List")).endswith("List"):
        kind = str(value.get("kind", "List")).removesuffix("List")
        for item in value["items"]:
            if kind and isinstance(item, dict):
                item.setdefault("kind", kind)
            yield from _flat(item, name)
    else:
        yield value
