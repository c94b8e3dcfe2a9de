"""Watches: what happened to the objects of a list since a revision, as one JSON object a line, for
as long as options.

An object that comes to match a selector is ADDED, one that ceases to is DELETED (apiserver,
``cacher``). A watch too far behind ends with an ERROR event that holds a 410, and the client lists
again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from random import uniform
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.strategy import strategy
from kubelite.control.api.tables import tables
from kubelite.control.api.verbs.read import check_match, include, version
from kubelite.control.api.wire import selectors
from kubelite.control.api.wire.answer import Stream
from kubelite.control.api.wire.documents import encode, load
from kubelite.control.api.wire.status import StatusError, bad_request, expired
from kubelite.control.store.types import Compacted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from aiohttp import web

    from kubelite.control.api.wire.request import Request
    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.api.wire.selectors import Selector
    from kubelite.control.store.store import Store
    from kubelite.control.store.types import Entry, Event
    from kubelite.control.store.watch import Watcher

BOOKMARK_SECONDS = 60.0
DEFAULT_SECONDS = 1800.0
_DECODED = 256


class _Recent:
    """The latest entries that were decoded, so that many watchers with selectors decode each of
    them once.
    """

    def __init__(self) -> None:
        self._objects: OrderedDict[int, tuple[Entry, dict[str, Any]]] = OrderedDict()

    def load(self, entry: Entry) -> dict[str, Any]:
        """The object of an entry, shared: not to be changed."""
        known = self._objects.get(id(entry))
        if known is not None:
            return known[1]
        obj = load(entry)
        self._objects[id(entry)] = (entry, obj)
        if len(self._objects) > _DECODED:
            self._objects.popitem(last=False)
        return obj


_recent = _Recent()


class WatchOptions(NamedTuple):
    """What a watch asks for."""

    selector: Selector
    after: int | None
    initial: bool
    bookmarks: bool
    seconds: float


def watch_options(request: Request) -> WatchOptions:
    """The options of a watch, checked. ``after`` None begins with the present state. Raises
    StatusError.
    """
    query = request.query
    fields = query.text("fieldSelector")
    if request.name:
        fields = f"metadata.name={request.name}" + ("," + fields if fields else "")
    selector = strategy.selector(request.resource, query.text("labelSelector"), fields)
    initial = query.flag("sendInitialEvents")
    match, revision = query.text("resourceVersionMatch"), query.text("resourceVersion")
    if query.text("continue"):
        raise bad_request("continue may not be used with watch")
    if initial:
        if match != "NotOlderThan":
            raise StatusError(
                422,
                "Invalid",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                {"group": "meta.k8s.io", "kind": "ListOptions"},
            )
        version(revision)
    elif match:
        check_match(match, "")
    number = version(revision)
    seconds = query.number("timeoutSeconds")
    limit = float(seconds) if seconds and seconds > 0 else DEFAULT_SECONDS * uniform(1, 2)
    after = None if initial or number == 0 else number
    return WatchOptions(selector, after, initial, query.flag("allowWatchBookmarks"), limit)


async def watch(store: Store, request: Request) -> Stream:
    """GET of a watch. Raises StatusError."""
    options = watch_options(request)
    lines = _Lines(request)
    first: list[bytes] = []
    if options.after is None:
        first, after = await _present(store, request, options, lines)
    else:
        after = options.after
    try:
        watcher = store.watch(request.resource.prefix, after=after)
    except Compacted as error:
        return _streamed(partial(_refused, error))
    return _streamed(partial(_follow, request, options, lines, first, watcher))


async def _present(
    store: Store, request: Request, options: WatchOptions, lines: _Lines
) -> tuple[list[bytes], int]:
    """Everything there is as ADDED events, and the revision it is of."""
    page = await store.page(request.resource.prefix, request.namespace)
    shown = [
        lines.line("ADDED", entry)
        for entry in page.entries
        if _matches(request.resource, options.selector, entry)
    ]
    if options.initial and options.bookmarks:
        shown.append(lines.bookmark(page.revision, initial=True))
    return shown, page.revision


def _matches(res: Resource, selector: Selector, entry: Entry | None) -> bool:
    if entry is None:
        return False
    if selector == selectors.EVERYTHING:
        return True
    return selector.matches(strategy.served(res, _recent.load(entry)))


class _Lines:
    """Events in the form that was asked for."""

    def __init__(self, request: Request) -> None:
        self._res = request.resource
        self._form = request.form().name
        self._include = include(request) if self._form == "table" else ""
        self._headed = False

    def line(self, kind: str, entry: Entry) -> bytes:
        """One event. A Table names its columns in the first one only."""
        if self._form == "plain" and self._res.as_stored:
            return b'{"type":"%b","object":%b}\n' % (kind.encode(), entry.value)
        obj = strategy.served(self._res, _recent.load(entry))
        if self._form == "partial":
            obj = tables.partial(obj)
        elif self._form == "table":
            metadata = {"resourceVersion": str(entry.revision)}
            obj = strategy.render_table(
                self._res,
                [obj],
                now=datetime.now(UTC),
                include=self._include,
                columns=not self._headed,
                metadata=metadata,
            )
            self._headed = True
        return b'{"type":"%b","object":%b}\n' % (kind.encode(), encode(obj))

    def deleted(self, event: Event) -> bytes:
        """The object as it last was, at the revision of its deletion."""
        previous = event.previous
        if previous is None:
            return b""
        old = b'"resourceVersion":"%d"' % previous.revision
        value = previous.value.replace(old, b'"resourceVersion":"%d"' % event.revision, 1)
        return self.line("DELETED", previous._replace(value=value, revision=event.revision))

    def bookmark(self, revision: int, *, initial: bool = False) -> bytes:
        """How far the watch has come."""
        metadata: dict[str, Any] = {"resourceVersion": str(revision), "creationTimestamp": None}
        if initial:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        obj: dict[str, Any] = {
            "kind": self._res.kind,
            "apiVersion": self._res.gv,
            "metadata": metadata,
        }
        if self._form == "table":
            obj = strategy.render_table(
                self._res, [], now=datetime.now(UTC), columns=False, metadata=metadata
            )
        elif self._form == "partial":
            obj = tables.partial(obj)
        return encode({"type": "BOOKMARK", "object": obj}) + b"\n"


def lines_of(
    events: list[Event], res: Resource, namespace: str, selector: Selector, lines: _Lines
) -> list[bytes]:
    """The lines that a watcher of a namespace with a selector gets for events."""
    inside = f"/registry/{res.prefix}/{namespace}/" if namespace else "/"
    shown: list[bytes] = []
    for event in events:
        if not event.key.startswith(inside):
            continue
        now, before = _matches(res, selector, event.entry), _matches(res, selector, event.previous)
        if now and event.entry is not None:
            shown.append(lines.line("MODIFIED" if before else "ADDED", event.entry))
        elif before:
            shown.append(lines.deleted(event))
    return shown


async def _follow(
    request: Request, options: WatchOptions, lines: _Lines, first: list[bytes], watcher: Watcher
) -> AsyncGenerator[bytes, None]:
    """What a watch sends, until its time is over, the store closes or history is lost."""
    clock = asyncio.get_running_loop().time
    end = clock() + options.seconds
    bookmark = clock() + BOOKMARK_SECONDS * uniform(0.8, 1.0) if options.bookmarks else end
    try:
        for start in range(0, len(first), 100):
            yield b"".join(first[start : start + 100])
        while not watcher.ended and clock() < end:
            shown = lines_of(
                watcher.ready(), request.resource, request.namespace, options.selector, lines
            )
            if clock() >= bookmark < end:
                bookmark = clock() + BOOKMARK_SECONDS
                shown.append(lines.bookmark(watcher.revision))
            if shown:
                yield b"".join(shown)
            else:
                await watcher.wait_until(min(end, bookmark))
        if options.bookmarks:
            yield lines.bookmark(watcher.revision)
    except Compacted as error:
        yield error_line(error)
    finally:
        watcher.close()


async def _refused(error: Compacted) -> AsyncGenerator[bytes, None]:
    yield error_line(error)


def _streamed(pieces: Callable[[], AsyncGenerator[bytes, None]]) -> Stream:
    """Pieces as an answer: written to a connection, or read in this process."""
    return Stream(lambda connection: _write(connection, pieces()), pieces)


async def _write(
    connection: web.Request, pieces: AsyncGenerator[bytes, None]
) -> web.StreamResponse:
    """Writes until there is no more, or the client leaves."""
    from aiohttp import web

    response = web.StreamResponse(
        headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
    )
    response.enable_chunked_encoding()
    async with aclosing(pieces):
        await response.prepare(connection)
        try:
            async for piece in pieces:
                await response.write(piece)
        except ConnectionError:
            return response
    await response.write_eof()
    return response


def error_line(error: Compacted) -> bytes:
    """The last event of a watch whose revision is no longer kept."""
    gone = expired(f"too old resource version: {error.wanted} ({error.oldest})")
    return encode({"type": "ERROR", "object": gone.status}) + b"\n"
