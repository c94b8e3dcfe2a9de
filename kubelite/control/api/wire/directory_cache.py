"""A local copy of what lies under one directory of the store, brought up to date whenever it is
looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from kubelite.control.store.store import directory
from kubelite.control.store.types import Compacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kubelite.control.store.store import Store
    from kubelite.control.store.types import Entry
    from kubelite.control.store.watch import Watcher

    Key = tuple[str, str]
    Note = Callable[[str, Key, Entry | None], None]

_TRIES = 20
_WAIT_SECONDS = 0.1


class Follower:
    """Calls ``note(prefix, (namespace, name), entry or None)`` for everything there and for each
    change, in order.

    ``reset(prefix)`` is called before everything is told anew.
    """

    def __init__(
        self,
        store: Store,
        prefix: str,
        note: Note,
        reset: Callable[[str], None],
        listener: Callable[[], None] = lambda: None,
    ) -> None:
        self._listener = listener
        self._store = store
        self._prefix = prefix
        self._note = note
        self._reset = reset
        self._watcher: Watcher | None = None
        store.follow(prefix, listener)

    async def start(self) -> None:
        """Reads what is there, from now on followed by changes, and waits a while for word of what
        was written here.

        Raises StoreError.
        """
        for _ in range(_TRIES):
            if self._watcher is None:
                await self._list()
            elif not self._store.told(self._prefix):
                await self._watcher.wait(_WAIT_SECONDS)
            if self.catch_up():
                return

    async def _list(self) -> None:
        page = await self._store.page(self._prefix)
        self._reset(self._prefix)
        for entry in page.entries:
            self._note(self._prefix, self._key(entry.key), entry)
        self._watcher = self._store.watch(
            self._prefix, after=page.revision, listener=self._listener
        )

    def catch_up(self) -> bool:
        """Tells what has changed since; False when :meth:`start` is needed: too much has, or what
        this server itself has written is not among it yet.
        """
        if self._watcher is None:
            return False
        try:
            events = self._watcher.ready(limit=1 << 30)
        except Compacted:
            self._watcher = None
            return False
        for event in events:
            self._note(self._prefix, self._key(event.key), event.entry)
        return self._store.told(self._prefix)

    async def wait(self, seconds: float) -> bool:
        """Returns when there may be something to catch up with, or after a time. False when the
        store is closing.
        """
        if self._watcher is None:
            return True
        await self._watcher.wait(seconds)
        return not self._watcher.ended

    def _key(self, key: str) -> Key:
        namespace, _, name = key[len(directory(self._prefix)) :].rpartition("/")
        return namespace, name


class Followers:
    """Several directories that are looked at together: where none has changed, a look is one
    comparison.
    """

    def __init__(
        self, store: Store, prefixes: Iterable[str], note: Note, reset: Callable[[str], None]
    ) -> None:
        self._version, self._seen = 0, -1
        self._news = asyncio.Event()
        self._followers = [Follower(store, prefix, note, reset, self._touch) for prefix in prefixes]

    def _touch(self) -> None:
        self._version += 1
        self._news.set()

    async def wait_for_any(self, seconds: float) -> None:
        """Returns when there may be something to learn of any directory, or after a time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    async def wait(self, seconds: float) -> bool:
        """Returns when there may be something to learn of the first directory, or after a time.
        False when the store is closing.
        """
        return await self._followers[0].wait(seconds)

    async def refresh(self) -> None:
        """Learns what has changed, and waits for what was written here. Raises StoreError."""
        version = self._version
        self._news.clear()
        if version == self._seen:
            return
        for follower in self._followers:
            if not follower.catch_up():
                await follower.start()
        self._seen = version
