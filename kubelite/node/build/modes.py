"""Modes of files as `--chmod` gives them: octal, or symbolic as chmod(1) has them.  Pure."""

from __future__ import annotations

import re

from kubelite.node.build.errors import BuildError

_OCTAL = re.compile(r"[0-7]{1,4}")
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}
_SPECIAL = {"u": 0o4000, "g": 0o2000, "o": 0o1000}
_LETTERS = {"s": 0o6000, "t": 0o1000}
_UMASK = 0o022
"""What bounds a clause that names nobody, as in BuildKit."""


def check(text: str) -> None:
    """Raise BuildError for what is no mode."""
    if not _OCTAL.fullmatch(text) and not all(map(_CLAUSE.fullmatch, text.split(","))):
        raise BuildError(f"--chmod={text} is not a mode such as 0755 or u=rwX,go=rX")


def changed(text: str, mode: int, *, is_directory: bool) -> int:
    """The mode of a file that has `mode`, after a change that `check` lets pass."""
    if _OCTAL.fullmatch(text):
        return int(text, 8)
    for clause in text.split(","):
        match = _CLAUSE.fullmatch(clause)
        assert match is not None
        for sign, letters in _ACTION.findall(match[2]):
            given = _given(match[1], letters, mode, is_directory)
            kept = mode & ~_all_bits(match[1], is_directory) if sign == "=" else mode
            mode = mode & ~given if sign == "-" else kept | given
    return mode


def _given(who: str, letters: str, mode: int, is_directory: bool) -> int:
    """The bits that letters mean for those who are named."""
    names = _names(who)
    if letters in _SHIFTS and letters:
        triple = mode >> _SHIFTS[letters] & 7
    else:
        triple = sum(_BITS[letter] for letter in set(letters) & _BITS.keys())
        if "X" in letters and (is_directory or mode & 0o111):
            triple |= 1
    result = sum(triple << _SHIFTS[name] for name in names)
    special = sum(_LETTERS[letter] for letter in set(letters) & _LETTERS.keys())
    result |= special & sum(_SPECIAL[name] for name in names)
    return result if who else result & ~_UMASK


def _all_bits(who: str, is_directory: bool) -> int:
    """The bits that `=` takes away; the set-id bits of a directory stay, as with chmod."""
    bits = sum(7 << _SHIFTS[name] | _SPECIAL[name] for name in _names(who))
    return bits & ~_LETTERS["s"] if is_directory else bits


def _names(who: str) -> set[str]:
    return set("ugo") if not who or "a" in who else set(who)
