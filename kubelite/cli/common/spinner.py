"""A line on the terminal that says what a command waits for, once it takes longer than a second."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

from kubelite.cli.common.diagnostic import clean

if TYPE_CHECKING:
    from types import TracebackType

_DELAY_SECONDS = 1.0
_INTERVAL_SECONDS = 0.2
_FRAMES = "|/-\\"
_CUT = "..."


def fitted(reason: str, room: int) -> str:
    """A reason in so many columns: what is behind the last colon stays, the rest gives way."""
    if len(reason) <= room:
        return reason
    what, colon, news = reason.rpartition(": ")
    left = room - len(colon + news)
    if colon and left > len(_CUT):
        return what[: left - len(_CUT)] + _CUT + colon + news
    return (news if colon else reason)[: max(room, 0)]


class Spinner:
    """A context manager: redraws ``reason`` and the seconds gone by, and removes the line; with no
    more than what every terminal knows.
    """

    def __init__(self, reason: str, columns: int) -> None:
        self._reason = clean(reason)
        self._width = columns - 1
        self._ended = threading.Event()
        self._drawing = threading.Lock()
        self._is_drawn = False

    def __enter__(self) -> Spinner:
        self._began = time.monotonic()
        threading.Thread(target=self._draw, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self.clear()

    def say(self, reason: str) -> None:
        """Changes what is waited for."""
        self._reason = clean(reason)

    def clear(self) -> None:
        """Removes the line before something else is printed; it comes back by itself."""
        with self._drawing:
            if self._is_drawn:
                self._write("\r" + " " * self._width + "\r")
                self._is_drawn = False

    def _draw(self) -> None:
        turn = 0
        while not self._ended.wait(_INTERVAL_SECONDS if turn else _DELAY_SECONDS):
            seconds = time.monotonic() - self._began
            mark, since = _FRAMES[turn % len(_FRAMES)], f"({seconds:.0f} s)"
            room = self._width - len(f"{mark}  {since}")
            line = f"{mark} {fitted(self._reason, room)} {since}"
            with self._drawing:
                if self._ended.is_set():
                    return
                self._write("\r" + line[: self._width].ljust(self._width))
                self._is_drawn = True
            turn += 1

    @staticmethod
    def _write(text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):
            return
