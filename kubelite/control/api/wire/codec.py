"""Request bodies: bytes and a content type in, plain values out. Pure.

JSON is read by msgspec; it keeps the last of two fields with one name, so the search for duplicates
(only asked for by ``fieldValidation`` Strict and Warn) is a second, slower reading.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kubelite.control.api.wire import protobuf
from kubelite.control.api.wire.status import bad_request, unsupported_media_type

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
MAX_DEPTH = 256
_NAME_END = re.compile(rb'"\s*:')
_ESCAPED_END = re.compile(rb"\\u00(?:22|3[aA])")  # a quote or a colon


class Body(NamedTuple):
    """A decoded body, and the paths of fields that were given twice (``spec.replicas``)."""

    value: Any
    duplicates: tuple[str, ...] = ()


def decode(data: bytes, content_type: str | None) -> Body:
    """The value in a body. Raises StatusError 400 for what cannot be read, 415 for an unknown
    content type.
    """
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind in ("", JSON):
        return Body(read_json(data))
    if kind == PROTOBUF:
        return Body(protobuf.decode(data))
    if kind == YAML:
        return Body(read_yaml(data))
    raise unsupported_media_type((JSON, YAML, PROTOBUF))


def read_json(data: bytes) -> Any:
    """JSON as plain values. Raises StatusError 400."""
    return _json(data, "the body of the request is not valid JSON: ")


def read_patch(data: bytes) -> Any:
    """The same of a patch, of which a refusal says so."""
    return _json(data, "error decoding patch: ")


def _json(data: bytes, refusal: str) -> Any:
    try:
        value = msgspec.json.decode(data)
        return value if data.count(b"{") + data.count(b"[") <= MAX_DEPTH else _shallow(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(refusal + _in_words_of_go(data, str(error))) from None


def _in_words_of_go(data: bytes, error: str) -> str:
    """What Go's decoder says of a text where it has words of its own for what is wrong."""
    if "truncated" in error:
        return "unexpected end of JSON input"
    if (match := re.search(r"invalid character \(byte (\d+)\)", error)) is not None:
        character = chr(data[int(match[1])])
        return f"invalid character {character!r} looking for beginning of value"
    return error


def read_json_or_yaml(data: bytes) -> Any:
    """The body of a server-side apply: said to be YAML, mostly JSON. Raises StatusError 400."""
    return read_json(data) if data.lstrip()[:1] == b"{" else read_yaml(data)


def read_yaml(data: bytes) -> Any:
    """One YAML document as plain values, read as kubectl reads it. Raises StatusError 400."""
    from kubelite.lib import manifest_yaml

    try:
        documents = manifest_yaml.documents(data)
    except manifest_yaml.YamlError as error:
        raise bad_request(f"the body of the request is not valid YAML: {error}") from None
    if len(documents) > 1:
        raise bad_request("the body of the request holds more than one YAML document")
    return documents[0].value if documents else None


def _shallow(value: Any) -> Any:
    """The value itself. Raises StatusError 400 where it is nested more deeply than any Kubernetes
    object is.
    """
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise bad_request(
                f"the body of the request is nested more than {MAX_DEPTH} levels deep"
            )
        level = [child for node in level for child in _children(node)]
    return value


def _children(node: Any) -> list[Any]:
    inside = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [child for child in inside if isinstance(child, dict | list)]


def may_repeat(data: bytes, value: Any) -> bool:
    """Whether a JSON text may name a field of an object twice; ``value`` was read from it.

    False is certain, and found much faster than where: as many names end in the text as in the
    value written again. What looks like an end inside a string counts in both, unless it is
    escaped.
    """
    return len(_NAME_END.findall(data)) != msgspec.json.encode(value).count(b'":') or bool(
        _ESCAPED_END.search(data)
    )


def find_duplicates(data: bytes) -> tuple[str, ...]:
    """Paths of the fields that a JSON body gives twice; none when it cannot be read."""
    try:
        root = json.loads(data, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return ()
    return tuple(dict.fromkeys(_repeated("", root)))


def _repeated(path: str, node: Any) -> Iterator[str]:
    """In the order of the document: where a field is given again."""
    if isinstance(node, _Pairs):
        names: set[str] = set()
        for name, value in node:
            here = _join(path, name)
            if name in names:
                yield here
            names.add(name)
            yield from _repeated(here, value)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _repeated(f"{path}[{index}]", value)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with every field it was given."""
