"""Atomic writes, records with a checksum, locks between processes.

A record is one line of JSON and one line with its CRC-32: torn files are detected, and people can
read it. Nothing here knows what the records mean.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import zlib
from typing import TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


class RecordError(Exception):
    """An invalid record: torn, changed, or of a version that this program does not know."""


def write_atomic(path: str, data: bytes, *, durable: bool, mode: int = 0o600) -> None:
    """Replaces the file at ``path`` in one step. ``durable`` also survives a power loss. Raises
    OSError.
    """
    temporary = f"{path}.{os.urandom(4).hex()}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            os.write(fd, data)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        unlink_missing(temporary)
        raise
    if durable:
        sync_directory(os.path.dirname(path))


def names(directory: str) -> list[str]:
    """The sorted names of a directory; none when it does not exist. Raises OSError otherwise."""
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def unlink_missing(path: str) -> None:
    """Removes a file that may be missing. Raises OSError otherwise."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def sync_directory(path: str) -> None:
    """Flushes a directory, so that its entries survive a power loss."""
    fd = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def flush(path: str) -> None:
    """Flushes a file that was written earlier, and its directory, so that both survive a power
    loss.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    sync_directory(os.path.dirname(path))


def encode_record(record: msgspec.Struct) -> bytes:
    """The two lines of a record."""
    line = msgspec.json.encode(record)
    return b"%s\ncrc32:%08x\n" % (line, zlib.crc32(line))


def decode_record(data: bytes, type: type[T], name: str) -> T:
    """The record in ``data``; ``name`` is for the error. Raises RecordError."""
    line, _, rest = data.partition(b"\n")
    if rest != b"crc32:%08x\n" % zlib.crc32(line):
        raise RecordError(f"{name} is torn or was changed: its checksum is wrong")
    try:
        record = msgspec.json.decode(line, type=type)
    except msgspec.DecodeError as error:
        raise RecordError(f"{name} is not a valid record: {error}") from error
    if getattr(record, "version", 1) != 1:
        raise RecordError(f"{name} was written by a later version")
    return record


def write_record(path: str, record: msgspec.Struct, *, durable: bool) -> None:
    """Writes a record atomically. Raises OSError."""
    write_atomic(path, encode_record(record), durable=durable)


def read_record(path: str, type: type[T]) -> T:
    """Reads a record. Raises FileNotFoundError, RecordError."""
    with open(path, "rb") as file:
        return decode_record(file.read(), type, path)


class FileLock:
    """An exclusive lock between processes: ``with`` it, or ``acquire`` and ``release`` it.

    ``timeout`` is in seconds, None waits for ever. The descriptor is close-on-exec, so that no
    child inherits the lock; the kernel gives it back when the holder dies.
    """

    def __init__(self, path: str, *, timeout: float | None = None) -> None:
        self._path = path
        self._timeout = timeout
        self._fd = -1

    def acquire(self) -> FileLock:
        """Takes the lock, making its file where there is none. Raises TimeoutError, OSError."""
        while True:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._lock()
                if self._is_current():
                    return self
            except BaseException:
                self.release()
                raise
            self.release()

    def release(self) -> None:
        """Gives the lock back; one that is not held is left alone."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> FileLock:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def remove(self) -> None:
        """Deletes the file while the lock is held: whoever waits for it notices and makes a new
        one. No error where it is gone already.
        """
        unlink_missing(self._path)

    def _is_current(self) -> bool:
        """Whether the locked file still has its name: the last holder may have deleted it."""
        try:
            return os.stat(self._path).st_ino == os.fstat(self._fd).st_ino
        except FileNotFoundError:
            return False

    def _lock(self) -> None:
        if self._timeout is None:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            return
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise TimeoutError(f"{self._path} is held by another process") from None
                time.sleep(0.01)
