"""Samples of what a node uses, taken when somebody asks.

Nothing is measured while nobody asks. Whoever asks again within a minute gets the rate since the
last time, as an autoscaler does; the first to ask waits a moment for the second measurement.
"""

from __future__ import annotations

import asyncio
import time

from kubelite.node.kubelet.stats.figures import Figures
from kubelite.node.kubelet.stats.measuring import measure
from kubelite.node.kubelet.stats.rates import MIN_SECONDS, Sample, rates
from kubelite.node.runtime.home import Home

FRESH_SECONDS, MAX_SECONDS = 5.0, 60.0
"""Figures are measured again when they are older than the first; the second is the longest time
that a rate is taken over.
"""


class Sampler:
    """The samples of ``home``; ``node`` is the node after which mirrors of its pods are named."""

    def __init__(self, home: Home, node: str) -> None:
        self._home, self._node = home, node
        self._lock = asyncio.Lock()
        self._sample: Sample | None = None
        self._has_disks = False

    async def sample(self, *, disks: bool = False) -> Sample:
        """The figures of now, or of the last moments; with ``disks`` what pods occupy as well."""
        async with self._lock:
            last = self._sample
            age = time.time() - last.figures.node.at if last is not None else MAX_SECONDS
            if last is not None and age < FRESH_SECONDS and (self._has_disks or not disks):
                return last
            if last is None or not 0 <= age < MAX_SECONDS:
                last = Sample(await self._measure(disks=False), {})
                await asyncio.sleep(MIN_SECONDS)
            figures = await self._measure(disks=disks)
            self._sample, self._has_disks = Sample(figures, rates(last, figures)), disks
            return self._sample

    async def _measure(self, *, disks: bool) -> Figures:
        return await asyncio.to_thread(measure, self._home, self._node, disks=disks)
