"""Ranges of 65536 user and group ids for pods with a user namespace, each used by one pod of this
machine.

The kernel tells which ranges are in use: those that the user namespace of some process maps,
whatever state root or program it belongs to. A lock of the machine is held from the choice until
pause has its map.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.launch_plan import IDS

# Ranges by number: from 2**28 on, above the ids that useradd assigns, and below 2**31.
FIRST, LAST = 0x1000, 0x7FFF
_LOCK = "/run"


@contextmanager
def reserved(uid: str) -> Iterator[int]:
    """The first id of a free range for a pod; no other is assigned within the block. Raises
    RuntimeFailure.
    """
    fd = os.open(_LOCK, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield choose(uid, taken())
    finally:
        os.close(fd)


def choose(uid: str, used: Collection[int]) -> int:
    """The first id of an unused range; the search starts at a number derived from the pod's uid.
    Raises RuntimeFailure.
    """
    count = LAST - FIRST + 1
    start = zlib.crc32(uid.encode())
    for step in range(count):
        number = FIRST + (start + step) % count
        if number not in used:
            return number * IDS
    raise RuntimeFailure(
        f"all {count} ranges of user ids are in use by user namespaces of this machine"
    )


def taken() -> set[int]:
    """The numbers of all ranges that the user namespace of some process maps, even in part."""
    used: set[int] = set()
    namespaces: set[str] = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                namespace = os.readlink(f"/proc/{name}/ns/user")
                if namespace not in namespaces:
                    with open(f"/proc/{name}/uid_map", encoding="ascii") as file:
                        used |= ranges(file.read())
                namespaces.add(namespace)
            except OSError:
                continue
    return used


def ranges(text: str) -> set[int]:
    """The numbers of the ranges that a uid_map touches, user_namespaces(7). The map of the first
    namespace is everything.
    """
    numbers: set[int] = set()
    for line in text.splitlines():
        _, outside, size = map(int, line.split())
        if size < 1 << 31:
            numbers.update(range(outside // IDS, (outside + size - 1) // IDS + 1))
    return numbers
