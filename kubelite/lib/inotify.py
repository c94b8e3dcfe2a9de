"""Hearing from the kernel that a directory has changed, so that nobody has to look again and again."""

from __future__ import annotations

import ctypes
import os
import struct

MODIFIED, MOVED_IN, CREATED, GONE = 0x2, 0x80, 0x100, 0x400 | 0x800
"""A file in it was written to; something was renamed into it, or made in it; it was itself removed
or renamed.
"""
_IGNORED = 0x8000
_HEAD = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """What happens in the directory ``path`` of the kinds ``mask``. Raises OSError, also where this
    user has too many.
    """

    def __init__(self, path: str, mask: int) -> None:
        self._fd = self._call("inotify_init1", os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._call("inotify_add_watch", self._fd, os.fsencode(path), mask)
        except OSError:
            os.close(self._fd)
            raise

    @staticmethod
    def _call(name: str, *words: int | bytes) -> int:
        done: int = getattr(_libc, name)(*words)
        if done < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{name}: {os.strerror(number)}")
        return done

    def fileno(self) -> int:
        """Readable when something has happened."""
        return self._fd

    def read(self) -> list[tuple[int, str]]:
        """What has happened since the last call: kind, and the name in the directory, "" for the
        directory itself.
        """
        try:
            data = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return []
        found, at = [], 0
        while at < len(data):
            _, kind, _, size = _HEAD.unpack_from(data, at)
            name = data[at + _HEAD.size : at + _HEAD.size + size].rstrip(b"\0")
            at += _HEAD.size + size
            if not kind & _IGNORED:
                found.append((kind, os.fsdecode(name)))
        return found

    def close(self) -> None:
        """Ends it."""
        os.close(self._fd)
