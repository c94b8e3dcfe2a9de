"""What a handler gives back: bytes for an ordinary answer, or a function that takes over the
connection. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.wire.documents import encode

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

JSON = "application/json"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Answer(NamedTuple):
    """A whole answer."""

    body: bytes
    code: int = 200
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


class Stream(NamedTuple):
    """An answer that takes time: called with the connection, it writes until it is over.

    ``pieces`` gives what it would write, for callers in this process; None where it needs a
    connection.
    """

    run: Callable[[Any], Awaitable[Any]]
    pieces: Callable[[], AsyncGenerator[bytes, None]] | None = None


def json_answer(
    value: Any, code: int = 200, content_type: str = JSON, headers: tuple[tuple[str, str], ...] = ()
) -> Answer:
    """A value as compact JSON with the newline that the servers end a body with."""
    return Answer(encode(value) + b"\n", code, content_type, headers)


def not_found_page() -> Answer:
    """404 for a path that is no part of the API: text, as Go's servers answer."""
    return Answer(b"404 page not found\n", 404, "text/plain; charset=utf-8")


_MOST_WARNED = 4096  # letters of all warnings of an answer; beyond that each is cut
_CUT_WARNING = 256


def warnings(texts: list[str]) -> tuple[tuple[str, str], ...]:
    """``Warning`` headers, as kubectl shows them (RFC 7234, agent ``-``). What no header can carry
    is not told, and a client's own words are told only so far.
    """
    carried = [text for text in dict.fromkeys(texts) if not _CONTROL.search(text)]
    if sum(map(len, carried)) > _MOST_WARNED:
        carried = [text[:_CUT_WARNING] for text in carried[: _MOST_WARNED // _CUT_WARNING]]
    quoted = [text.replace("\\", "\\\\").replace('"', '\\"') for text in carried]
    return tuple(("Warning", f'299 - "{text}"') for text in quoted)
