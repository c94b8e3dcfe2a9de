"""The pages of memory that a command writes to, taken before the command comes.

A forked child shares all pages with its parent until it writes to them, and Python writes to
whatever it looks at: it counts references. Half of the time of a short command is the kernel
copying pages, one fault each. So a child notes at its end which pages it has made its own, and the
next one takes them at once while it waits.
"""

from __future__ import annotations

import mmap
import os
import resource
import struct
from array import array
from collections.abc import Callable, Iterator

from kubelite.core import native

_FEW_FAULTS = 256
"""A command that has met no more was prepared well enough."""
_ROOM = 16384
_HEAD = struct.Struct("=Q")
_RANGES = (_ROOM - _HEAD.size) // 16
_CHUNK = 2 * 32
"""Numbers, two for each range, between two looks whether somebody waits."""
_GAP = 1
"""Pages between two ranges that make them one."""
_ENTRY = 8
_PRESENT, _OF_FILE, _EXCLUSIVE = 1 << 63, 1 << 61, 1 << 56
"""Bits of an entry of /proc/PID/pagemap (admin-guide/mm/pagemap)."""


class WrittenPages:
    """What children of this process have written to, in memory that they all share. Two may note
    theirs at once: whatever comes of it, only time depends on it.
    """

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, _ROOM)
        self._faults = 0

    def take(self, is_over: Callable[[], bool]) -> None:
        """Makes them this process's own, as far as it gets until ``is_over``."""
        (count,) = _HEAD.unpack_from(self._shared)
        ranges = array("Q", self._shared[_HEAD.size : _HEAD.size + 16 * min(count, _RANGES)])
        for start in range(0, len(ranges), _CHUNK):
            if is_over():
                break
            native.populate(ranges[start : start + _CHUNK])
        self._faults = _faults()

    def note(self) -> None:
        """Notes this process's own, those that it has taken among them, where it lacked many."""
        if _faults() - self._faults <= _FEW_FAULTS:
            return
        ranges = array("Q")
        for first, end in _joined(_own_pages()):
            ranges.extend((first * mmap.PAGESIZE, (end - first) * mmap.PAGESIZE))
        del ranges[2 * _RANGES :]
        self._shared[_HEAD.size : _HEAD.size + 8 * len(ranges)] = ranges.tobytes()
        _HEAD.pack_into(self._shared, 0, len(ranges) // 2)


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _own_pages() -> Iterator[int]:
    """The numbers of the pages of private memory that no other process shares, in order."""
    mask, wanted = _PRESENT | _OF_FILE | _EXCLUSIVE, _PRESENT | _EXCLUSIVE
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        lines = [line.split(maxsplit=2)[:2] for line in file]
    pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)
    for addresses, access in lines:
        if access == "rw-p":
            first, end = (int(part, 16) // mmap.PAGESIZE for part in addresses.split("-"))
            entries = array("Q", os.pread(pagemap, (end - first) * _ENTRY, first * _ENTRY))
            for number, entry in enumerate(entries, first):
                if entry & mask == wanted:
                    yield number
    os.close(pagemap)


def _joined(pages: Iterator[int]) -> list[tuple[int, int]]:
    """Ranges (first, end) of ascending numbers."""
    ranges: list[tuple[int, int]] = []
    for page in pages:
        if ranges and page - ranges[-1][1] <= _GAP:
            ranges[-1] = (ranges[-1][0], page + 1)
        else:
            ranges.append((page, page + 1))
    return ranges
