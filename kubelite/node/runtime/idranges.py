"""The user and group ids of pods with a user namespace: 65536 in one piece for each, and nobody
else's on this machine.

What is taken is read from the kernel: a range is in use while a process lives in a user namespace
that maps it, whichever root or program that is. A lock of the machine is held from the choice until
pause has its map.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from kubelite.node.runtime.bundle import IDS
from kubelite.node.runtime.errors import RuntimeFailure

FIRST, LAST = (
    0x1000,
    0x7FFF,
)  # ranges by number: from 2**28 on, above what useradd hands out, below 2**31
_LOCK = "/run"


@contextmanager
def reserved(uid: str) -> Iterator[int]:
    """The first id of a free range for a pod. While the context lasts nobody else gets one. Raises
    RuntimeFailure.
    """
    fd = os.open(_LOCK, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield choose(uid, taken())
    finally:
        os.close(fd)


def choose(uid: str, used: Collection[int]) -> int:
    """The first id of a range whose number is not used; it begins at a place that the pod names.
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
    """The numbers of all ranges that some living user namespace maps to, wholly or in part."""
    found: set[int] = set()
    seen: set[str] = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                namespace = os.readlink(f"/proc/{name}/ns/user")
                if namespace not in seen:
                    with open(f"/proc/{name}/uid_map", encoding="ascii") as file:
                        found |= ranges(file.read())
                seen.add(namespace)
            except OSError:
                continue
    return found


def ranges(text: str) -> set[int]:
    """The numbers of the ranges that a uid_map touches, user_namespaces(7). The map of the first
    namespace is everything.
    """
    found: set[int] = set()
    for line in text.splitlines():
        _, outside, size = map(int, line.split())
        if size < 1 << 31:
            found.update(range(outside // IDS, (outside + size - 1) // IDS + 1))
    return found
