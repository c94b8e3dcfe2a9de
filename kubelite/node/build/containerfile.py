"""Reads a Containerfile into instructions.  Pure.

The grammar is that of Dockerfiles: comments, lines continued with a backslash or the character of
the `escape` directive, flags, the JSON form, here-documents.  No library on PyPI reads
here-documents and flags; what a word means is in `words`.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from kubelite.node.build.errors import BuildError, at

_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*")
_HEREDOC = re.compile(r"(?<![<\w])\d*<<(-?)(['\"]?)([A-Za-z_][A-Za-z0-9_.]*)\2")
_FLAG = re.compile(r"--([a-z][a-z-]*)(?:=((?:\"[^\"]*\"|'[^']*'|\S)*))?(?:\s+|$)")
_WITH_FLAGS = frozenset({"ADD", "COPY", "FROM", "HEALTHCHECK", "RUN"})
_WITH_HEREDOCS = frozenset({"ADD", "COPY", "ONBUILD", "RUN"})
_WITH_JSON = frozenset({"ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME"})
NAMES = frozenset(
    "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL"
    " STOPSIGNAL USER VOLUME WORKDIR".split()
)


class Heredoc(NamedTuple):
    """A here-document; `expands` tells that variables in it stand for their values."""

    name: str
    content: str
    expands: bool


class Instruction(NamedTuple):
    """One instruction.  `text` is what follows the flags, `items` the same where it is JSON."""

    line: int
    name: str
    flags: tuple[tuple[str, str], ...]
    text: str
    items: tuple[str, ...] | None
    heredocs: tuple[Heredoc, ...]

    def flag(self, name: str, default: str = "") -> str:
        """The value of a flag that is given once."""
        return next((value for key, value in self.flags if key == name), default)

    def is_on(self, name: str) -> bool:
        """Whether a flag that may stand alone is given."""
        return any(key == name and value != "false" for key, value in self.flags)

    @property
    def shown(self) -> str:
        """The instruction in one line."""
        flags = "".join(f" --{key}{f'={value}' if value else ''}" for key, value in self.flags)
        return f"{self.name}{flags} {self.text}"


class Containerfile(NamedTuple):
    """All instructions, and the character that escapes."""

    instructions: tuple[Instruction, ...]
    escape: str


def parse(text: str) -> Containerfile:
    """Read a Containerfile. Raises BuildError with the line of what cannot be read."""
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    escape = _escape(lines)
    reader = _Lines(lines, escape)
    instructions = []
    while (logical := reader.logical()) is not None:
        line, content = logical
        instructions.append(_instruction(line, content, reader))
    if not instructions:
        raise BuildError("the Containerfile holds no instruction")
    return Containerfile(tuple(instructions), escape)


def instruction_of(line: int, text: str) -> Instruction:
    """One instruction by itself, as ONBUILD keeps it. Raises BuildError."""
    head, *documents = text.split("\n")
    return _instruction(line, head, _Lines(documents, "\\"))


def _escape(lines: list[str]) -> str:
    """The escape character that a directive at the top sets."""
    for number, line in enumerate(lines, 1):
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None:
            break
        if match[1].lower() == "escape":
            if match[2] not in ("\\", "`"):
                raise at(number, "the escape character is \\ or `")
            return match[2]
    return "\\"


class _Lines:
    """The lines of the file from the current one on."""

    def __init__(self, lines: list[str], escape: str) -> None:
        self._lines = lines
        self._next = 0
        self._continued = re.compile(rf"{re.escape(escape)}[ \t]*$")

    def logical(self) -> tuple[int, str] | None:
        """The next instruction with all its lines joined, and the number of its first."""
        while self._next < len(self._lines) and _is_empty(self._lines[self._next]):
            self._next += 1
        if self._next >= len(self._lines):
            return None
        first, joined, more = self._next + 1, "", True
        while more and self._next < len(self._lines):
            line = self._lines[self._next]
            self._next += 1
            if joined and _is_empty(line):
                continue
            joined += self._continued.sub("", line) if joined else line.lstrip()
            if joined and self._continued.search(joined):
                joined = self._continued.sub("", joined)
            else:
                more = self._continued.search(line) is not None
        return first, joined.strip()

    def heredoc(self, line: int, name: str, strip: bool) -> str:
        """The lines up to the one that is the name of a here-document."""
        content: list[str] = []
        while self._next < len(self._lines):
            text = self._lines[self._next]
            self._next += 1
            text = text.lstrip("\t") if strip else text
            if text == name:
                return "".join(f"{part}\n" for part in content)
            content.append(text)
        raise at(line, f"the here-document {name} has no end")


def _is_empty(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _instruction(line: int, content: str, lines: _Lines) -> Instruction:
    word, *parts = content.split(maxsplit=1)
    name, rest = word.upper(), "".join(parts).strip()
    if name not in NAMES:
        raise at(line, f"there is no instruction {word}")
    flags: list[tuple[str, str]] = []
    while name in _WITH_FLAGS and (match := _FLAG.match(rest)):
        flags.append((match[1], match[2] or ""))
        rest = rest[match.end() :]
    heredocs = []
    if name in _WITH_HEREDOCS:
        for strip, quote, delimiter in _HEREDOC.findall(rest):
            body = lines.heredoc(line, delimiter, bool(strip))
            heredocs.append(Heredoc(delimiter, body, not quote))
    if not rest and name not in ("CMD", "ENTRYPOINT"):
        raise at(line, f"{name} needs an argument")
    items = _items(rest) if name in _WITH_JSON or name == "HEALTHCHECK" else None
    return Instruction(line, name, tuple(flags), rest, items, tuple(heredocs))


def _items(text: str) -> tuple[str, ...] | None:
    """The JSON form; what only looks like it is text, as in docker."""
    if not text.startswith("["):
        return None
    try:
        items = json.loads(text)
    except ValueError:
        return None
    is_texts = isinstance(items, list) and all(isinstance(item, str) for item in items)
    return tuple(items) if is_texts else None
