"""What a container has changed in the files of its image: its writable layer, held against the
layers below.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kubelite.node.image.lookup import is_opaque
from kubelite.node.image.unpack import is_whiteout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
ADDED, CHANGED, DELETED = "A", "C", "D"


class FileChange(NamedTuple):
    """``kind`` is one of ADDED, CHANGED and DELETED; ``path`` is that inside the container."""

    kind: str
    path: str


def changes(upper: str, layers: Sequence[str]) -> Iterator[FileChange]:
    """By path. ``layers`` are the image's directories, lowest first. Raises OSError."""
    root = os.open(upper, _DIRECTORY)
    below = [os.open(layer, _DIRECTORY & ~os.O_NOFOLLOW) for layer in reversed(layers)]
    yield from _walk(root, below, "")


def _walk(upper: int, below: list[int], path: str) -> Iterator[FileChange]:
    """Closes what it is given."""
    try:
        names = sorted(os.listdir(upper))
        if is_opaque(upper):
            hidden = {name for layer in below for name in os.listdir(layer)}
            names = sorted({*names, *hidden})
        for name in names:
            yield from _one(upper, below, name, f"{path}/{name}")
    finally:
        for fd in (upper, *below):
            os.close(fd)


def _one(upper: int, below: list[int], name: str, path: str) -> Iterator[FileChange]:
    mine = _status(upper, name)
    there = [found for layer in below if (found := _status(layer, name)) is not None]
    was = bool(there) and not is_whiteout(there[0])
    if mine is None or is_whiteout(mine):
        if was:
            yield FileChange(DELETED, path)
        return
    yield FileChange(CHANGED if was else ADDED, path)
    if stat.S_ISDIR(mine.st_mode):
        inside = os.open(name, _DIRECTORY, dir_fd=upper)
        yield from _walk(inside, list(_directories(below, name)), path)


def _directories(below: list[int], name: str) -> Iterator[int]:
    """The directories of that name that show through each other, topmost first."""
    for layer in below:
        found = _status(layer, name)
        if found is None:
            continue
        if not stat.S_ISDIR(found.st_mode):
            return
        fd = os.open(name, _DIRECTORY, dir_fd=layer)
        yield fd
        if is_opaque(fd):
            return


def _status(directory: int, name: str) -> os.stat_result | None:
    try:
        return os.lstat(name, dir_fd=directory)
    except FileNotFoundError:
        return None
