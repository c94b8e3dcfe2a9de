"""YAML as kubectl reads it, with the position of every key and value. Pure.

kubectl reads manifests with an early YAML 1.1 reader and turns them into JSON. So ``yes`` and
``on`` are true, ``0644`` is 420, ``22:22`` and dates are texts, ``1e3`` is 1000, a key ``1`` is the
text "1", and a value with an unknown tag is a text. JSON is read too, as a subset, and so are JSON
objects one after another. Unlike kubectl this reader refuses duplicate keys.

The parser is libyaml's, through PyYAML, as a stream of events: nothing here recurses, and size,
depth and the number of values (an alias counts as all values it expands to) are bounded, so that no
text can exhaust time or memory.
"""

from __future__ import annotations

import base64
import binascii
import re
from contextlib import suppress
from typing import Any, ClassVar, NamedTuple

import yaml

MAX_BYTES = 4 << 20
MAX_NODES = 200_000
MAX_DEPTH = 100

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNKNOWN_ESCAPE = "found unknown escape character"
_TAG = "tag:yaml.org,2002:"
_SCALARS = ("int", "float", "bool", "null", "timestamp")
_MERGE = object()
_KEYWORDS: dict[str, bool | None] = {
    **dict.fromkeys(
        ("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"), True
    ),
    **dict.fromkeys(
        ("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"), False
    ),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
}
_NOT_IN_JSON = frozenset(
    (
        ".inf",
        ".Inf",
        ".INF",
        "+.inf",
        "+.Inf",
        "+.INF",
        "-.inf",
        "-.Inf",
        "-.INF",
        ".nan",
        ".NaN",
        ".NAN",
    )
)
# Compiled when first needed: most manifests do not need them, and compiling takes longer than
# reading a manifest.
_INTEGER = r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([1-9][0-9]*|0))"
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
_TIME_OR_BASE_60 = (
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ][0-9: .+Zz-]+)?$"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$"
)
# JSON escapes a character outside the basic plane as two surrogates; YAML accepts neither.
_PAIR = r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"

Path = tuple[str | int, ...]


class Place(NamedTuple):
    """A position in the text, counted from 1."""

    line: int
    column: int


_START = Place(1, 1)


class YamlError(ValueError):
    """The text cannot be read; the message is one sentence, ``place`` its position, or None for the
    whole text.
    """

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(message)
        self.place = place


class Document:
    """One document: its value, of dict, list, str, int, float, bool and None, and the position of
    each part.

    Values of aliases are shared objects: read them, do not change them.
    """

    def __init__(
        self, value: Any, places: dict[Path, tuple[Place, Place]], links: dict[Path, Path]
    ) -> None:
        self.value = value
        self._places = places
        self._links = links

    def place(self, path: Path) -> Place:
        """The position of the value at a path; for a missing one, that of its nearest parent."""
        return self._find(path)[1]

    def key_place(self, path: Path) -> Place:
        """The position of the key of that value."""
        return self._find(path)[0]

    def _find(self, path: Path) -> tuple[Place, Place]:
        for end in range(len(path), -1, -1):
            positions = self._places.get(path[:end])
            if positions is not None and end == len(path):
                return positions
            if path[:end] in self._links:
                return self._find(self._links[path[:end]] + path[end:])
            if positions is not None:
                return positions[1], positions[1]
        return Place(1, 1), Place(1, 1)


def documents(text: bytes | str) -> list[Document]:
    """The documents of a text; an empty one has the value None. Raises YamlError."""
    source = _decoded(text)
    try:
        return _read([_Part(source, _START)], _Loader)
    except yaml.YAMLError as error:
        failure = error
    if getattr(failure, "problem", None) == _UNKNOWN_ESCAPE and "\\'" in source:
        try:
            return _read([_Part(source, _START)], _LenientLoader)
        except yaml.YAMLError as error:
            failure = error
    elif objects := _json_objects(source):
        with suppress(yaml.YAMLError):
            return _read(objects, _Loader)
    raise _translated(failure, source) from failure


class _Part(NamedTuple):
    """A part of a text, and where it begins."""

    text: str
    place: Place


class _LenientLoader(yaml.SafeLoader):
    """Takes ``\\'`` in double quotes, as kubectl's reader does and libyaml does not. Slower."""

    ESCAPE_REPLACEMENTS: ClassVar = {  # type: ignore[misc]  # PyYAML's own table is no constant
        **yaml.SafeLoader.ESCAPE_REPLACEMENTS,
        "'": "'",
    }


def _read(parts: list[_Part], loader: Any) -> list[Document]:
    """The documents of parts that hold whole ones. Raises yaml.YAMLError, YamlError."""
    builder = _Builder()
    for part in parts:
        builder.begins = part.place
        parser = loader(_join_surrogates(part.text) + "\n")
        while (event := parser.get_event()) is not None:
            builder.take(event)
    return builder.documents


def _json_objects(text: str) -> list[_Part]:
    """The objects of a text that has nothing but JSON objects one after another; else none."""
    import json

    decode, after_spaces = json.JSONDecoder().raw_decode, re.compile(r"[ \t\r\n]*").match
    parts: list[_Part] = []
    end, place = 0, _START
    while True:
        begins = after_spaces(text, end).end()  # type: ignore[union-attr]  # it always matches
        place = _place_of(text[end:begins], place)
        if begins == len(text):
            return parts
        try:
            end = decode(text, begins)[1] if text[begins] == "{" else 0
        except (ValueError, RecursionError):
            end = 0
        if not end:
            return []
        parts.append(_Part(text[begins:end], place))
        place = _place_of(text[begins:end], place)


def _decoded(text: bytes | str) -> str:
    if len(text) > MAX_BYTES:
        raise YamlError(
            f"it has {len(text) / (1 << 20):.1f} MiB; the limit is {MAX_BYTES >> 20} MiB"
        )
    if isinstance(text, str):
        return text.removesuffix("\n")
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise YamlError("it is UTF-16 text, and a manifest is UTF-8")
    if (offset := text.find(b"\0")) >= 0:
        raise YamlError(f"it is not text: byte {offset} is zero")
    try:
        return text.decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        place = _place_of(text[: error.start].decode())
        raise YamlError(
            f"it is not UTF-8 text: byte {error.start} is 0x{text[error.start]:02x}", place
        ) from error


def _place_of(before: str, begins: Place = _START) -> Place:
    """The place behind a text that begins at a place."""
    lines = before.count("\n")
    column = len(before) - before.rfind("\n") if lines else begins.column + len(before)
    return Place(begins.line + lines, column)


def _join_surrogates(text: str) -> str:
    if "\\ud" not in text and "\\uD" not in text:
        return text

    def joined(match: re.Match[str]) -> str:
        code = 0x10000 + ((int(match[2], 16) - 0xD800) << 10) + int(match[3], 16) - 0xDC00
        return f"{match[1]}\\U{code:08x}"

    return re.sub(_PAIR, joined, text)


def _translated(error: yaml.YAMLError, text: str) -> YamlError:
    """The error as a sentence, with a position inside the text: libyaml may point behind its
    end.
    """
    if isinstance(error, yaml.reader.ReaderError):
        offset = text.find(
            chr(error.character) if isinstance(error.character, int) else str(error.character)
        )
        return YamlError(
            "it is not text: it contains a control character", _place_of(text[:offset])
        )
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or error)
    if problem == "found character that cannot start any token":
        problem = (
            "no value can begin with this character: a tab does not indent, "
            "and a text with @, % or ` needs quotes"
        )
    start = getattr(error, "context_mark", None)
    if start is not None and mark is not None and start.line < mark.line:
        problem += f" {error.context} that begins at line {start.line + 1}"  # type: ignore[attr-defined]
    place = Place(mark.line + 1, mark.column + 1) if mark is not None else None
    if "nesting depth" in problem:  # libyaml counts too, from 0.2.6 on
        return YamlError(f"values are nested more than {MAX_DEPTH} deep", place)
    return YamlError(
        f"it is not YAML: {problem}", min(place, _place_of(text)) if place is not None else None
    )


class _Anchor(NamedTuple):
    value: Any
    path: Path
    nodes: int
    height: int


class _Frame:
    """A mapping or sequence under construction."""

    __slots__ = ("anchor", "first", "height", "key", "keys", "path", "place", "value")

    def __init__(
        self,
        value: dict[str, Any] | list[Any],
        path: Path,
        place: Place,
        anchor: str | None,
        first: int,
    ) -> None:
        self.value = value
        self.path = path
        self.place = place
        self.anchor = anchor
        self.first = first
        self.height = 1
        self.key: Any = None
        self.keys: dict[str, Place] = {}


class _Builder:
    """Builds documents from parser events."""

    def __init__(self) -> None:
        self.documents: list[Document] = []
        self.begins = _START
        """Where in the text the events' own text begins."""
        self._nodes = 0
        self._reset()

    def _reset(self) -> None:
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Anchor | None] = {}
        self._places: dict[Path, tuple[Place, Place]] = {}
        self._links: dict[Path, Path] = {}
        self._root: Any = None

    def take(self, event: Any) -> None:
        mark, begins = event.start_mark, self.begins
        first_column = begins.column if mark.line == 0 else 1
        place = Place(begins.line + mark.line, first_column + mark.column)
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, place)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._begin(
                {} if isinstance(event, yaml.MappingStartEvent) else [], event.anchor, place
            )
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event.anchor or "", place)
        elif isinstance(event, yaml.DocumentEndEvent):
            self.documents.append(Document(self._root, self._places, self._links))
            self._reset()

    def _count(self, nodes: int, place: Place) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise YamlError(
                f"it has more than {MAX_NODES} values, those of expanded aliases included",
                place,
            )

    def _scalar(self, event: Any, place: Place) -> None:
        self._count(1, place)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.value, dict) and frame.key is None:
            merge = event.value == "<<" and (event.implicit[0] or event.tag == _TAG + "merge")
            self._key(frame, _MERGE if merge else _key_text(_value_of(event, place), place), place)
            if event.anchor:
                self._anchors[event.anchor] = _Anchor(event.value, (), 1, 0)
            return
        value = _value_of(event, place)
        path = self._path()
        if event.anchor:
            self._anchors[event.anchor] = _Anchor(value, path, 1, 0)
        self._attach(value, path, place, 0)

    def _key(self, frame: _Frame, key: Any, place: Place) -> None:
        if key is not _MERGE:
            before = frame.keys.get(key)
            if before is not None:
                raise YamlError(
                    f'duplicate key "{key}" (first defined on line {before.line})',
                    place,
                )
            frame.keys[key] = place
        frame.key = key
        frame.place = place

    def _path(self) -> Path:
        """The path of the next value."""
        if not self._stack:
            return ()
        frame = self._stack[-1]
        if isinstance(frame.value, list):
            return (*frame.path, len(frame.value))
        return (*frame.path, "<<" if frame.key is _MERGE else frame.key)

    def _begin(self, value: dict[str, Any] | list[Any], anchor: str | None, place: Place) -> None:
        self._count(1, place)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.value, dict) and frame.key is None:
            raise YamlError("a key must be a single text or number", place)
        if len(self._stack) >= MAX_DEPTH:
            raise YamlError(f"values are nested more than {MAX_DEPTH} deep", place)
        if anchor:
            self._anchors[anchor] = None
        started = _Frame(value, self._path(), place, anchor, self._nodes)
        self._places[started.path] = (self._own_place(place), place)
        self._stack.append(started)

    def _end(self) -> None:
        frame = self._stack.pop()
        if frame.anchor:
            nodes = self._nodes - frame.first + 1
            self._anchors[frame.anchor] = _Anchor(frame.value, frame.path, nodes, frame.height)
        self._attach(frame.value, frame.path, self._places[frame.path][1], frame.height)

    def _alias(self, name: str, place: Place) -> None:
        if name not in self._anchors:
            raise YamlError(f'the alias "*{name}" has no anchor "&{name}" before it', place)
        anchor = self._anchors[name]
        if anchor is None:
            raise YamlError(f'the alias "*{name}" is inside the value it refers to', place)
        self._count(anchor.nodes, place)
        if len(self._stack) + anchor.height > MAX_DEPTH:
            raise YamlError(f"values are nested more than {MAX_DEPTH} deep", place)
        frame = self._stack[-1]
        if isinstance(frame.value, dict) and frame.key is None:
            self._key(frame, _key_text(anchor.value, place), place)
            return
        path = self._path()
        self._links[path] = anchor.path
        self._attach(anchor.value, path, place, anchor.height)

    def _own_place(self, place: Place) -> Place:
        """The position of the key of a value; in a sequence, its own."""
        frame = self._stack[-1] if self._stack else None
        return frame.place if frame is not None and isinstance(frame.value, dict) else place

    def _attach(self, value: Any, path: Path, place: Place, height: int) -> None:
        self._places[path] = (self._own_place(place), place)
        if not self._stack:
            self._root = value
            return
        frame = self._stack[-1]
        frame.height = max(frame.height, height + 1)
        if isinstance(frame.value, list):
            frame.value.append(value)
            return
        if frame.key is _MERGE:
            self._merge(frame, value, path, place)
        else:
            frame.value[frame.key] = value
        frame.key = None

    def _merge(self, frame: _Frame, value: Any, path: Path, place: Place) -> None:
        """Merges one or several mappings into another (``<<``); as in kubectl they replace earlier
        entries.
        """
        sources = [(value, path)] if isinstance(value, dict) else []
        if isinstance(value, list):
            sources = [(item, (*path, index)) for index, item in enumerate(value)]
        if not sources or not all(isinstance(mapping, dict) for mapping, _ in sources):
            raise YamlError("<<: needs a mapping or a list of mappings", place)
        for mapping, origin in reversed(sources):
            self._count(len(mapping), place)
            for key, entry in mapping.items():
                frame.value[key] = entry
                self._links[(*frame.path, key)] = (*origin, key)
                self._places.pop((*frame.path, key), None)


def _key_text(value: Any, place: Place) -> str:
    """A key as JSON has it: a text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or not isinstance(value, int | float):
        raise YamlError("a key must be a text, a number or a boolean", place)
    return f"{value}"


def _value_of(event: Any, place: Place) -> Any:
    """The value of a scalar: by its tag if it has one, by its form if it is plain, else a text."""
    tag: str | None = event.tag
    text: str = event.value
    if tag is None:
        return _plain(text, place) if event.implicit[0] else text
    kind = tag.removeprefix(_TAG)
    if kind == "binary":
        return _binary(text, place)
    if kind not in _SCALARS or not tag.startswith(_TAG):
        return text
    value = _plain(text, place)
    if not _fits(kind, value):
        raise YamlError(f'"{text}" is not of the type !!{kind}', place)
    return value


def _fits(kind: str, value: Any) -> bool:
    if kind == "null":
        return value is None
    if kind == "timestamp":
        return (
            isinstance(value, str)
            and re.match(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}", value) is not None
        )
    if kind == "bool":
        return isinstance(value, bool)
    return isinstance(value, int if kind == "int" else (int, float)) and not isinstance(value, bool)


def is_text(text: str) -> bool:
    """Whether a plain scalar is a text to every reader: neither a number, a boolean, null, a time
    nor a number of base 60.
    """
    if not text or text in _NOT_IN_JSON or re.match(_TIME_OR_BASE_60, text):
        return False
    return isinstance(_plain(text, _START), str)


def _plain(text: str, place: Place) -> Any:
    if text in _KEYWORDS:
        return _KEYWORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if text in _NOT_IN_JSON:
        raise YamlError(f"{text} is not a JSON number: quote it if it is a text", place)
    return _number(text)


def _number(text: str) -> Any:
    """A number, or the text itself if it is none; integral values are ints, as in JSON."""
    digits = text.replace("_", "")
    if (
        len(digits) < 19
        and digits.isdecimal()
        and digits.isascii()
        and (digits[0] != "0" or len(digits) == 1)
    ):
        return int(digits)
    match = re.fullmatch(_INTEGER, digits) if len(digits) < 80 else None
    if match is not None:
        number = _integer(match)
        if -(2**63) <= number < 2**64:
            return number
    if re.fullmatch(_FLOAT, digits) is None:
        return text
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        return text
    return int(value) if value.is_integer() and -(2**63) <= value < 2**63 else value


def _integer(match: re.Match[str]) -> int:
    sign, hexadecimal, binary, octal, decimal = match.groups()
    for digits, base in ((hexadecimal, 16), (binary, 2), (octal, 8), (decimal, 10)):
        if digits is not None:
            return int(sign + digits, base)
    raise AssertionError(match)


def _binary(text: str, place: Place) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode(errors="replace")
    except binascii.Error as error:
        raise YamlError("the value of !!binary is not base64", place) from error
