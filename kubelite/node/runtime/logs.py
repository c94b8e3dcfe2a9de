"""Reading container logs: CRI lines on disk, rotated files included, and following them as they grow."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

_CHUNK = 1 << 16
_PAUSE = 0.05


class LogLine(NamedTuple):
    """One CRI record: RFC 3339 time, ``stdout`` or ``stderr``, the bytes with their newline unless the line goes on."""

    time: str
    stream: str
    text: bytes


def parse(line: bytes) -> LogLine | None:
    """``TIME STREAM TAG TEXT`` to a LogLine; None for a line that is not of this form."""
    parts = line.split(b" ", 3)
    if len(parts) != 4 or parts[1] not in (b"stdout", b"stderr"):
        return None
    end = b"" if parts[2] == b"P" else b"\n"
    return LogLine(parts[0].decode("ascii", "replace"), parts[1].decode(), parts[3] + end)


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)


def files(directory: str, attempt: int) -> list[str]:
    """The log files of one attempt, oldest first; the live one is last."""
    live = f"{attempt}.log"
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    rotated = sorted(name for name in names if name.startswith(live + "."))
    return [f"{directory}/{name}" for name in (*rotated, *([live] if live in names else []))]


def _lines(fd: int) -> Iterator[bytes]:
    """Whole lines from the present position to the end of the file; an unfinished one stays unread."""
    rest = b""
    while chunk := os.read(fd, _CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        os.lseek(fd, -len(rest), os.SEEK_CUR)


def read(
    directory: str, attempt: int, *, tail: int | None, since: str | None, more: Callable[[], bool] | None
) -> Iterator[LogLine]:
    """The lines of one attempt. ``tail`` keeps the last N, ``since`` drops those before an RFC 3339 time.

    ``more`` is asked, when all has been read, whether to wait for further lines; None means no.
    """
    paths = files(directory, attempt)
    lines = _recorded(paths[:-1], since)
    if not paths and more is None:
        return
    live = f"{directory}/{attempt}.log"
    fd = _open(live) if paths else -1
    try:
        first = (*lines, *_parsed(fd, since)) if fd >= 0 else ()
        yield from first if tail is None else deque(first, maxlen=tail)
        while more is not None:
            going_on = more()
            if fd >= 0:
                yield from _parsed(fd, since)
            fd = _follow(fd, live)
            if fd >= 0:
                yield from _parsed(fd, since)
            if not going_on:
                return
            time.sleep(_PAUSE)
    finally:
        if fd >= 0:
            os.close(fd)


def _recorded(paths: list[str], since: str | None) -> Iterator[LogLine]:
    for path in paths:
        fd = _open(path)
        try:
            yield from _parsed(fd, since)
        finally:
            os.close(fd)


def _parsed(fd: int, since: str | None) -> Iterator[LogLine]:
    for line in _lines(fd):
        found = parse(line)
        if found is not None and (since is None or found.time >= since):
            yield found


def _follow(fd: int, live: str) -> int:
    """The descriptor to read on: a new one when the file was rotated away."""
    try:
        info = os.stat(live, follow_symlinks=False)
    except FileNotFoundError:
        return fd
    if fd >= 0 and os.fstat(fd).st_ino == info.st_ino:
        return fd
    if fd >= 0:
        os.close(fd)
    return _open(live)
