"""Regular expressions that clients give: RE2's, as Go has them, in time linear in the text. Pure.

Python's own ``re`` may take exponential time for a pattern such as ``^(a+)+$``; one custom
definition could then stop the server.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import re2

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_MEMORY = 8 << 20  # bytes that one compiled pattern and its states may take
_COMPILED = 256
"""Compiled patterns that are kept. A text of a few characters may become a megabyte."""


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_MEMORY
    return options


@lru_cache(_COMPILED)
def _compiled(text: str) -> Any:
    try:
        return re2.compile(text, _options())
    except re2.error as error:
        reason = error.args[0] if error.args else error
        shown = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        message = f"must be a valid regular expression, but isn't: error parsing regexp: {shown}"
        raise ValueError(message) from None


def compiled(text: str) -> Callable[[str], bool]:
    """A question to texts: whether the pattern is found in them. Raises ValueError with what is
    wrong with the pattern.
    """
    pattern = _compiled(text)
    return lambda value: pattern.search(value) is not None


def all_found(text: str, value: str, limit: int = -1) -> list[str]:
    """The parts of a value that a pattern matches, at most ``limit`` of them unless it is negative.
    Raises ValueError for what is no pattern.
    """
    matches: list[str] = []
    for match in _compiled(text).finditer(value):
        if len(matches) == limit:
            break
        matches.append(match[0])
    return matches
