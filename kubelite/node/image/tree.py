"""A directory tree reached only by descriptors, one component at a time.

No path string is ever resolved by the kernel: every directory is opened by a single name below an
open directory, with O_NOFOLLOW.  A symbolic link in the middle of a path is read and walked by
this module with the tree's root as `/`, so that no link, however it is built, leads out.  Links
are counted; a path through more than 40 of them is refused, as the kernel does.
"""

from __future__ import annotations

import os
import shutil
import stat
from typing import NamedTuple

from kubelite.node.image.errors import UnpackRefused, quoted

MAX_LINKS = 40
MAX_NAME = 255
MAX_PATH = 4095
# Removing a tree takes a descriptor and a frame for each level; deeper ones could not be removed.
MAX_DEPTH = 256
NEW_DIRECTORY_MODE = 0o755
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Parts = tuple[str, ...]


class Place(NamedTuple):
    """An open directory of the tree and its path without links."""

    descriptor: int
    real: Parts


def components(name: str) -> Parts:
    """The parts of a name from an archive, cleaned as a path and made relative to the root.

    Raises UnpackRefused for `..` that leads above the root, NUL bytes, and names or paths longer
    than the kernel allows (255 and 4095 bytes).
    """
    parts: list[str] = []
    if "\0" in name or len(os.fsencode(name)) > MAX_PATH:
        raise UnpackRefused("the name holds a NUL byte or is too long")
    for part in name.split("/"):
        if part in ("", "."):
            continue
        if part != "..":
            if len(os.fsencode(part)) > MAX_NAME:
                raise UnpackRefused(f"the name {quoted(part)} is too long")
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            raise UnpackRefused('the name leads out of the root with ".."')
    return tuple(parts)


class Tree:
    """The tree below one directory.

    `made` collects the directories that had to be made because an entry's parent was missing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.root = os.open(path, DIRECTORY)
        self.made: set[Parts] = set()
        self._held: tuple[Parts, Place] | None = None

    def close(self) -> None:
        """Close every descriptor."""
        self.forget()
        os.close(self.root)

    def forget(self) -> None:
        """Drop the remembered directory: something on the way to it may have changed."""
        if self._held is not None:
            os.close(self._held[1].descriptor)
            self._held = None

    def directory(self, parts: Parts) -> Place:
        """The directory at a path, made where it is missing.

        The descriptor belongs to the tree and is good until the next call.  Raises UnpackRefused
        where something other than a directory is in the way.
        """
        if self._held is None or self._held[0] != parts:
            place = self._walk(parts)
            self.forget()
            self._held = (parts, place)
        return self._held[1]

    def find(self, parts: Parts) -> int | None:
        """A new descriptor of an existing directory, following no link; None if there is none."""
        descriptor = os.dup(self.root)
        for part in parts:
            above = descriptor
            try:
                descriptor = os.open(part, DIRECTORY, dir_fd=above)
            except (FileNotFoundError, NotADirectoryError):
                return None
            finally:
                os.close(above)
        return descriptor

    def remove(self, place: Place, name: str) -> None:
        """Remove whatever has this name in a directory, a whole tree included."""
        if stat.S_ISDIR(os.lstat(name, dir_fd=place.descriptor).st_mode):
            shutil.rmtree(name, dir_fd=place.descriptor)
        else:
            os.unlink(name, dir_fd=place.descriptor)

    def _walk(self, parts: Parts) -> Place:
        todo, real, links = list(reversed(parts)), list[str](), 0
        descriptor = os.dup(self.root)
        try:
            while todo:
                part = todo.pop()
                if part in ("", "."):
                    continue
                if part == "..":
                    real = real[:-1]
                    descriptor = self._again(descriptor, real)
                    continue
                step = self._step(descriptor, part, tuple(real))
                if isinstance(step, int):
                    os.close(descriptor)
                    descriptor = step
                    real.append(part)
                    if len(real) > MAX_DEPTH:
                        raise UnpackRefused(f"it lies more than {MAX_DEPTH} directories deep")
                    continue
                links += 1
                if links > MAX_LINKS:
                    raise UnpackRefused("the path goes through too many symbolic links")
                if step.startswith("/"):
                    real = []
                    descriptor = self._again(descriptor, real)
                todo.extend(reversed(step.split("/")))
        except BaseException:
            os.close(descriptor)
            raise
        return Place(descriptor, tuple(real))

    def _again(self, descriptor: int, real: list[str]) -> int:
        """Open the directory at a path without links in place of another descriptor."""
        fresh = self.find(tuple(real))
        if fresh is None:
            raise UnpackRefused("a directory on the path is gone")
        os.close(descriptor)
        return fresh

    def _step(self, above: int, part: str, real: Parts) -> int | str:
        """Go down one name: the new descriptor, or the target of a symbolic link."""
        try:
            return os.open(part, DIRECTORY, dir_fd=above)
        except FileNotFoundError:
            os.mkdir(part, NEW_DIRECTORY_MODE, dir_fd=above)
            descriptor = os.open(part, DIRECTORY, dir_fd=above)
            os.fchmod(descriptor, NEW_DIRECTORY_MODE)
            self.made.add((*real, part))
            return descriptor
        except NotADirectoryError:
            if not stat.S_ISLNK(os.lstat(part, dir_fd=above).st_mode):
                raise UnpackRefused(f"its parent {quoted(part)} is not a directory") from None
            return os.readlink(part, dir_fd=above)
