"""Fan-out: one stream of events from the backend to any number of watchers.

Events are kept once, in feeds, one per directory of keys (``/registry/pods/``). A watcher is only a
position in a feed, so one that does not read costs nothing; when its position falls off the end of
the feed it is told so and lists again.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING

from kubelite.control.store.types import Compacted, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kubelite.control.store.backend import Backend
    from kubelite.control.store.types import Event

HISTORY_EVENTS = 10_000
HISTORY_BYTES = 16 << 20
RETRY_SECONDS = 0.5
READ_BYTES = 256 << 10


class Feed:
    """The latest events under one directory. ``oldest`` is the revision up to which they are
    forgotten.
    """

    def __init__(self, oldest: int, events: Iterable[Event]) -> None:
        self.oldest = oldest
        self.events = [event for event in events if event.revision > oldest]
        self.dropped = 0
        self.waiting: set[asyncio.Future[None]] = set()
        self.listeners: list[Callable[[], None]] = []

    def add(self, event: Event) -> None:
        self.events.append(event)
        for listener in self.listeners:
            listener()
        if self.waiting:
            self.wake()

    def forget(self, revision: int) -> None:
        """Drops what happened up to a revision."""
        count = bisect_right(self.events, revision, key=_revision)
        del self.events[:count]
        self.dropped += count
        self.oldest = max(self.oldest, revision)
        self.wake()

    def break_off(self, oldest: int) -> None:
        """Begins anew at a revision before which something may be missing: no position from before
        is good any more.
        """
        self.dropped += len(self.events) + 1
        self.events.clear()
        self.oldest = oldest
        for listener in self.listeners:
            listener()
        self.wake()

    def wake(self) -> None:
        """Lets every watcher of this feed look."""
        for waiter in self.waiting:
            if not waiter.done():
                waiter.set_result(None)
        self.waiting.clear()


class Watcher:
    """A position in a feed: what happened after a revision, read at the watcher's own pace."""

    def __init__(self, hub: Hub, feed: Feed, after: int) -> None:
        if after < feed.oldest:
            raise Compacted(after, feed.oldest)
        self._hub = hub
        self._feed = feed
        self._after = after
        self._position = feed.dropped + bisect_right(feed.events, after, key=_revision)
        self._news: asyncio.Future[None] | None = None
        self._until = 0.0
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def ended(self) -> bool:
        """Whether the store is closing."""
        return self._hub.closed

    def ready(self, limit: int = READ_BYTES) -> list[Event]:
        """The next events, about ``limit`` bytes of them, without waiting. Raises Compacted when
        they are no longer kept.
        """
        feed = self._feed
        if self._position == feed.dropped + len(feed.events):
            return []
        if self._position < feed.dropped:
            raise Compacted(self._after, feed.oldest)
        first = last = self._position - feed.dropped
        while last < len(feed.events) and limit > 0:
            limit -= _size(feed.events[last])
            last += 1
        self._position += last - first
        return [event for event in feed.events[first:last] if event.revision > self._after]

    @property
    def revision(self) -> int:
        """Up to where everything has been read; the revision of a bookmark."""
        behind = self._position < self._feed.dropped + len(self._feed.events)
        return self._after if behind else max(self._after, self._hub.revision)

    async def wait(self, seconds: float) -> None:
        """Returns when there may be something to read, when the store closes, or after a time."""
        try:
            await self.wait_until(asyncio.get_running_loop().time() + seconds)
        finally:
            self.close()

    async def wait_until(self, until: float) -> None:
        """:meth:`wait`, but to a time of the loop's clock; calls with the same time share one
        alarm, up to :meth:`close`.
        """
        loop, feed = asyncio.get_running_loop(), self._feed
        if (
            self._position < feed.dropped + len(feed.events)
            or self._hub.closed
            or until <= loop.time()
        ):
            return
        if until != self._until:  # one alarm for many events
            self.close()
            self._until, self._alarm = until, loop.call_at(until, self._ring)
        self._news = loop.create_future()
        feed.waiting.add(self._news)
        try:
            await self._news
        finally:
            feed.waiting.discard(self._news)

    def _ring(self) -> None:
        self.close()
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def close(self) -> None:
        """Nobody waits any more."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._until, self._alarm = 0.0, None


class Hub:
    """All feeds of a backend, filled by one task. ``volatile`` directories have no history from
    before this process.
    """

    def __init__(self, backend: Backend, volatile: Iterable[str] = ()) -> None:
        self.revision = backend.oldest
        self.closed = False
        self._backend = backend
        self._volatile = dict.fromkeys(volatile, backend.revision)
        self._oldest = backend.oldest
        self._events: deque[Event] = deque()
        self._bytes = 0
        self._feeds: dict[str, Feed] = {}
        self._pump: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to read the backend, in a task that :meth:`close` ends."""
        self._pump = asyncio.create_task(self._read(), name="store-fan-out")

    def watch(
        self, directory: str, after: int, listener: Callable[[], None] | None = None
    ) -> Watcher:
        """A watcher of what happens under a directory after a revision; ``listener`` is called
        whenever there is something to read, for good. Raises Compacted.
        """
        feed = self._feeds.get(directory)
        if feed is None:
            oldest = max(self._oldest, self._volatile.get(directory, 0))
            feed = Feed(
                oldest, (event for event in self._events if event.key.startswith(directory))
            )
            self._feeds[directory] = feed
        if listener is not None and listener not in feed.listeners:
            feed.listeners.append(listener)
        return Watcher(self, feed, after)

    async def _read(self) -> None:
        while not self.closed:
            try:
                async for revision, events in self._backend.watch(self.revision):
                    self._publish(revision, events)
            except Compacted as error:
                self._restart(error.oldest)
            except StoreError:
                await asyncio.sleep(RETRY_SECONDS)

    def _publish(self, revision: int, events: list[Event]) -> None:
        self.revision = max(self.revision, revision)
        for event in events:
            self._events.append(event)
            self._bytes += _weight(event)
            feed = self._feed_of(event.key)
            if feed is not None:
                feed.add(event)
        if len(self._events) > HISTORY_EVENTS or self._bytes > HISTORY_BYTES:
            self._trim()

    def _feed_of(self, key: str) -> Feed | None:
        """The feed of a key; its directory is two or three names deep: ``/registry/pods/``,
        ``/registry/a.b/widgets/``.
        """
        first = key.find("/", 1)
        second = key.find("/", first + 1)
        feed = self._feeds.get(key[: second + 1])
        if feed is None:
            feed = self._feeds.get(key[: key.find("/", second + 1) + 1])
        return feed

    def _trim(self) -> None:
        """Forgets the older tenth of history, so that it is not done for every event."""
        while len(self._events) > HISTORY_EVENTS * 0.9 or self._bytes > HISTORY_BYTES * 0.9:
            event = self._events.popleft()
            self._bytes -= _weight(event)
            self._oldest = event.revision
        for feed in self._feeds.values():
            feed.forget(self._oldest)

    def _restart(self, oldest: int) -> None:
        """Begins anew where the backend has forgotten what was not read yet: every watcher has to
        list again.
        """
        self._events.clear()
        self._bytes = 0
        self.revision = self._oldest = oldest
        for feed in self._feeds.values():
            feed.break_off(oldest)

    async def close(self) -> None:
        """Wakes every watcher for the last time and ends the task."""
        self.closed = True
        for feed in self._feeds.values():
            feed.wake()
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])
            self._pump = None


def _revision(event: Event) -> int:
    return event.revision


def _weight(event: Event) -> int:
    """What an event keeps in memory that would be free without it."""
    return 200 + (len(event.previous.value) if event.previous else 0)


def _size(event: Event) -> int:
    """About what it takes to tell of an event."""
    entry = event.entry or event.previous
    return len(entry.value) if entry else 0
