"""Clocks for controllers: one that a test sets, and the machine's, which a test sets forward."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable


class Call:
    """A call that is to come."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Leaves it out."""
        self.callback = None


class _Calls:
    """Calls in the order of their times."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Call]] = []
        self._number = itertools.count()

    def add(self, when: float, callback: Callable[[], None]) -> Call:
        call = Call(callback)
        heapq.heappush(self._heap, (when, next(self._number), call))
        return call

    def due(self) -> list[float]:
        """When callbacks are to come, the next one first."""
        return sorted(when for when, _, call in self._heap if call.callback is not None)

    def next(self) -> float | None:
        """When the next one is to come."""
        while self._heap and self._heap[0][2].callback is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def run(self, now: float) -> None:
        """Makes the calls whose time has come."""
        while self._heap and self._heap[0][0] <= now:
            callback = heapq.heappop(self._heap)[2].callback
            if callback is not None:
                callback()


class ManualClock:
    """What controllers take for the time: it stands still until a test advances it."""

    def __init__(self, time: float = 1000.0) -> None:
        self.time = time
        self._calls = _Calls()

    def now(self) -> float:
        return self.time

    def call_at(self, when: float, callback: Callable[[], None]) -> Call:
        return self._calls.add(when, callback)

    def due(self) -> list[float]:
        """When callbacks are to come, the next one first."""
        return self._calls.due()

    def advance(self, seconds: float) -> None:
        """Sets the clock forward and makes the calls of that time."""
        self.time += seconds
        self._calls.run(self.time)


class ForwardClock:
    """The machine's clock, which can be set forward. Belongs to the event loop that it is used in.

    Nobody has to wait for a back-off, and yet what is due in some milliseconds comes by itself.
    """

    def __init__(self) -> None:
        self._ahead = 0.0
        self._calls = _Calls()
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> float:
        return time.time() + self._ahead

    def call_at(self, when: float, callback: Callable[[], None]) -> Call:
        call = self._calls.add(when, callback)
        self._arm()
        return call

    def next(self) -> float | None:
        """When the next callback is to come."""
        return self._calls.next()

    def set_forward(self, to: float) -> None:
        """Makes it ``to`` where that is later than now; what is due then is called."""
        self._ahead += max(0.0, to - self.now())
        self._run()

    def _run(self) -> None:
        self._calls.run(self.now())
        self._arm()

    def _arm(self) -> None:
        """The loop's timer is for the next call."""
        if self._timer is not None:
            self._timer.cancel()
        when = self._calls.next()
        self._timer = None
        if when is not None:
            delay = max(0.0, when - self.now())
            self._timer = asyncio.get_running_loop().call_later(delay, self._run)
