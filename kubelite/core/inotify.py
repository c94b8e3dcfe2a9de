"""Notification of changes in directories, inotify(7)."""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

from kubelite.core import native

MODIFIED, MOVED_IN, CREATED, DELETED, GONE = 0x2, 0x80, 0x100, 0x200, 0x400 | 0x800
"""IN_MODIFY and IN_MOVED_TO and IN_CREATE and IN_DELETE of an entry; IN_DELETE_SELF or
IN_MOVE_SELF of the directory.
"""
OVERFLOW = 0x4000
"""Events are lost, of any directory."""
UNLINKED = 0x4
"""IN_ATTRIB: of a file that is still open, the only word of it when its name is removed."""
_IN_IGNORED = 0x8000
_HEAD = struct.Struct("iIII")


class Change(NamedTuple):
    """One event: its kind, the name of the entry, "" for the directory itself, and the directory as
    it was named, "" for OVERFLOW.
    """

    kind: int
    name: str
    directory: str


class Watch:
    """Events of the kinds ``mask`` in the directory ``path``, or of a file, and those that are
    added. Raises OSError, also when this user watches too many files.
    """

    def __init__(self, path: str, mask: int) -> None:
        self._fd = native.inotify(path, mask)
        self._mask = mask
        self._directories = {1: path}

    def add(self, path: str) -> None:
        """From now on tells of this directory too. Raises OSError."""
        self._directories[native.inotify_add(self._fd, path, self._mask)] = path

    def fileno(self) -> int:
        """Readable when there are events."""
        return self._fd

    def read(self) -> list[Change]:
        """The events since the last call, without waiting."""
        try:
            data = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return []
        changes, offset = [], 0
        while offset < len(data):
            number, kind, _, size = _HEAD.unpack_from(data, offset)
            offset += _HEAD.size
            name = os.fsdecode(data[offset : offset + size].rstrip(b"\0"))
            offset += size
            if kind & _IN_IGNORED:
                self._directories.pop(number, None)
            else:
                changes.append(Change(kind, name, self._directories.get(number, "")))
        return changes

    def close(self) -> None:
        """Stops watching."""
        os.close(self._fd)
