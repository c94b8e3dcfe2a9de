"""Regular expressions as Go writes them (RE2), in Python's words. Pure.

The differences that schemas of custom kinds run into: ``$`` is the end of the text and not also
before a last line break, ``\\z`` is its other name, classes have POSIX names, and letters and
digits are those of ASCII. What Python cannot say, such as ``\\pL``, is refused; unlike RE2 Python
may take very long for a pattern that repeats a repetition.
"""

from __future__ import annotations

import re
from functools import lru_cache

_POSIX = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7f", "blank": r"\t ", "cntrl": r"\x00-\x1f\x7f", "digit": "0-9",
    "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ", "upper": "A-Z",
    "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_PIECE = re.compile(r"\\.|\[:(\w+):\]|.", re.DOTALL)


@lru_cache(1024)
def compiled(text: str) -> re.Pattern[str]:
    """The pattern, to be searched for. Raises ValueError with what is wrong."""
    try:
        return re.compile("".join(_translated(text)), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"must be a valid regular expression, but isn't: {error}") from None


def _translated(text: str) -> list[str]:
    found: list[str] = []
    inside = False
    for piece in _PIECE.finditer(text):
        word = piece[0]
        if inside and piece[1] is not None:
            if piece[1] not in _POSIX:
                raise ValueError(
                    f"must be a valid regular expression, but isn't: invalid character class range: `{word}`"
                )
            found.append(_POSIX[piece[1]])
        elif inside:
            # The first bracket of a class is one of its members, as in []a] and [^]a].
            inside = word != "]" or found[-1] in ("[", "[^")
            found.append(
                "[^"
                if word == "^" and found[-1] == "["
                else "\\" + word
                if word in "[&|~"
                else word
            )
            if found[-1] == "[^":
                found[-2:] = ["[^"]
        elif word == "$":
            found.append("\\Z")
        else:
            inside = word[0] == "["
            found.append("[" if inside else "\\Z" if word == "\\z" else word)
            if inside and len(word) > 1:
                raise ValueError(
                    f"must be a valid regular expression, but isn't: `{word}` stands outside of a class"
                )
    return found
