"""Walks a directory tree that containers change meanwhile, however deep it is.

Nothing is followed that is a link. Only two directories are open at a time and nothing recurses:
a container can nest directories deeper than Python's stack, the limit of descriptors, or the length
of a path.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class TreeMoved(Exception):
    """A directory was moved while it was walked: where the walk is cannot be told any more."""


class Entry(NamedTuple):
    """An entry of the tree: ``parent`` is a descriptor of its directory, valid until the walk goes
    on; ``path`` is relative to the top."""

    parent: int
    name: str
    path: str
    status: os.stat_result


def walk(path: str) -> Iterator[Entry]:
    """Every entry below a directory, parents before what is in them, names in order. An entry that
    has vanished is left out.

    Raises TreeMoved, and OSError where a directory cannot be opened.
    """
    return walk_directory(os.open(path, DIRECTORY))


def walk_directory(fd: int) -> Iterator[Entry]:
    """The same for an open directory, whose descriptor is closed at the end."""
    try:
        # For each directory from the top down to the open one: identity, and what is left of it.
        levels = [(_identity(fd), "", _names(fd))]
        while levels:
            _, directory, left = levels[-1]
            if not left:
                levels.pop()
                if levels:
                    fd = _replace(fd, "..")
                    if _identity(fd) != levels[-1][0]:
                        raise TreeMoved(directory)
                continue
            name = left.pop()
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except OSError as error:
                # Gone; or a layer of the overlay itself, which the kernel shows in no other layer.
                if error.errno not in (errno.ENOENT, errno.ELOOP):
                    raise
                continue
            entry = f"{directory}/{name}" if directory else name
            yield Entry(fd, name, entry, status)
            if stat.S_ISDIR(status.st_mode):
                try:
                    fd = _replace(fd, name)
                except (FileNotFoundError, NotADirectoryError):
                    continue  # replaced since its status was read
                levels.append((_identity(fd), entry, _names(fd)))
    finally:
        os.close(fd)


def _replace(fd: int, name: str) -> int:
    """Opens a directory relative to ``fd``, which is closed then."""
    opened = os.open(name, DIRECTORY, dir_fd=fd)
    os.close(fd)
    return opened


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def _names(fd: int) -> list[str]:
    return sorted(os.listdir(fd), reverse=True)
