"""The store as the API sees it: keys in the standard layout, over any backend, with watchers.

Keys are ``/registry/PREFIX[/NAMESPACE]/NAME``, as a Kubernetes cluster lays them out in etcd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.store.types import Change
from kubelite.control.store.watch import Hub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kubelite.control.store.backend import Backend
    from kubelite.control.store.types import Entry, Page
    from kubelite.control.store.watch import Watcher


def directory(prefix: str, namespace: str = "") -> str:
    """Where the objects of a resource lie: ``/registry/pods/`` or ``/registry/pods/default/``."""
    return f"/registry/{prefix}/{namespace}/" if namespace else f"/registry/{prefix}/"


def key(prefix: str, namespace: str, name: str) -> str:
    """Where one object lies. Names hold no slash: the API has checked them."""
    return directory(prefix, namespace) + name


def directories(key: str) -> tuple[str, str]:
    """The directories that a key may lie in: two or three names deep, ``/registry/pods/``,
    ``/registry/a.b/widgets/``.
    """
    end = key.find("/", key.find("/", 1) + 1) + 1
    return key[:end], key[: key.find("/", end) + 1]


class Store:
    """Reads, writes and watches.

    ``volatile`` are prefixes whose objects need not survive a restart, ``ttl`` how many seconds
    those of a prefix are kept.
    """

    def __init__(
        self, backend: Backend, volatile: Iterable[str] = (), ttl: Mapping[str, int] | None = None
    ) -> None:
        self.backend = backend
        self._volatile = frozenset(volatile)
        self._ttl = dict(ttl or {})
        self._hub = Hub(backend, [directory(prefix) for prefix in self._volatile])
        self._followed: dict[str, int] = {}
        self._listeners: dict[str, list[Callable[[], None]]] = {}

    def start(self) -> None:
        """Begins to feed watchers. Needs a running event loop."""
        self._hub.start()

    async def get(self, prefix: str, namespace: str, name: str) -> Entry | None:
        """The object as of now, or None."""
        return await self.backend.get(key(prefix, namespace, name))

    async def page(
        self,
        prefix: str,
        namespace: str = "",
        *,
        after: str = "",
        limit: int = 0,
        revision: int = 0,
    ) -> Page:
        """Objects in key order. ``after`` is a key below the directory. Raises Compacted,
        Future.
        """
        base = directory(prefix, namespace)
        return await self.backend.page(
            base, after=after and base + after, limit=limit, revision=revision
        )

    async def put(
        self,
        prefix: str,
        namespace: str,
        name: str,
        value: bytes,
        *,
        expected: int,
        volatile: bool = False,
    ) -> int:
        """Writes one object that is at revision ``expected`` (0: not there). Returns its revision.

        Raises Conflict, NoSpace, Unavailable.
        """
        return await self.commit(
            [self.change(prefix, namespace, name, value, expected=expected, volatile=volatile)]
        )

    async def delete(self, prefix: str, namespace: str, name: str, *, expected: int) -> int:
        """Removes one object that is at revision ``expected``. Raises Conflict, NoSpace,
        Unavailable.
        """
        return await self.commit([self.change(prefix, namespace, name, None, expected=expected)])

    def change(
        self,
        prefix: str,
        namespace: str,
        name: str,
        value: bytes | None,
        *,
        expected: int,
        volatile: bool = False,
    ) -> Change:
        """A change for :meth:`commit`."""
        forgotten = volatile or prefix in self._volatile
        return Change(
            key(prefix, namespace, name), value, expected, forgotten, self._ttl.get(prefix, 0)
        )

    async def commit(self, changes: list[Change]) -> int:
        """All changes or none. Returns their revision. Raises Conflict, NoSpace, Unavailable."""
        revision = await self.backend.commit(changes)
        for change in changes:
            for place in directories(change.key):
                if place in self._followed:
                    self._followed[place] = max(self._followed[place], revision)
                    for listener in self._listeners.get(place, ()):
                        listener()
        return revision

    def follow(self, prefix: str, listener: Callable[[], None]) -> None:
        """From now on :meth:`told` speaks of a prefix, and ``listener`` is called after commits
        there.
        """
        place = directory(prefix)
        self._followed.setdefault(place, 0)
        self._listeners.setdefault(place, []).append(listener)

    def told(self, prefix: str) -> bool:
        """Whether watchers have been told of everything that was committed here under a prefix that
        is followed.
        """
        return self._hub.revision >= self._followed[directory(prefix)]

    def watch(
        self, prefix: str, *, after: int, listener: Callable[[], None] | None = None
    ) -> Watcher:
        """Events of all objects of a resource after a revision; ``listener`` is called when there
        is something to read. Raises Compacted.
        """
        return self._hub.watch(directory(prefix), after, listener)

    @property
    def revision(self) -> int:
        """Up to where watchers have been told everything."""
        return self._hub.revision

    async def end_watches(self) -> None:
        """Tells every watcher that it is over."""
        await self._hub.close()

    async def close(self) -> None:
        """Tells watchers, then closes the backend."""
        await self.end_watches()
        await self.backend.close()
