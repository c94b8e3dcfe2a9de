"""Informers: a view of all objects of a kind that follows the server, shared by all who look.

::

    async with Informers(client) as informers:
        pods = informers.of(PODS)
        pods.add_handler(lambda old, new: queue.add(key_of(new or old)))
        await informers.wait_synced()
        pods.get("default", "web")                    # the object, or None
        pods.list("default")                          # objects of a namespace; list() is all
        pods.by_index("controller", replica_set_uid)  # also: owner, node, uid, and your own
        created = await client.create(PODS, pod)
        await pods.at_least(created)                  # now the view contains that write

There is one watch and one decoded copy of each object per kind, so what is handed out must never
be changed in place. ``managedFields`` are left out: they are a third of an object, and a write
without them leaves them as they are. With ``check_shared`` (for tests) an object that somebody has
changed is found out when it is replaced.

A watch that ends is resumed where it stood; one whose revision is forgotten (410) lists again, and
handlers get the difference. Failures are tried again with back-off, forever. At rest nothing
happens but one bookmark a minute and kind.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import msgspec

from kubelite.client.client import EVERYTHING, Batch, Client, Selection
from kubelite.client.errors import (
    BadRequest,
    ClientError,
    Forbidden,
    Gone,
    Invalid,
)
from kubelite.client.indexes import IndexFunction, Key, ObjectStore, key_of
from kubelite.client.resources import GroupVersionResource
from kubelite.lib.json import Object

Objects = list[Object]
Handler = Callable[[Object | None, Object | None], None]
"""Called with (None, new), (old, new) or (old, None), in order, in the event loop."""

FIRST_BACKOFF = 0.05
MAX_BACKOFF = 30.0
STEADY_SECONDS = 10.0  # a watch that held for so long was no failure
INITIAL_EVENTS_END = "k8s.io/initial-events-end"

_log = logging.getLogger("kubelite.client.informers")


class SharedObjectChangedError(AssertionError):
    """Somebody has changed an object of an informer in place."""


class Informer:
    """The view of one kind. Made by :meth:`Informers.of`."""

    def __init__(
        self,
        client: Client,
        resource: GroupVersionResource,
        selection: Selection,
        *,
        metadata_only: bool,
        check_shared: bool,
    ) -> None:
        self.resource = resource
        self.synced = False  # whether everything there was at the start is in view
        self.revision = 0  # up to where the view has come
        self._client = client
        self._selection = selection
        self._metadata_only = metadata_only
        self._store = ObjectStore()
        self._handlers: list[Handler] = []
        self._sync = asyncio.Event()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._number = itertools.count()
        self._streams_lists = True
        self._relist = True
        self._digests: dict[Key, bytes] | None = {} if check_shared else None
        self._task: asyncio.Task[None] | None = None

    # Reading

    def get(self, namespace: str, name: str) -> Object | None:
        """The object, or None; ``namespace`` is "" for objects of the cluster."""
        return self._store.get(namespace, name)

    def list(self, namespace: str | None = None) -> Objects:
        """The objects of a namespace, or all."""
        return self._store.list(namespace)

    def by_index(self, name: str, value: str) -> Objects:
        """The objects under a value of an index: owner, controller, node, uid, or an added one."""
        return self._store.by_index(name, value)

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Adds an index: ``function(obj)`` gives the values under which an object is found."""
        self._store.add_index(name, function)

    def __len__(self) -> int:
        return len(self._store)

    # Following

    def add_handler(self, handler: Handler) -> None:
        """Calls ``handler(old, new)`` for every change from now on, and at once with (None, obj)
        for every object in view. An exception is logged and stops nobody else.
        """
        self._handlers.append(handler)
        for obj in self._store:
            _call(handler, None, obj)

    def remove_handler(self, handler: Handler) -> None:
        """Calls it no more."""
        self._handlers.remove(handler)

    async def wait_synced(self) -> None:
        """Returns when everything there was at the start is in view."""
        await self._sync.wait()

    async def at_least(self, revision: int | str | Mapping[str, Any]) -> None:
        """Returns when the view has come to a revision of this kind: a number, or a written object.

        For creates, updates and patches of this kind: revisions of others do not move the view
        until the next bookmark, and the answer to a delete does not carry the revision of the
        deletion (see :meth:`until_gone`).
        """
        if isinstance(revision, Mapping):
            revision = (revision.get("metadata") or {}).get("resourceVersion") or 0
        number = int(revision)
        if number <= self.revision:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (number, next(self._number), future))
        await future

    async def until_gone(self, obj: Mapping[str, Any]) -> None:
        """Returns when the view no longer has this object, by name and uid."""
        metadata = obj["metadata"]
        key = (metadata.get("namespace") or "", metadata["name"])
        while True:
            now = self._store.get(*key)
            if now is None or now["metadata"]["uid"] != metadata["uid"]:
                return
            await self.at_least(self.revision + 1)

    # The task

    def start(self) -> None:
        """Begins to follow; needs a running event loop."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow(), name=f"informer-{self.resource}")

    async def close(self) -> None:
        """Ends the task. The view stays as it is."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _follow(self) -> None:
        clock = asyncio.get_running_loop().time
        backoff = FIRST_BACKOFF
        while True:
            begun = clock()
            failure = await self._attempt()
            if clock() - begun > STEADY_SECONDS:
                backoff = FIRST_BACKOFF
            if failure is None and clock() - begun > 1.0:
                continue  # the server ends a watch now and then
            pause = max(backoff, getattr(failure, "retry_after", 0.0)) * random.uniform(0.75, 1.25)
            if failure is not None and not isinstance(failure, Gone):
                _log.info("%s: %s; again in %.1f s", self.resource, failure, pause)
            await asyncio.sleep(pause)
            backoff = min(2 * backoff, MAX_BACKOFF)

    async def _attempt(self) -> Exception | None:
        """Follows until the watch ends. Returns what has failed."""
        try:
            if not self._relist:
                await self._watch(str(self.revision))
            elif self._streams_lists:
                await self._watch("")
            else:
                await self._list()
                await self._watch(str(self.revision))
        except Gone as error:
            self._relist = True
            return error
        except (Invalid, BadRequest, Forbidden) as error:
            if not self._relist:
                return error
            self._streams_lists = not self._streams_lists  # old servers refuse streaming lists
            return error
        except ClientError as error:
            return error
        except SharedObjectChangedError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it was, the view must go on
            _log.exception("the informer of %s failed and starts again", self.resource)
            self._relist = True
            return error
        return None

    async def _list(self) -> None:
        pages = self._client.pages(
            self.resource, self._selection, metadata_only=self._metadata_only
        )
        listed: dict[Key, Object] = {}
        revision = 0
        async for page in pages:
            listed.update((key_of(obj), obj) for obj in page.items)
            revision = int(page.resource_version or 0)
        self._replace(listed, revision)

    async def _watch(self, revision: str) -> None:
        """Follows from a revision; from "" lists by the stream first."""
        initial = self._relist
        listed: dict[Key, Object] = {}
        async with self._client.watch(
            self.resource,
            self._selection,
            resource_version=revision,
            initial_events=initial,
            metadata_only=self._metadata_only,
        ) as batches:
            async for batch in batches:
                rest = batch
                if initial:
                    rest, initial = self._take_initial(batch, listed)
                self._take(rest)

    def _take_initial(self, batch: Batch, listed: dict[Key, Object]) -> tuple[Batch, bool]:
        """Collects a streaming list. Returns the events after its end, and whether it goes on."""
        for position, event in enumerate(batch):
            metadata = event.object["metadata"]
            if event.type != "BOOKMARK":
                listed[key_of(event.object)] = event.object
            elif (metadata.get("annotations") or {}).get(INITIAL_EVENTS_END) == "true":
                self._replace(listed, int(metadata["resourceVersion"]))
                return batch[position + 1 :], False
        return [], True

    # Changes

    def _replace(self, listed: dict[Key, Object], revision: int) -> None:
        """Takes over a whole list; handlers get what differs from before."""
        self._relist = False
        for key in self._store.keys() - listed.keys():
            self._remove(key)
        for key, obj in listed.items():
            self._put(key, obj)
        self._advance(revision)
        if not self.synced:
            self.synced = True
            self._sync.set()

    def _take(self, batch: Batch) -> None:
        if not batch:
            return
        for event in batch:
            if event.type == "DELETED":
                self._remove(key_of(event.object), event.object)
            elif event.type != "BOOKMARK":
                self._put(key_of(event.object), event.object)
        self._advance(int(batch[-1].object["metadata"]["resourceVersion"]))

    def _put(self, key: Key, obj: Object) -> None:
        metadata = obj["metadata"]
        metadata.pop("managedFields", None)
        old = self._store.get(*key)
        if old is not None and old["metadata"].get("resourceVersion") == metadata.get(
            "resourceVersion"
        ):
            return
        self._check(key, old)
        self._store.put(key, obj)
        if self._digests is not None:
            self._digests[key] = msgspec.json.encode(obj)
        for handler in self._handlers:
            _call(handler, old, obj)

    def _remove(self, key: Key, last: Object | None = None) -> None:
        old = self._store.pop(key)
        if old is None:
            return
        self._check(key, old)
        if last is not None:
            last["metadata"].pop("managedFields", None)
        for handler in self._handlers:
            _call(handler, last or old, None)

    def _check(self, key: Key, old: Object | None) -> None:
        if self._digests is None or old is None:
            return
        before = self._digests.pop(key, None)
        if before is not None and before != msgspec.json.encode(old):
            raise SharedObjectChangedError(f"{self.resource} {key} was changed in place")

    def _advance(self, revision: int) -> None:
        self.revision = max(self.revision, revision)
        while self._waiting and self._waiting[0][0] <= self.revision:
            future = heapq.heappop(self._waiting)[2]
            if not future.done():
                future.set_result(None)


def _call(handler: Handler, old: Object | None, new: Object | None) -> None:
    try:
        handler(old, new)
    except Exception:  # noqa: BLE001  # one handler's fault must not stop the others
        _log.exception("a handler failed")


class Informers:
    """The informers of a process, one for each kind and selection. Needs a running event loop."""

    def __init__(self, client: Client, *, check_shared: bool = False) -> None:
        self._client = client
        self._check_shared = check_shared
        self._informers: dict[tuple[GroupVersionResource, Selection, bool], Informer] = {}

    def of(
        self,
        resource: GroupVersionResource,
        selection: Selection = EVERYTHING,
        *,
        metadata_only: bool = False,
    ) -> Informer:
        """The informer of a kind, started when it is new.

        With ``metadata_only`` objects have no spec and status, unless a whole copy exists anyway.
        """
        whole = self._informers.get((resource, selection, False))
        if whole is not None and metadata_only:
            return whole
        key = (resource, selection, metadata_only)
        informer = self._informers.get(key)
        if informer is None:
            informer = self._informers[key] = Informer(
                self._client,
                resource,
                selection,
                metadata_only=metadata_only,
                check_shared=self._check_shared,
            )
            informer.start()
        return informer

    async def wait_synced(self) -> None:
        """Returns when every informer made so far has its first view."""
        await asyncio.gather(
            *(informer.wait_synced() for informer in list(self._informers.values()))
        )

    async def drop(
        self, resource: GroupVersionResource, selection: Selection | None = None
    ) -> None:
        """Ends the informers of a kind, or of one selection of it, that nobody needs any more."""
        for key in [key for key in self._informers if key[0] == resource]:
            if selection is None or key[1] == selection:
                await self._informers.pop(key).close()

    async def close(self) -> None:
        """Ends all informers."""
        await asyncio.gather(*(informer.close() for informer in self._informers.values()))
        self._informers.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
