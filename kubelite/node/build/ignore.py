"""Which files of a build context `.dockerignore` leaves out.  Pure.

Patterns as in docker: one a line, `*` and `?` within a name, `**` across names, `!` for exceptions;
the last that matches a path or a directory above it decides.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import NamedTuple


class Pattern(NamedTuple):
    """One line: what it matches, and whether that is kept."""

    matches: re.Pattern[str]
    is_exception: bool


def parse(text: str) -> tuple[Pattern, ...]:
    """The patterns of a file."""
    patterns = []
    for line in text.splitlines():
        word = line.strip()
        if not word or line.startswith("#"):
            continue
        is_exception = word.startswith("!")
        path = posixpath.normpath(word.removeprefix("!").strip()).lstrip("/")
        if path != ".":
            patterns.append(Pattern(translate(path), is_exception))
    return tuple(patterns)


def is_ignored(path: str, patterns: Iterable[Pattern]) -> bool:
    """Whether a path, relative to the context, is left out."""
    parts = path.split("/")
    above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    ignored = False
    for pattern in patterns:
        if any(pattern.matches.fullmatch(name) for name in above):
            ignored = not pattern.is_exception
    return ignored


def translate(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression for whole paths."""
    result, position = "", 0
    while position < len(pattern):
        if pattern.startswith("**/", position):
            result, position = f"{result}(?:.*/)?", position + 3
        elif pattern.startswith("**", position):
            result, position = f"{result}.*", position + 2
        elif pattern[position] == "\\" and position + 1 < len(pattern):
            result, position = result + re.escape(pattern[position + 1]), position + 2
        elif (group := re.compile(r"\[\^?[^]/]+\]").match(pattern, position)) is not None:
            result, position = result + group[0], group.end()
        else:
            special = {"*": "[^/]*", "?": "[^/]"}
            char = pattern[position]
            result, position = result + special.get(char, re.escape(char)), position + 1
    return re.compile(result, re.DOTALL)
