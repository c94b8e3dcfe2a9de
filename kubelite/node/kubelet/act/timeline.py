"""What happened to a pod, in the kubelet's words: a small file of its own, bounded, that only grows
when something happens.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterable, Iterator

import msgspec

_MOST_BYTES = 48 << 10
_KEPT = 100


class Event(msgspec.Struct, kw_only=True):
    """One line of the timeline. Times are nanoseconds since 1970; ``type`` is Normal or Warning;
    ``object`` is the pod ("") or one of its containers (``spec.containers{web}``); ``count`` equal
    events came from ``first`` to ``time``."""

    time: int
    type: str
    reason: str
    object: str
    message: str
    first: int = 0
    count: int = 1


class Timeline:
    """The events of one pod. Those added are in memory until :meth:`flush`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._new: list[Event] = []

    def add(self, reason: str, message: str, *, object: str = "", warning: bool = False) -> None:
        """Something has happened just now."""
        now = time.time_ns()
        kind = "Warning" if warning else "Normal"
        self._new.append(
            Event(
                time=now, type=kind, reason=reason, object=object, message=message[:1024], first=now
            )
        )

    def flush(self) -> None:
        """Writes what was added; a full disk costs the events, not the pod."""
        if not self._new:
            return
        lines = _lines(self._new)
        self._new = []
        try:
            with open(self._path, "ab", buffering=0) as file:
                file.write(lines)
                size = file.tell()
            if size > _MOST_BYTES:
                self._shorten()
        except OSError:
            return

    def _shorten(self) -> None:
        temporary = f"{self._path}.tmp"
        with open(temporary, "wb") as file:
            file.write(_lines(read(self._path)[-_KEPT:]))
        os.rename(temporary, self._path)


def path(directory: str) -> str:
    """The file of the pod whose directory this is."""
    return f"{directory}/events"


def read(path: str) -> list[Event]:
    """The events of a file, oldest first, equal ones as one with their count; a torn line is left
    out.
    """
    try:
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return []
    found: dict[tuple[str, str, str], Event] = {}
    for line in lines:
        try:
            event = msgspec.json.decode(line, type=Event)
        except msgspec.DecodeError:
            continue
        key = (event.reason, event.object, event.message)
        if (before := found.pop(key, None)) is not None:
            event.count += before.count
            event.first = before.first
        found[key] = event
    return list(found.values())


def follow(directory: str) -> Iterator[list[Event]]:
    """The events of the pod whose directory this is, now and whenever something may have been
    added, until it is gone.
    """
    from kubelite.core import inotify

    try:
        watch = inotify.Watch(
            directory, inotify.MODIFIED | inotify.CREATED | inotify.MOVED_IN | inotify.GONE
        )
    except FileNotFoundError:
        return
    try:
        while os.path.isdir(directory):
            yield read(path(directory))
            select.select([watch], [], [])
            watch.read()
    finally:
        watch.close()


def _lines(events: Iterable[Event]) -> bytes:
    return b"".join(msgspec.json.encode(event) + b"\n" for event in events)


def of_container(name: str, *, init: bool) -> str:
    """How an event names a container of its pod."""
    return f"spec.initContainers{{{name}}}" if init else f"spec.containers{{{name}}}"
