"""The files of several layers as a container on them would see them, without mounting anything.

Whiteouts and opaque directories hide what lies below.  Within a layer the kernel follows no link
and never leaves it; links of the whole are followed here, with its root as `/`.  A single directory
that is no layer is read the same way.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import NamedTuple

from kubelite.core import native
from kubelite.node.image.errors import ImageError
from kubelite.node.image.lookup import is_opaque
from kubelite.node.image.tree import MAX_LINKS, Parts
from kubelite.node.image.unpack import is_whiteout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_RESOLVE_BENEATH, _RESOLVE_NO_SYMLINKS = 0x08, 0x04
_INSIDE = _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS
_MISSING = (FileNotFoundError, NotADirectoryError)


class Entry(NamedTuple):
    """A file of the tree: the number of its layer, topmost first, and its status."""

    layer: int
    status: os.stat_result


class MergedTree:
    """The tree of some layers, lowest first. Close it after use."""

    def __init__(self, layers: Sequence[str | os.PathLike[str]]) -> None:
        self._roots = [os.open(layer, _DIRECTORY) for layer in reversed(layers)]
        self._visible: dict[Parts, list[int]] = {(): list(range(len(self._roots)))}

    def close(self) -> None:
        """Close every descriptor."""
        while self._roots:
            os.close(self._roots.pop())

    def __enter__(self) -> MergedTree:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def find(self, parts: Parts) -> Entry | None:
        """The file at a path without links in its middle; None if there is none."""
        if not parts:
            return Entry(0, os.fstat(self._roots[0])) if self._roots else None
        for layer in self._layers_of(parts[:-1]):
            status = self._status(layer, parts)
            if status is not None:
                return None if is_whiteout(status) else Entry(layer, status)
        return None

    def names(self, parts: Parts) -> list[str]:
        """The names in a directory, sorted."""
        names: dict[str, bool] = {}
        for layer in self._layers_of(parts):
            descriptor = self._open(layer, parts, _DIRECTORY)
            try:
                for entry in os.scandir(descriptor):
                    status = entry.stat(follow_symlinks=False)
                    names.setdefault(entry.name, not is_whiteout(status))
            finally:
                os.close(descriptor)
        return sorted(name for name, is_shown in names.items() if is_shown)

    def target(self, parts: Parts) -> str:
        """Where the link at a path leads."""
        entry = self.find(parts)
        assert entry is not None
        above = self._open(entry.layer, parts[:-1], _DIRECTORY)
        try:
            return os.readlink(parts[-1], dir_fd=above)
        finally:
            os.close(above)

    def open(self, parts: Parts) -> int:
        """A descriptor of the file or directory at a path, for reading."""
        entry = self.find(parts)
        assert entry is not None
        return self._open(entry.layer, parts, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def resolve(self, path: str) -> Parts:
        """The path with all links followed; what does not exist is kept as it is.

        Raises ImageError for a path through too many links.
        """
        todo, real, links = list(reversed(path.split("/"))), list[str](), 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                real = real[:-1]
                continue
            entry = self.find((*real, part))
            if entry is None or not stat.S_ISLNK(entry.status.st_mode):
                real.append(part)
                continue
            links += 1
            if links > MAX_LINKS:
                raise ImageError(f"{path}: too many symbolic links")
            target = self.target((*real, part))
            real = [] if target.startswith("/") else real
            todo.extend(reversed(target.split("/")))
        return tuple(real)

    def _layers_of(self, parts: Parts) -> list[int]:
        """The layers whose directory shows at a path, topmost first."""
        if parts not in self._visible:
            visible = []
            for layer in self._layers_of(parts[:-1]):
                status = self._status(layer, parts)
                if status is None:
                    continue
                if not stat.S_ISDIR(status.st_mode):
                    break
                visible.append(layer)
                if self._is_opaque(layer, parts):
                    break
            self._visible[parts] = visible
        return self._visible[parts]

    def _is_opaque(self, layer: int, parts: Parts) -> bool:
        descriptor = self._open(layer, parts, _DIRECTORY)
        try:
            return is_opaque(descriptor)
        finally:
            os.close(descriptor)

    def _status(self, layer: int, parts: Parts) -> os.stat_result | None:
        try:
            above = self._open(layer, parts[:-1], os.O_PATH | _DIRECTORY)
        except _MISSING:
            return None
        try:
            return os.lstat(parts[-1], dir_fd=above)
        except _MISSING:
            return None
        finally:
            os.close(above)

    def _open(self, layer: int, parts: Parts, flags: int) -> int:
        return native.openat2(self._roots[layer], "/".join(parts) or ".", flags, _INSIDE)
