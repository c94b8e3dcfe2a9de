"""Semantic versions in CEL: ``semver('1.2.3').isLessThan(...)``. Pure.

Names and meanings are those of ``k8s.io/apiserver/pkg/cel/library``; the grammar is that of
https://semver.org. A version is a text with ``semver:`` before it, since the functions that compare
are those of quantities too.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_MARK = "semver:"
_NUMBER = "0|[1-9][0-9]*"
_VERSION = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)


class _Version(NamedTuple):
    numbers: tuple[int, int, int]
    # Identifiers of what comes before a release; numbers come before words, a release after all.
    stage: tuple[tuple[bool, int, str], ...]

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, _Version):
            return NotImplemented
        return self._rank() < other._rank()

    def _rank(self) -> tuple[object, ...]:
        return (self.numbers, not self.stage, self.stage)


def is_version(text: str, normalize: bool = False) -> bool:
    """``isSemver(text)``."""
    try:
        version(text, normalize)
    except ValueError:
        return False
    return True


def version(text: str, normalize: bool = False) -> str:
    """``semver(text)``; normalized, ``v1.02`` is ``1.2.0``. Raises ValueError."""
    text = _normalized(text) if normalize else text
    _parsed(text)
    return _MARK + text


def is_marked(value: object) -> bool:
    """Whether a value is a version."""
    return isinstance(value, str) and value.startswith(_MARK)


def number(value: str, index: int) -> int:
    """``major()``, ``minor()`` or ``patch()``, by index."""
    return _parsed(value.removeprefix(_MARK)).numbers[index]


def compare(first: str, second: str) -> int:
    """-1, 0 or 1: the order of two versions."""
    one, other = (_parsed(value.removeprefix(_MARK)) for value in (first, second))
    return (other < one) - (one < other)


def _normalized(text: str) -> str:
    text = text.removeprefix("v")
    end = re.search(r"[-+]", text)
    core, rest = (text[: end.start()], text[end.start() :]) if end else (text, "")
    parts = [part.lstrip("0") or "0" if part.isdigit() else part for part in core.split(".")]
    return ".".join([*parts, *["0"] * (3 - len(parts))]) + rest


def _parsed(text: str) -> _Version:
    match = _VERSION.fullmatch(text)
    stage = match[4].split(".") if match and match[4] else []
    if match is None or any(re.fullmatch("0[0-9]+", word) for word in stage):
        raise ValueError(f"Invalid semantic version {text!r}")
    return _Version(
        (int(match[1]), int(match[2]), int(match[3])),
        tuple((not word.isdigit(), int(word) if word.isdigit() else 0, word) for word in stage),
    )
