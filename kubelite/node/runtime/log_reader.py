"""Reading container logs: CRI lines on disk, rotated files included, and following them as they
grow.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

_CHUNK = 1 << 16
_PAUSE = 0.05
_HEAD = len("2026-11-30T12:00:00.000000000Z stdout F ")
# What stands in each whole record; more or fewer of them than lines, and lines are read one by one.
_WHOLE = (b"Z stdout F ", b"Z stderr F ")


class LogLine(NamedTuple):
    """One CRI record: RFC 3339 time, ``stdout`` or ``stderr``, the bytes with their newline unless
    the line goes on.
    """

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
    """Who can write to the directory may have put a link or a pipe there: only a file that has no
    other name is read (CVE-2025-0750)."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode) and status.st_nlink <= 1:
        return fd
    os.close(fd)
    raise OSError(errno.EPERM, "not a file of the log's own", path)


def files(directory: str, attempt: int) -> list[str]:
    """The log files of one attempt, oldest first; the live one is last."""
    live = f"{attempt}.log"
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    rotated = sorted(name for name in names if name.startswith(live + "."))
    return [f"{directory}/{name}" for name in (*rotated, *([live] if live in names else []))]


def _blocks(fd: int) -> Iterator[bytes]:
    """Whole lines from the present position to the end of the file; an unfinished one stays
    unread.
    """
    rest = b""
    while chunk := os.read(fd, _CHUNK):
        data = rest + chunk
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        if end:
            yield data[:end]
    if rest:
        os.lseek(fd, -len(rest), os.SEEK_CUR)


def _last_lines(fd: int, count: int) -> tuple[int, int]:
    """Where the last ``count`` lines of a file begin, and how many there are, at most ``count``.

    Reads backwards in blocks: it costs those lines, however long the file is. An unfinished last
    line does not count.
    """
    position = os.fstat(fd).st_size
    lines = 0
    while position > 0:
        start = max(position - _CHUNK, 0)
        block = os.pread(fd, position - start, start)
        end = len(block)
        while (newline := block.rfind(b"\n", 0, end)) >= 0:
            if lines == count:
                return start + newline + 1, count
            lines += 1
            end = newline
        position = start
    return 0, lines


class _Reader:
    """A position in the files of one attempt: from the oldest on, through every rotation, never
    past a line. ``tail`` begins at the last lines.
    """

    def __init__(self, directory: str, attempt: int, tail: int | None = None) -> None:
        self._directory = directory
        self._attempt = attempt
        self._fd = -1 if tail is None else self._open_at(tail)

    def _open_at(self, count: int) -> int:
        """The file in which the last ``count`` lines begin, at that position; -1 if none exists."""
        chosen = -1
        for path in reversed(files(self._directory, self._attempt)):
            try:
                fd = _open(path)
            except FileNotFoundError:
                continue  # rotated just now: the next older one has its lines
            if chosen >= 0:
                os.close(chosen)
            chosen = fd
            start, lines = _last_lines(fd, count)
            os.lseek(fd, start, os.SEEK_SET)
            count -= lines
            if start > 0 or count <= 0:
                break
        return chosen

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def lines(self) -> Iterator[bytes]:
        """All lines that are there now and were not read yet."""
        for block in self.blocks():
            yield from block[:-1].split(b"\n")

    def blocks(self) -> Iterator[bytes]:
        """The same in blocks of whole lines, each ending with a newline."""
        while True:
            if self._fd >= 0:
                yield from _blocks(self._fd)
            following = self._next()
            if following < 0:
                return
            if self._fd >= 0:
                # It was still written to when we saw its end; since it has a successor nobody does
                # any more.
                yield from _blocks(self._fd)
                os.close(self._fd)
            self._fd = following

    def _next(self) -> int:
        """The file after ours, opened; -1 while ours is the live one or there is none."""
        while True:
            paths = files(self._directory, self._attempt)
            place = self._place(paths)
            if place >= len(paths):
                return -1
            try:
                fd = _open(paths[place])
            except FileNotFoundError:
                continue
            # The live file may have been rotated before it was opened: then another one has this
            # name.
            if self._place(files(self._directory, self._attempt)) == place and self._is(
                fd, paths[place]
            ):
                return fd
            os.close(fd)

    def _place(self, paths: list[str]) -> int:
        """Where the file after ours is in the list; a file that was removed is followed by the
        oldest.
        """
        for place, path in enumerate(paths):
            if self._fd >= 0 and self._is(self._fd, path):
                return place + 1
        return 0

    @staticmethod
    def _is(fd: int, path: str) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False))
        except FileNotFoundError:
            return False


def read(
    directory: str,
    attempt: int,
    *,
    tail: int | None,
    since: str | None,
    more: Callable[[], bool] | None,
) -> Iterator[LogLine]:
    """The lines of one attempt. ``tail`` keeps the last N, ``since`` drops those before an RFC 3339
    time.

    ``more`` is asked, when all has been read, whether to wait for further lines; None means no.
    """
    reader = _Reader(directory, attempt, tail)
    try:
        yield from _parsed(reader, since)
        while more is not None:
            going_on = more()
            yield from _parsed(reader, since)
            if not going_on:
                return
            time.sleep(_PAUSE)
    finally:
        reader.close()


def read_text(directory: str, attempt: int, *, tail: int | None) -> Iterator[bytes]:
    """The text of one attempt's log that is there now, in blocks of whole records, without times.

    A log of a million lines costs little more than copying it: records are cut by their fixed
    width where a block has only whole lines of the shim's form.
    """
    reader = _Reader(directory, attempt, tail)
    try:
        for block in reader.blocks():
            yield _text(block)
    finally:
        reader.close()


def _text(block: bytes) -> bytes:
    records = block.split(b"\n")
    records.pop()
    if sum(map(block.count, _WHOLE)) == len(records):
        return b"\n".join([record[_HEAD:] for record in records]) + b"\n"
    parsed = map(parse, records)
    return b"".join(record.text for record in parsed if record is not None)


def _parsed(reader: _Reader, since: str | None) -> Iterator[LogLine]:
    for line in reader.lines():
        log_line = parse(line)
        if log_line is not None and (since is None or log_line.time >= since):
            yield log_line
