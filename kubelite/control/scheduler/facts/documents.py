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
    found = [each for value in _values(text, name) for each in _flat(value, name)]
    for number, each in enumerate(found, 1):
        if not isinstance(each.setdefault("kind", absent), str) or not each["kind"]:
            raise BadObject(f"{name}: object {number} has no kind")
    return found


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
    decode, at = json.JSONDecoder().raw_decode, _end_of_space(text, 0)
    while at < len(text):
        value, at = decode(text, at)
        yield value
        at = _end_of_space(text, at)


def _end_of_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _yaml(text: str, name: str, line: int) -> Iterator[Any]:
    try:
        for each in manifest_yaml.documents(text):
            yield each.value
    except manifest_yaml.YamlError as wrong:
        where = f"{name}:{line + wrong.place.line}:{wrong.place.column}" if wrong.place else name
        raise BadObject(f"{where}: {wrong}") from None


def _flat(value: Any, name: str) -> Iterator[dict[str, Any]]:
    if value is None:
        return
    if isinstance(value, list):
        for each in value:
            yield from _flat(each, name)
    elif not isinstance(value, dict):
        raise BadObject(f"{name}: {str(value)[:40]!r} is no object")
    elif isinstance(value.get("items"), list) and str(value.get("kind", "List")).endswith("List"):
        kind = str(value.get("kind", "List")).removesuffix("List")
        for each in value["items"]:
            if kind and isinstance(each, dict):
                each.setdefault("kind", kind)
            yield from _flat(each, name)
    else:
        yield value
