"""Remembers what was worked out of short texts. Pure.

:func:`functools.lru_cache` remembers any. Texts of clients may have a megabyte, and as many of
those as a cache has entries would fill the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
LONGEST = 1024
"""Characters of a text that is remembered."""
LONGEST_EXPRESSION = 8 << 10
"""Characters of an expression of a rule or a policy that is remembered."""


class _Answers(dict[Any, T]):
    """Answers by the argument, or by the tuple of arguments."""

    def __init__(self, answer: Callable[[Any], T], entries: int, longest: int) -> None:
        self._answer = answer
        self._entries = entries
        self._longest = longest

    def __missing__(self, argument: Any) -> T:
        answer = self._answer(argument)
        if _length(argument) <= self._longest:
            if len(self) >= self._entries:
                self.clear()
            self[argument] = answer
        return answer


def _length(argument: Any) -> int:
    """The characters in an argument, in those of a tuple all together."""
    if isinstance(argument, str | bytes):
        return len(argument)
    return sum(map(_length, argument)) if isinstance(argument, tuple) else 0


def remember_short(
    entries: int, longest: int = LONGEST
) -> Callable[[Callable[[str], T]], Callable[[str], T]]:
    """A function of one text that remembers at most ``entries`` answers, to texts of at most
    ``longest`` characters. What it raises is not remembered.
    """

    def decorate(function: Callable[[str], T]) -> Callable[[str], T]:
        return _Answers(function, entries, longest).__getitem__

    return decorate


def remember_short_calls(entries: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """The same for a function of any positional arguments that have LONGEST characters together."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        def answer(arguments: tuple[Any, ...]) -> T:
            return function(*arguments)  # type: ignore[call-arg]  # they are those of the call

        answers = _Answers(answer, entries, LONGEST)

        def remembered(*arguments: P.args, **named: P.kwargs) -> T:
            return function(*arguments, **named) if named else answers[arguments]

        return remembered

    return decorate
