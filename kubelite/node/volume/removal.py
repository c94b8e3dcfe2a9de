"""Removes a directory tree that a container may have filled.

Every step is relative to an open descriptor: no link is followed, no mount is entered, and a name
that is swapped meanwhile leads nowhere else. Depth costs neither stack nor descriptors. What cannot
be removed is reported; the rest is removed.
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)
_SHOWN = 1000


class Left(NamedTuple):
    """A path that could not be removed; ``error`` is an errno value."""

    path: str
    error: int

    def __str__(self) -> str:
        return f"{self.path} cannot be removed: {os.strerror(self.error)}"


def remove_tree(path: str) -> list[Left]:
    """Removes the tree at an absolute path, if it exists; returns what could not be removed.

    Raises OSError when its parent directory cannot be opened.
    """
    holder, name = os.path.split(path.rstrip("/"))
    try:
        parent = os.open(holder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    return _Walk(holder, parent).run(name)


class _Level:
    """A directory on the way down to the current one."""

    __slots__ = ("directories", "identity", "kept", "name")

    def __init__(self, name: str, fd: int) -> None:
        info = os.fstat(fd)
        self.name = name
        self.identity = (info.st_dev, info.st_ino)
        self.directories: list[str] = []
        self.kept = False


class _Walk:
    """One removal. ``fd`` is the directory of the last level; only it is open."""

    def __init__(self, holder: str, parent: int) -> None:
        self.fd = parent
        self.levels = [_Level(holder, parent)]
        self.left: list[Left] = []

    def run(self, name: str) -> list[Left]:
        try:
            self._remove(name)
            while len(self.levels) > 1:
                if self.levels[-1].directories:
                    self._remove(self.levels[-1].directories.pop())
                elif not self._climb():
                    break
            return self.left
        finally:
            os.close(self.fd)

    def _remove(self, name: str) -> None:
        """A mount point answers rmdir with EBUSY, empty or not.

        So no mount of this namespace is ever entered.
        """
        try:
            os.rmdir(name, dir_fd=self.fd)
        except FileNotFoundError:
            return
        except NotADirectoryError:
            self._unlink(name)
        except OSError as error:
            if error.errno in _NOT_EMPTY:
                self._descend(name)
            else:
                self._keep(name, error.errno)

    def _descend(self, name: str) -> None:
        try:
            fd = os.open(name, _DIRECTORY, dir_fd=self.fd)
        except OSError as error:
            self._keep(name, error.errno)
            return
        level = _Level(name, fd)
        if len(self.levels) > 1 and level.identity[0] != self.levels[-1].identity[0]:
            os.close(fd)
            self._keep(name, errno.EXDEV)
            return
        os.close(self.fd)
        self.fd = fd
        self.levels.append(level)
        self._clear(level)

    def _clear(self, level: _Level) -> None:
        """Removes all files of the directory just entered and lists its directories."""
        files: list[str] = []
        with os.scandir(self.fd) as entries:
            for entry in entries:
                into = level.directories if entry.is_dir(follow_symlinks=False) else files
                into.append(entry.name)
        for name in files:
            self._unlink(name)

    def _unlink(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self.fd)
        except FileNotFoundError:
            return
        except OSError as error:
            self._keep(name, error.errno)

    def _climb(self) -> bool:
        """Goes back up and removes the directory it came from.

        False when ".." is another directory now.
        """
        done = self.levels.pop()
        above = self.levels[-1]
        fd = os.open("..", _DIRECTORY, dir_fd=self.fd)
        info = os.fstat(fd)
        os.close(self.fd)
        self.fd = fd
        if (info.st_dev, info.st_ino) != above.identity:
            self._keep(done.name, errno.ESTALE)
            return False
        if done.kept:
            above.kept = True
            return True
        try:
            os.rmdir(done.name, dir_fd=fd)
        except FileNotFoundError:
            return True
        except OSError as error:
            self._keep(done.name, error.errno)
        return True

    def _keep(self, name: str, error: int | None) -> None:
        path = "/".join([*(level.name.rstrip("/") for level in self.levels), name])
        shown = path if len(path) <= _SHOWN else f"{path[:_SHOWN]}…"
        self.left.append(Left(shown, error or errno.EIO))
        self.levels[-1].kept = True
