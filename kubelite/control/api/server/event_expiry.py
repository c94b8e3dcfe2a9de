"""Events do not stay: an hour after its last change an Event goes, and of too many the oldest go
first.

A store that forgets by itself (etcd) was told of the hour when the Event was written, and needs
nobody for it. Only their keys are looked at, in the order in which they were last written.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from kubelite.control.api.wire.directory_cache import Follower
from kubelite.control.store.types import Conflict, StoreError

if TYPE_CHECKING:
    from kubelite.control.store.store import Store
    from kubelite.control.store.types import Entry

EVENTS = "events"
EVENT_SECONDS = 3600
MOST = 10_000
EVERY_SECONDS = 30.0

Key = tuple[str, str]


class Expiry:
    """Follows events and removes those whose time is over, in a task that :meth:`close` ends."""

    def __init__(
        self,
        store: Store,
        *,
        seconds: float = EVENT_SECONDS,
        most: int = MOST,
        every: float = EVERY_SECONDS,
    ) -> None:
        self._store = store
        self._limits = (seconds, most)
        self._every = every
        self._written: OrderedDict[Key, tuple[float, int]] = OrderedDict()
        self._follower = Follower(store, EVENTS, self._note, lambda _: self._written.clear())
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins; needs a running event loop."""
        self._task = asyncio.create_task(self._run(), name="event-expiry")

    def _note(self, _: str, key: Key, entry: Entry | None) -> None:
        self._written.pop(key, None)
        if entry is not None:
            self._written[key] = time.monotonic(), entry.revision

    async def _run(self) -> None:
        while True:
            try:
                await self.sweep()
            except StoreError:
                pass  # the store is away or full; the next round will do
            await asyncio.sleep(self._every)

    async def sweep(self) -> None:
        """Removes what is due. Raises StoreError."""
        if not self._follower.catch_up():
            await self._follower.start()
        seconds, most = self._limits
        due = time.monotonic() - seconds
        while self._written:
            (namespace, name), (written, revision) = next(iter(self._written.items()))
            if written > due and len(self._written) <= most:
                return
            try:
                await self._store.delete(EVENTS, namespace, name, expected=revision)
            except Conflict:
                pass  # changed since, or removed by somebody else: the follower will tell
            self._written.pop((namespace, name), None)

    async def close(self) -> None:
        """Ends the task."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
