"""The events of a pod, in the kubelet's words: one file per pod, bounded, append-only."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterable, Iterator

import msgspec

_MAX_BYTES = 48 << 10
_KEPT = 100
_MAX_MESSAGE = 1024
STARTED = "Started"
"""The reason of the event that a container has started."""


class Event(msgspec.Struct, kw_only=True):
    """One event. Times are nanoseconds since 1970; ``type`` is Normal or Warning; ``object`` is the
    pod ("") or one of its containers (``spec.containers{web}``); ``count`` equal events occurred
    from ``first`` to ``time``; ``attempt`` is the container's for a start, else -1."""

    time: int
    type: str
    reason: str
    object: str
    message: str
    first: int = 0
    count: int = 1
    attempt: int = -1


class Timeline:
    """Writes the events of one pod. Those added are in memory until :meth:`flush`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._new: list[Event] = []

    def add(
        self,
        reason: str,
        message: str,
        *,
        object: str = "",
        warning: bool = False,
        attempt: int = -1,
    ) -> None:
        """Adds an event of this moment."""
        now = time.time_ns()
        event = Event(
            time=now,
            type="Warning" if warning else "Normal",
            reason=reason,
            object=object,
            message=message[:_MAX_MESSAGE],
            first=now,
            attempt=attempt,
        )
        self._new.append(event)

    def flush(self) -> None:
        """Appends what was added. Where the disk is full the events are lost, and nothing else."""
        if not self._new:
            return
        lines = _lines(self._new)
        self._new = []
        try:
            with open(self.path, "ab", buffering=0) as file:
                file.write(lines)
                size = file.tell()
            if size > _MAX_BYTES:
                self._shorten()
        except OSError:
            return

    def _shorten(self) -> None:
        temporary = f"{self.path}.tmp"
        with open(temporary, "wb") as file:
            file.write(_lines(read(self.path)[-_KEPT:]))
        os.rename(temporary, self.path)


def path(directory: str) -> str:
    """The event file of the pod with this directory."""
    return f"{directory}/events"


def read(path: str) -> list[Event]:
    """The events of a file, oldest first; equal ones are merged, torn lines left out."""
    merged: dict[tuple[str, str, str], Event] = {}
    for event in _read_lines(path):
        key = (event.reason, event.object, event.message)
        earlier = merged.pop(key, None)
        if earlier is not None:
            event.count += earlier.count
            event.first = earlier.first
        merged[key] = event
    return list(merged.values())


def has_started(path: str, object: str, attempt: int) -> bool:
    """Whether the start of this attempt has its event."""
    return any(
        (event.reason, event.object, event.attempt) == (STARTED, object, attempt)
        for event in _read_lines(path)
    )


def _read_lines(path: str) -> Iterator[Event]:
    try:
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=Event)
        except msgspec.DecodeError:
            continue


def follow(directory: str) -> Iterator[list[Event]]:
    """The events of the pod with this directory, now and after each change, until it is gone."""
    from kubelite.core import inotify

    try:
        watch = inotify.Watch(
            directory, inotify.MODIFIED | inotify.CREATED | inotify.MOVED_IN | inotify.GONE
        )
    except FileNotFoundError:
        return
    try:
        poll = select.poll()
        poll.register(watch, select.POLLIN)
        while os.path.isdir(directory):
            yield read(path(directory))
            poll.poll()
            watch.read()
    finally:
        watch.close()


def _lines(events: Iterable[Event]) -> bytes:
    return b"".join(msgspec.json.encode(event) + b"\n" for event in events)


def of_container(name: str, group: str) -> str:
    """How an event refers to a container of its pod; ``group`` is its field of the spec."""
    return f"spec.{group}{{{name}}}"
