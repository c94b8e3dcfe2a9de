"""Watches: what happened to the objects of a list since a revision, as one JSON object a line, for
as long as options.

An object that comes to match a selector is ADDED, one that ceases to is DELETED (apiserver,
``cacher``). A watch too far behind ends with an ERROR event that holds a 410, and the client lists
again.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from random import uniform
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.auth.authentication import offered_protocols
from kubelite.control.api.strategy import strategy
from kubelite.control.api.verbs.read import (
    check_match,
    include,
    length_of_selectors,
    version,
    work_of,
)
from kubelite.control.api.wire import protobuf_encoding, selectors
from kubelite.control.api.wire.answer import Stream
from kubelite.control.api.wire.aside import aside
from kubelite.control.api.wire.documents import encode, load
from kubelite.control.api.wire.negotiation import JSON, PROTOBUF, YAML
from kubelite.control.api.wire.status import StatusError, bad_request, expired, not_acceptable
from kubelite.control.store.types import Compacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from aiohttp import web

    from kubelite.control.api.wire.request import Request
    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.api.wire.selectors import Selector
    from kubelite.control.store.store import Store
    from kubelite.control.store.types import Entry, Event
    from kubelite.control.store.watch import Watcher

BOOKMARK_SECONDS = 60.0
DEFAULT_SECONDS = 1800.0
_DECODED_BYTES = 4 << 20
Groups = AsyncGenerator[list[bytes], None]
GROUP_BYTES = 64 << 10
AT_ONCE = 200  # entries that are shown in one step, at most


class _Recent:
    """The latest entries that were decoded, so that many watchers with selectors decode each of
    them once.
    """

    def __init__(self) -> None:
        self._objects: OrderedDict[int, tuple[Entry, dict[str, Any]]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()  # some are matched aside

    def load(self, entry: Entry) -> dict[str, Any]:
        """The object of an entry, shared: not to be changed."""
        known = self._objects.get(id(entry))
        if known is not None:
            return known[1]
        obj = load(entry)
        with self._lock:
            if id(entry) not in self._objects:
                self._objects[id(entry)] = (entry, obj)
                self._bytes += len(entry.value)
            while self._bytes > _DECODED_BYTES:
                _, (oldest, _) = self._objects.popitem(last=False)
                self._bytes -= len(oldest.value)
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
    """GET of a watch, as a chunked answer or over a WebSocket. Raises StatusError."""
    options = await aside(length_of_selectors(request), watch_options, request)
    lines = _Lines(request)
    first: Groups | None = None
    if options.after is None:
        first, after = await _present(store, request, options, lines)
    else:
        after = options.after
    try:
        watcher = store.watch(request.resource.prefix, after=after)
    except Compacted as error:
        return _streamed(request, lines, partial(_refused, error, lines))
    return _streamed(request, lines, partial(_follow, request, options, lines, first, watcher))


async def _present(
    store: Store, request: Request, options: WatchOptions, lines: _Lines
) -> tuple[Groups, int]:
    """Everything there is as ADDED events, made as they are read, and the revision it is of."""
    page = await store.page(request.resource.prefix, request.namespace)

    def added(entries: Sequence[Entry]) -> list[bytes]:
        res, selector = request.resource, options.selector
        return [lines.line("ADDED", entry) for entry in entries if _matches(res, selector, entry)]

    async def shown() -> Groups:
        for entries in _batches(page.entries):
            work = work_of(entries, options.selector)
            for group in _grouped(iter(await aside(work, added, entries))):
                yield group
        if options.initial and options.bookmarks:
            yield [lines.bookmark(page.revision, initial=True)]

    return shown(), page.revision


def _batches(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Entries in portions of a group: a client that does not read holds one."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += len(entry.value)
        if size >= GROUP_BYTES or len(batch) == AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _matches(res: Resource, selector: Selector, entry: Entry | None) -> bool:
    if entry is None:
        return False
    if selector == selectors.EVERYTHING:
        return True
    return selector.matches(strategy.served(res, _recent.load(entry)))


class _Lines:
    """Events in the form that was asked for: a line of JSON or a frame of protobuf each."""

    def __init__(self, request: Request) -> None:
        form = request.form()
        if form.media_type == YAML:
            raise not_acceptable((JSON, PROTOBUF))
        self._res = request.resource
        self._form = form.name
        self._protobuf = form.media_type == PROTOBUF
        self._include = include(request) if self._form == "table" else ""
        self._headed = False

    @property
    def content_type(self) -> str:
        return f"{PROTOBUF};stream=watch" if self._protobuf else JSON

    def line(self, kind: str, entry: Entry) -> bytes:
        """One event. A Table names its columns in the first one only."""
        if self._form == "plain" and self._res.as_stored and not self._protobuf:
            return b'{"type":"%b","object":%b}\n' % (kind.encode(), entry.value)
        obj = strategy.served(self._res, _recent.load(entry))
        if self._form == "partial":
            obj = strategy.partial(self._res, obj)
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
        return self.encoded(kind, obj)

    def encoded(self, kind: str, obj: dict[str, Any]) -> bytes:
        """An event with an object that is ready to be sent."""
        if self._protobuf:
            return protobuf_encoding.encode_event(kind, obj)
        return b'{"type":"%b","object":%b}\n' % (kind.encode(), encode(obj))

    def error(self, error: Compacted) -> bytes:
        """The last event of a watch whose revision is no longer kept."""
        gone = expired(f"too old resource version: {error.wanted} ({error.oldest})")
        return self.encoded("ERROR", gone.status)

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
            obj = strategy.partial(self._res, obj)
        return self.encoded("BOOKMARK", obj)


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


def _work_on(events: Sequence[Event], selector: Selector) -> int:
    """What it takes to tell of events, as bytes of JSON: without a selector they are mostly given
    as they are.
    """
    if selector == selectors.EVERYTHING:
        return 0
    return sum(
        work_of([entry], selector)
        for event in events
        for entry in (event.entry, event.previous)
        if entry is not None
    )


async def _follow(
    request: Request,
    options: WatchOptions,
    lines: _Lines,
    first: Groups | None,
    watcher: Watcher,
) -> AsyncGenerator[list[bytes], None]:
    """What a watch sends, until its time is over, the store closes or history is lost."""
    clock = asyncio.get_running_loop().time
    end = clock() + options.seconds
    bookmark = clock() + BOOKMARK_SECONDS * uniform(0.8, 1.0) if options.bookmarks else end
    try:
        if first is not None:
            async for group in first:
                yield group
        while not watcher.ended and clock() < end:
            events, revision = watcher.ready(), watcher.revision
            work = _work_on(events, options.selector)
            shown = await aside(
                work, lines_of, events, request.resource, request.namespace, options.selector, lines
            )
            if clock() >= bookmark < end:
                bookmark = clock() + BOOKMARK_SECONDS
                shown.append(lines.bookmark(revision))
            if shown:
                for group in _grouped(iter(shown)):
                    yield group
            else:
                await watcher.wait_until(min(end, bookmark))
        if options.bookmarks:
            yield [lines.bookmark(watcher.revision)]
    except Compacted as error:
        yield [lines.error(error)]
    except StatusError as error:  # an event that no webhook converts
        yield [lines.encoded("ERROR", error.status)]
    finally:
        watcher.close()


def _grouped(events: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Events in groups that are worth a write each: a client that does not read keeps one."""
    group: list[bytes] = []
    size = 0
    for event in events:
        group.append(event)
        size += len(event)
        if size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


async def _refused(error: Compacted, lines: _Lines) -> AsyncGenerator[list[bytes], None]:
    yield [lines.error(error)]


def _streamed(request: Request, lines: _Lines, groups: Callable[[], Groups]) -> Stream:
    """Events as an answer: written to a connection, or read in this process."""

    async def pieces() -> AsyncGenerator[bytes, None]:
        async with aclosing(groups()) as source:
            async for group in source:
                yield b"".join(group)

    if request.headers.get("Upgrade", "").lower() == "websocket":
        return Stream(lambda connection: _write_messages(connection, groups(), lines), pieces)
    return Stream(lambda connection: _write(connection, groups(), lines), pieces)


async def _write(connection: web.Request, groups: Groups, lines: _Lines) -> web.StreamResponse:
    """Writes until there is no more, or the client leaves."""
    from aiohttp.web_response import StreamResponse

    response = StreamResponse(
        headers={"Content-Type": lines.content_type, "Cache-Control": "no-cache, private"}
    )
    response.enable_chunked_encoding()
    async with aclosing(groups):
        await response.prepare(connection)
        try:
            async for group in groups:
                await response.write(b"".join(group))
        except ConnectionError:
            return response
    await response.write_eof()
    return response


async def _write_messages(
    connection: web.Request, groups: Groups, lines: _Lines
) -> web.StreamResponse:
    """The same over a WebSocket, an event a message (apiserver, ``handlers/watch.go``)."""
    from aiohttp.web_ws import WebSocketResponse

    protocols = offered_protocols(connection.headers.get("Sec-WebSocket-Protocol", ""))
    socket = WebSocketResponse(protocols=protocols, autoping=True)
    await socket.prepare(connection)
    reader = asyncio.create_task(_drain(socket))
    try:
        async with aclosing(groups):
            async for group in groups:
                for event in group:
                    if lines.content_type == JSON:
                        await socket.send_str(event.decode())
                    else:
                        await socket.send_bytes(event[4:])  # a message has its own length
                if reader.done():
                    break
    except ConnectionError:
        pass
    finally:
        reader.cancel()
        await socket.close()
    return socket


async def _drain(socket: web.WebSocketResponse) -> None:
    """Reads, and so answers pings, until the client closes; what it says is not for us."""
    async for _ in socket:
        pass
