"""What a layer, or the writable layer of a container, changes in the files of the layers below it.

The container may have nested directories to any depth, so nothing recurses, and of each layer one
directory is open at a time.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kubelite.node.image.errors import ImageError
from kubelite.node.image.lookup import is_opaque
from kubelite.node.image.unpack import is_whiteout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
ADDED, CHANGED, DELETED = "A", "C", "D"


class FileChange(NamedTuple):
    """``kind`` is ADDED, CHANGED or DELETED; ``path`` is the path inside the container."""

    kind: str
    path: str


class _Layer(NamedTuple):
    """A layer of the image, numbered from the topmost, and its open directory."""

    number: int
    fd: int

    def moved_to(self, name: str) -> _Layer:
        """The layer at another directory; the one that was open is closed."""
        opened = os.open(name, _DIRECTORY, dir_fd=self.fd)
        os.close(self.fd)
        return _Layer(self.number, opened)


class _Level:
    """A directory on the way from the top to the current one. ``names`` are still to be compared,
    in reverse order. ``parked`` are the layers that show nothing below it.
    """

    __slots__ = ("identity", "names", "parked", "path")

    def __init__(self, path: str, upper: int, parked: list[_Layer]) -> None:
        status = os.fstat(upper)
        self.path = path
        self.identity = (status.st_dev, status.st_ino)
        self.names: list[str] = []
        self.parked = parked


def changes(upper: str, layers: Sequence[str]) -> Iterator[FileChange]:
    """The changes by path. ``layers`` are the directories below, lowest first. Raises
    OSError, and ImageError where the container moves directories meanwhile.
    """
    comparison = _Comparison(upper, layers)
    try:
        yield from comparison.run()
    finally:
        comparison.close()


class _Comparison:
    """``upper`` and ``below`` (topmost layer first) are open at the directory of the last level."""

    def __init__(self, upper: str, layers: Sequence[str]) -> None:
        self.upper = os.open(upper, _DIRECTORY)
        self.below = [
            _Layer(number, os.open(layer, _DIRECTORY & ~os.O_NOFOLLOW))
            for number, layer in enumerate(reversed(layers))
        ]
        self.levels = [_Level("", self.upper, [])]
        self.levels[0].names = self._names()

    def close(self) -> None:
        os.close(self.upper)
        parked = [layer for level in self.levels for layer in level.parked]
        for layer in (*self.below, *parked):
            os.close(layer.fd)

    def run(self) -> Iterator[FileChange]:
        while True:
            level = self.levels[-1]
            if level.names:
                yield from self._compare(level.names.pop(), level.path)
            elif len(self.levels) > 1:
                self._ascend()
            else:
                return

    def _names(self) -> list[str]:
        """What there is to compare: all names of the writable layer, and those of the image where
        the writable layer has replaced the whole directory.
        """
        names = set(os.listdir(self.upper))
        if is_opaque(self.upper):
            names |= {name for layer in self.below for name in os.listdir(layer.fd)}
        return sorted(names, reverse=True)

    def _compare(self, name: str, directory: str) -> Iterator[FileChange]:
        path = f"{directory}/{name}"
        own = _status(self.upper, name)
        others = [s for layer in self.below if (s := _status(layer.fd, name)) is not None]
        existed = bool(others) and not is_whiteout(others[0])
        if own is None or is_whiteout(own):
            if existed:
                yield FileChange(DELETED, path)
            return
        yield FileChange(CHANGED if existed else ADDED, path)
        if stat.S_ISDIR(own.st_mode):
            self._descend(name, path)

    def _descend(self, name: str, path: str) -> None:
        """Opens the directory in the writable layer and in each layer that shows through it. A
        layer that does not is parked where it is.
        """
        opened = os.open(name, _DIRECTORY, dir_fd=self.upper)
        os.close(self.upper)
        self.upper = opened
        inner: list[_Layer] = []
        parked: list[_Layer] = []
        is_hidden = False
        for layer in self.below:
            status = None if is_hidden else _status(layer.fd, name)
            if status is not None and stat.S_ISDIR(status.st_mode):
                inner.append(layer.moved_to(name))
                is_hidden = is_opaque(inner[-1].fd)
            else:
                parked.append(layer)
                # A file hides the directories of that name in the layers below it.
                is_hidden = is_hidden or status is not None
        self.below = inner
        self.levels.append(_Level(path, self.upper, parked))
        self.levels[-1].names = self._names()

    def _ascend(self) -> None:
        """Back to the directory above, with the layers that were parked there."""
        left = self.levels.pop()
        moved = [layer.moved_to("..") for layer in self.below]
        self.below = sorted([*moved, *left.parked])
        opened = os.open("..", _DIRECTORY, dir_fd=self.upper)
        os.close(self.upper)
        self.upper = opened
        status = os.fstat(self.upper)
        if (status.st_dev, status.st_ino) != self.levels[-1].identity:
            raise ImageError(f"{left.path} was moved while it was compared")


def _status(directory: int, name: str) -> os.stat_result | None:
    try:
        return os.lstat(name, dir_fd=directory)
    except FileNotFoundError:
        return None
