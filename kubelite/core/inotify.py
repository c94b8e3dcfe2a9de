"""Notification of changes in a directory, inotify(7)."""

from __future__ import annotations

import os
import struct

from kubelite.core import native

MODIFIED, MOVED_IN, CREATED, GONE = 0x2, 0x80, 0x100, 0x400 | 0x800
"""IN_MODIFY and IN_MOVED_TO and IN_CREATE of an entry; IN_DELETE_SELF or IN_MOVE_SELF of the
directory.
"""
_IN_IGNORED = 0x8000
_HEAD = struct.Struct("iIII")


class Watch:
    """Events of the kinds ``mask`` in the directory ``path``. Raises OSError, also when this user
    watches too many files.
    """

    def __init__(self, path: str, mask: int) -> None:
        self._fd = native.inotify(path, mask)

    def fileno(self) -> int:
        """Readable when there are events."""
        return self._fd

    def read(self) -> list[tuple[int, str]]:
        """The events since the last call, without waiting: kind, and the name of the entry, "" for
        the directory itself.
        """
        try:
            data = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return []
        events, offset = [], 0
        while offset < len(data):
            _, kind, _, size = _HEAD.unpack_from(data, offset)
            offset += _HEAD.size
            name = data[offset : offset + size].rstrip(b"\0")
            offset += size
            if not kind & _IN_IGNORED:
                events.append((kind, os.fsdecode(name)))
        return events

    def close(self) -> None:
        """Stops watching."""
        os.close(self._fd)
