"""How far a pull or push is: the bytes that are there, those in all, and the rate. Pure."""

from __future__ import annotations

from collections import deque

from kubelite.lib import sizes

RATE_SECONDS = 5.0
"""The rate is that of the last seconds: it tells when a registry stalls."""
_APART_SECONDS = 0.2


class Transfer:
    """Adds up what the layers of an image report. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}
        self._moved = 0
        self._samples: deque[tuple[float, int]] = deque()

    def report(self, digest: str, done: int, total: int, now: float) -> None:
        """A layer has ``done`` of its ``total`` bytes. What its first report says was there before:
        it counts as done and not for the rate.
        """
        before = self._layers.get(digest, (done, total))[0]
        self._layers[digest] = (done, total)
        self._moved += max(done - before, 0)
        if not self._samples or now - self._samples[-1][0] >= _APART_SECONDS:
            self._samples.append((now, self._moved))
        while len(self._samples) > 1 and now - self._samples[0][0] > RATE_SECONDS:
            self._samples.popleft()

    @property
    def percent(self) -> int:
        """How much there is; 100 where nothing has to come."""
        total = sum(total for _, total in self._layers.values())
        return self._done * 100 // total if total else 100

    def rate(self, now: float) -> float:
        """Bytes a second."""
        if not self._samples or now <= self._samples[0][0]:
            return 0.0
        began, moved = self._samples[0]
        return (self._moved - moved) / (now - began)

    def shown(self, now: float) -> str:
        """``12.3 MB of 80.1 MB, 5.20 MB/s``."""
        total = sum(total for _, total in self._layers.values())
        rate = sizes.shown(int(self.rate(now)))
        return f"{sizes.shown(self._done)} of {sizes.shown(total)}, {rate}/s"

    @property
    def _done(self) -> int:
        return sum(done for done, _ in self._layers.values())
