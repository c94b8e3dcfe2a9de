"""A backend in memory: the current entries, and the latest events to look back with.

The SQLite backend keeps one of these as its index, so reads never touch a disk.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections import deque
from typing import TYPE_CHECKING

from kubelite.control.store.document import stamp
from kubelite.control.store.types import Batch, Compacted, Conflict, Entry, Event, Future, Page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from kubelite.control.store.types import Change

HISTORY_EVENTS = 10_000
HISTORY_BYTES = 16 << 20


class Memory:
    """A :class:`~kubelite.control.store.backend.Backend` that forgets everything with its process.

    History is bounded by events and by bytes; what falls off is compacted.
    """

    def __init__(
        self, *, revision: int = 0, events: int = HISTORY_EVENTS, size: int = HISTORY_BYTES
    ) -> None:
        self.revision = revision
        self.oldest = revision
        self._current: dict[str, Entry] = {}
        self._keys: list[str] = []
        self._history: deque[Event] = deque()
        self._history_bytes = 0
        self._limits = (events, size)
        self._waiting: set[asyncio.Future[None]] = set()
        self._closed = False

    async def get(self, key: str) -> Entry | None:
        return self._current.get(key)

    def peek(self, key: str) -> Entry | None:
        """:meth:`get` without waiting."""
        return self._current.get(key)

    async def page(
        self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0
    ) -> Page:
        if revision and revision != self.revision:
            return self._page_past(prefix, after, limit, revision)
        first = bisect_right(self._keys, after) if after else bisect_left(self._keys, prefix)
        last = bisect_left(self._keys, prefix + "\x7f")
        end = min(last, first + limit) if limit else last
        entries = [self._current[key] for key in self._keys[first:end]]
        return Page(entries, self.revision, last - end)

    def _page_past(self, prefix: str, after: str, limit: int, revision: int) -> Page:
        """A listing of an earlier revision: today's entries, with everything since undone."""
        if revision > self.revision:
            raise Future(revision, self.revision)
        if revision < self.oldest:
            raise Compacted(revision, self.oldest)
        first, last = bisect_left(self._keys, prefix), bisect_left(self._keys, prefix + "\x7f")
        entries: dict[str, Entry | None] = {
            key: self._current[key] for key in self._keys[first:last]
        }
        for event in reversed(self._history):
            if event.revision <= revision:
                break
            if event.key.startswith(prefix):
                entries[event.key] = event.previous
        rest = sorted(key for key, entry in entries.items() if entry is not None and key > after)
        shown = rest[:limit] if limit else rest
        listed = [entry for key in shown if (entry := entries[key]) is not None]
        return Page(listed, revision, len(rest) - len(shown))

    async def commit(self, changes: Sequence[Change]) -> int:
        self.check(changes)
        return self.apply(self.revision + 1, self.entries(self.revision + 1, changes))

    def check(
        self, changes: Iterable[Change], pending: Mapping[str, Entry | None] | None = None
    ) -> None:
        """Whether changes fit what is there, with ``pending`` laid over it. Raises Conflict."""
        for change in changes:
            known = pending is not None and change.key in pending
            current = (
                pending[change.key]
                if known and pending is not None
                else self._current.get(change.key)
            )
            if (current.revision if current else 0) != change.expected:
                raise Conflict(change, current)

    def entries(
        self,
        revision: int,
        changes: Iterable[Change],
        pending: Mapping[str, Entry | None] | None = None,
    ) -> dict[str, Entry | None]:
        """The entries that changes lead to at a revision; None for what they delete."""
        written: dict[str, Entry | None] = {}
        for change in changes:
            before = (pending or {}).get(change.key) or self._current.get(change.key)
            created = before.created if before and change.expected else revision
            written[change.key] = (
                None
                if change.value is None
                else Entry(change.key, stamp(change.value, revision), created, revision)
            )
        return written

    def apply(self, revision: int, written: Mapping[str, Entry | None]) -> int:
        """Makes entries current at a revision, and tells whoever watches."""
        for key, entry in written.items():
            self._put(Event(revision, key, entry, self._current.get(key)))
        self.revision = revision
        self._trim()
        self.wake()
        return revision

    def _put(self, event: Event) -> None:
        if event.entry is None:
            del self._current[event.key]
            self._keys.pop(bisect_left(self._keys, event.key))
        else:
            if event.previous is None:
                insort(self._keys, event.key)
            self._current[event.key] = event.entry
        self._history.append(event)
        self._history_bytes += _weight(event)

    def _trim(self) -> None:
        events, size = self._limits
        while self._history and (len(self._history) > events or self._history_bytes > size):
            self._forget(self._history[0].revision)

    def _forget(self, revision: int) -> None:
        while self._history and self._history[0].revision <= revision:
            self._history_bytes -= _weight(self._history.popleft())
        self.oldest = max(self.oldest, revision)

    def wake(self) -> None:
        """Lets watches look again."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    async def watch(self, after: int) -> AsyncIterator[Batch]:
        position = after
        while not self._closed:
            if position < self.oldest:
                raise Compacted(position, self.oldest)
            if position >= self.revision:
                await self._news()
                continue
            events = self._since(position)
            position = self.revision
            yield Batch(position, events)

    def _since(self, revision: int) -> list[Event]:
        batch: list[Event] = []
        for event in reversed(self._history):
            if event.revision <= revision:
                break
            batch.append(event)
        batch.reverse()
        return batch

    async def _news(self) -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)

    async def compact(self, revision: int) -> None:
        if revision > self.revision:
            raise Future(revision, self.revision)
        self._forget(revision)

    async def close(self) -> None:
        self._closed = True
        self.wake()


def _weight(event: Event) -> int:
    """What an event keeps in memory that would be free without it."""
    return 200 + (len(event.previous.value) if event.previous else 0)
