"""Remembers what was worked out of short texts. Pure.

:func:`functools.lru_cache` remembers any. Texts of clients may have a megabyte, and as many of
those as a cache has entries would fill the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LONGEST = 1024
"""Characters of a text that is remembered."""


class _Answers(dict[str, T]):
    def __init__(self, function: Callable[[str], T], entries: int) -> None:
        self._function = function
        self._entries = entries

    def __missing__(self, text: str) -> T:
        answer = self._function(text)
        if len(text) <= LONGEST:
            if len(self) >= self._entries:
                self.clear()
            self[text] = answer
        return answer


def remember_short(entries: int) -> Callable[[Callable[[str], T]], Callable[[str], T]]:
    """A function of one text that remembers at most ``entries`` answers. What it raises is not
    remembered.
    """

    def decorate(function: Callable[[str], T]) -> Callable[[str], T]:
        return _Answers(function, entries).__getitem__

    return decorate
