"""Atomic writes, records with a checksum, locks between processes.

A record is one line of JSON and one line with its CRC-32: torn files are detected, and people can
read it. Nothing here knows what the records mean.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
import zlib
from collections.abc import Callable
from typing import TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)
MAX_RECORD_BYTES = 16 << 20


class RecordError(Exception):
    """A record that cannot be used: unreadable, torn, changed, or of an unknown version."""


def write_atomic(path: str, data: bytes, *, durable: bool, mode: int = 0o600) -> None:
    """Replaces the file at ``path`` atomically; ``durable``: it survives a power loss. Raises
    OSError.
    """
    temporary = f"{path}.{os.urandom(4).hex()}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            if os.write(fd, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
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
    """The sorted names of a directory; none when it does not exist or is none. Raises OSError
    otherwise.
    """
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
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


def encode_record(record: msgspec.Struct, spare: int = 0) -> bytes:
    """The two lines of a record. ``spare`` blanks at the end of the first leave room for a longer
    record in the same place.
    """
    line = msgspec.json.encode(record) + b" " * spare
    return b"%s\ncrc32:%08x\n" % (line, zlib.crc32(line))


def decode_record(data: bytes, type: type[T], name: str) -> T:
    """The record in ``data``; ``name`` is for the error. Raises RecordError."""
    line, _, rest = data.partition(b"\n")
    if rest != b"crc32:%08x\n" % zlib.crc32(line):
        raise RecordError(f"{name} is torn or was changed: its checksum does not match")
    try:
        record = msgspec.json.decode(line, type=type)
    except msgspec.DecodeError as error:
        raise RecordError(f"{name} does not hold a record of this kind: {error}") from error
    if getattr(record, "version", 1) != 1:
        raise RecordError(f"{name} was written by a later version")
    return record


def write_record(path: str, record: msgspec.Struct, *, durable: bool, spare: int = 0) -> None:
    """Writes a record atomically. Raises OSError."""
    write_atomic(path, encode_record(record, spare), durable=durable)


def overwrite_record(path: str, record: msgspec.Struct) -> None:
    """Writes a record over the one that is there, in its blocks: for a full disk. A kill in the
    middle can tear it, which its checksum shows. Raises OSError.
    """
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        data = encode_record(record)
        data = encode_record(record, max(os.fstat(fd).st_size - len(data), 0))
        if os.pwrite(fd, data, 0) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        os.ftruncate(fd, len(data))
    finally:
        os.close(fd)


def read_record(path: str, type: type[T]) -> T:
    """Reads a record. Raises FileNotFoundError, and RecordError for anything that is not a whole
    record in a regular file: nothing is followed, nothing blocks, and a damaged disk costs this
    record only.
    """
    try:
        return decode_record(_read_regular(path), type, path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {os.strerror(error.errno or 0)}") from error


def _read_regular(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise RecordError(f"{path} is not a regular file")
        if status.st_size > MAX_RECORD_BYTES:
            raise RecordError(f"{path} is too large for a record: {status.st_size} bytes")
        data = b""
        while chunk := os.read(fd, MAX_RECORD_BYTES):
            data += chunk
        return data
    finally:
        os.close(fd)


class FileLock:
    """An exclusive lock between processes: ``with`` it, or ``acquire`` and ``release`` it.

    ``timeout`` is in seconds, None waits for ever; ``may_create`` is asked before each attempt
    whether the lock's file may be made. The descriptor is close-on-exec, so that no child inherits
    the lock; the kernel gives it back when the holder dies.
    """

    def __init__(
        self,
        path: str,
        *,
        timeout: float | None = None,
        may_create: Callable[[], bool] = lambda: True,
    ) -> None:
        self._path = path
        self._timeout = timeout
        self._may_create = may_create
        self._fd = -1

    def acquire(self) -> FileLock:
        """Takes the lock. Raises TimeoutError, OSError; FileNotFoundError where there is no file
        and none may be made.
        """
        while True:
            create = os.O_CREAT if self._may_create() else 0
            self._fd = os.open(self._path, os.O_RDWR | create | os.O_CLOEXEC, 0o600)
            try:
                self._lock()
                if self.is_current():
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

    def is_current(self) -> bool:
        """Whether the locked file still has its name: somebody may have deleted it."""
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
