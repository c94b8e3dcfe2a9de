"""A clock that tests set."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any


class ManualClock:
    """What controllers take for the time: it stands still until a test advances it."""

    def __init__(self, time: float = 1000.0) -> None:
        self.time = time
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._cancelled: set[int] = set()
        self._number = itertools.count()

    def now(self) -> float:
        return self.time

    def call_at(self, when: float, callback: Callable[[], None]) -> Any:
        number = next(self._number)
        heapq.heappush(self._calls, (when, number, callback))
        clock = self

        class Handle:
            def cancel(self) -> None:
                clock._cancelled.add(number)

        return Handle()

    def due(self) -> list[float]:
        """When callbacks are to come, the next one first."""
        return sorted(when for when, number, _ in self._calls if number not in self._cancelled)

    def advance(self, seconds: float) -> None:
        self.time += seconds
        while self._calls and self._calls[0][0] <= self.time:
            _, number, callback = heapq.heappop(self._calls)
            if number not in self._cancelled:
                callback()
