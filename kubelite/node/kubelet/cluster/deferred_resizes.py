"""Resizes that wait for room on the node: tried again, in their order, when some may have come.

Nothing is polled. Everything here belongs to one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from kubelite.node.kubelet.decide.resize_allocation import QueuePosition


class DeferredResizes:
    """The queue. ``retry`` looks at the pod with a uid once more; it puts it back or drops it."""

    def __init__(self, retry: Callable[[str], Awaitable[None]]) -> None:
        self._retry = retry
        self._positions: dict[str, QueuePosition] = {}
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def put(self, uid: str, position: QueuePosition | None) -> None:
        """The pod waits at this position; None: not any more."""
        if position is None:
            self._positions.pop(uid, None)
        else:
            self._positions[uid] = position

    def room_may_have_come(self) -> None:
        """Tries all again, the first in the queue first."""
        self._again = True
        if self._positions and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._try_all())

    async def close(self) -> None:
        """Tries no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _try_all(self) -> None:
        while self._again:
            self._again = False
            for uid in sorted(self._positions, key=lambda uid: self._positions[uid]):
                await self._retry(uid)
