"""Writes Events about objects, in the background, in the two forms that Kubernetes' own have.

:class:`EventRecorder` writes core/v1 Events as kube-controller-manager does, with aggregation,
counts and spam limits (see correlation.py). :class:`SeriesRecorder` writes events.k8s.io/v1 Events
as kube-scheduler does, where repeated events become a series.

Recording never waits and never fails: events queue up, one at a time is written, and what does not
fit into the queue, or is refused, is dropped::

    recorder = EventRecorder(client, "deployment-controller")
    recorder.event(deployment, "Normal", "ScalingReplicaSet", "Scaled up ...")
    await recorder.close()
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from kubelite.client.client import Client
from kubelite.client.correlation import Correlator, Occurrence
from kubelite.client.errors import ApiError, ClientError, Conflict, NotFound
from kubelite.client.resources import EVENTS, EVENTS_V1
from kubelite.lib.json import Object

MAX_QUEUED = 20_000
MAX_KNOWN = 4096  # events that may yet become a series
MAX_MESSAGE = 1024
MAX_TRIES = 12
RETRY_SECONDS = 10.0
SERIES_SECONDS = 360.0  # a series that is quiet for so long is over
REFRESH_SECONDS = 1800.0  # a series that goes on is written that often

_log = logging.getLogger("kubelite.client.events")


def reference(obj: Mapping[str, Any], field_path: str = "") -> Object:
    """A core ObjectReference to an object that carries its kind and apiVersion."""
    metadata = obj["metadata"]
    every = {
        "kind": obj.get("kind"),
        "namespace": metadata.get("namespace"),
        "name": metadata.get("name"),
        "uid": metadata.get("uid"),
        "apiVersion": obj.get("apiVersion"),
        "resourceVersion": metadata.get("resourceVersion"),
        "fieldPath": field_path,
    }
    return {key: value for key, value in every.items() if value}


class _Writer:
    """A queue of writes, carried out one after the other by a task that ends when it is empty."""

    def __init__(self) -> None:
        self._queue: deque[Callable[[], Awaitable[None]]] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, write: Callable[[], Awaitable[None]]) -> None:
        if len(self._queue) >= MAX_QUEUED:
            return
        self._queue.append(write)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="event-writer")

    async def _run(self) -> None:
        while self._queue:
            write = self._queue.popleft()
            try:
                await _persistently(write)
            except ApiError as error:
                _log.info("an event was refused: %s", error)
            except ClientError as error:
                _log.warning("an event is lost: %s", error)
            await asyncio.sleep(0)  # events come after everything else
        self._task = None

    async def close(self) -> None:
        """Lets what is queued be written for a moment, then drops the rest."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=1.0)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None


async def _persistently(write: Callable[[], Awaitable[None]]) -> None:
    """Tries again while the server gives no answer, as client-go does. Raises ClientError."""
    for _ in range(MAX_TRIES - 1):
        try:
            return await write()
        except ApiError:
            raise
        except ClientError:
            await asyncio.sleep(RETRY_SECONDS)
    return await write()


class EventRecorder:
    """Core Events of one component, as client-go's ``tools/record`` writes them."""

    def __init__(self, client: Client, component: str, host: str = "") -> None:
        self._client = client
        self._source = {"component": component} | ({"host": host} if host else {})
        self._correlator = Correlator()
        self._writer = _Writer()
        self._last_name = 0

    def event(
        self,
        obj: Mapping[str, Any],
        kind: str,
        reason: str,
        message: str,
        *,
        annotations: Mapping[str, str] | None = None,
        field_path: str = "",
    ) -> None:
        """Something has happened to an object, or to the part of it at ``field_path``; ``kind`` is
        Normal or Warning.
        """
        target = reference(obj, field_path)
        if len(message) > MAX_MESSAGE:
            message = message[: MAX_MESSAGE - 3] + "..."
        identity = {key: value for key, value in target.items() if key != "resourceVersion"}
        occurrence = Occurrence(
            self._source["component"], tuple(identity.items()), kind, reason, message
        )
        now = time.time()
        extra = dict(annotations or {})
        self._writer.put(lambda: self._write(occurrence, target, now, extra))

    async def _write(
        self, occurrence: Occurrence, target: Object, now: float, annotations: Mapping[str, str]
    ) -> None:
        verdict = self._correlator.judge(occurrence, now)
        if verdict is None:
            return
        namespace = target.get("namespace") or "default"
        if verdict.name:
            change = {
                "count": verdict.times,
                "lastTimestamp": _seconds(now),
                "message": verdict.message,
            }
            try:
                await self._client.patch(EVENTS, verdict.name, change, namespace, kind="strategic")
            except NotFound:
                pass  # it has expired: begin anew
            else:
                return
        name = self._new_name(target, now)
        self._correlator.written(verdict, name)
        metadata: Object = {"name": name, "namespace": namespace}
        if annotations:
            metadata["annotations"] = dict(annotations)
        await self._client.create(
            EVENTS,
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": metadata,
                "involvedObject": target,
                "reason": occurrence.reason,
                "message": verdict.message,
                "source": self._source,
                "firstTimestamp": _seconds(verdict.first_seen),
                "lastTimestamp": _seconds(now),
                "count": verdict.times,
                "type": occurrence.type,
                "reportingComponent": self._source["component"],
                "reportingInstance": self._source.get("host", ""),
            },
        )

    def _new_name(self, target: Object, now: float) -> str:
        """client-go's name: that of the object, and the time in nanoseconds, never given twice."""
        self._last_name = max(int(now * 1e9), self._last_name + 1)
        return f"{target.get('name', '')}.{self._last_name:x}"

    async def close(self) -> None:
        """Writes what is queued, for at most a second."""
        await self._writer.close()


class SeriesRecorder:
    """events.k8s.io Events of one controller, as client-go's ``tools/events`` writes them."""

    def __init__(self, client: Client, controller: str, instance: str) -> None:
        self._client = client
        self._controller = controller
        self._instance = instance
        self._writer = _Writer()
        self._known: OrderedDict[tuple[Any, ...], Object] = OrderedDict()
        self._last_name = 0
        self._timer: asyncio.TimerHandle | None = None

    def event(
        self,
        obj: Mapping[str, Any],
        kind: str,
        reason: str,
        action: str,
        note: str,
        *,
        related: Mapping[str, Any] | None = None,
        controller: str = "",
    ) -> None:
        """Something has happened to an object; ``kind`` is Normal or Warning.

        ``controller`` reports in another name than the recorder's, for a second profile.
        """
        now = time.time()
        target = reference(obj)
        other = reference(related) if related is not None else {}
        reporter = controller or self._controller
        key = (kind, action, reason, reporter, *target.items(), *other.items(), note)
        known = self._known.get(key)
        if known is not None and now - _last_seen(known) < SERIES_SECONDS:
            self._repeat(known, now)
            return
        self._last_name = max(int(now * 1e9), self._last_name + 1)
        event: Object = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": f"{target.get('name', '')}.{self._last_name:x}",
                "namespace": target.get("namespace") or "default",
            },
            "eventTime": _micros(now),
            "reportingController": reporter,
            "reportingInstance": self._instance,
            "action": action,
            "reason": reason,
            "regarding": target,
            "note": note[:MAX_MESSAGE],
            "type": kind,
        }
        if other:
            event["related"] = other
        self._known[key] = {"event": event, "seen": now, "count": 0, "written": 0}
        while self._known and (
            len(self._known) > MAX_KNOWN
            or now - _last_seen(next(iter(self._known.values()))) > REFRESH_SECONDS
        ):
            self._known.popitem(last=False)
        self._writer.put(lambda: self._create(event))

    def _repeat(self, known: Object, now: float) -> None:
        """The second occurrence makes a series; later ones are counted and written together."""
        known["count"], known["seen"] = known["count"] + 1, now
        if known["count"] == 1:
            self._writer.put(lambda: self._write_series(known))
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(SERIES_SECONDS, self._write_all_series)

    def _write_all_series(self) -> None:
        self._timer = None
        for known in self._known.values():
            if known["count"] > known["written"]:
                self._writer.put(partial(self._write_series, known))

    async def _create(self, event: Object) -> None:
        try:
            await self._client.create(EVENTS_V1, event)
        except Conflict:
            pass  # written before, by an attempt whose answer was lost

    async def _write_series(self, known: Object) -> None:
        event = known["event"]
        count = known["written"] = known["count"]
        series = {"count": count, "lastObservedTime": _micros(known["seen"])}
        metadata = event["metadata"]
        try:
            await self._client.patch(
                EVENTS_V1,
                metadata["name"],
                {"series": series},
                metadata["namespace"],
                kind="strategic",
            )
        except NotFound:
            await self._create({**event, "series": series})

    async def close(self) -> None:
        """Writes what is queued, for at most a second."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._writer.close()


def _last_seen(known: Object) -> float:
    last_seen: float = known["seen"]
    return last_seen


def _seconds(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _micros(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
