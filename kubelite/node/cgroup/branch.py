"""One hierarchy of the tree: its open directory, and the system calls on control files.

No rule about pods is here; paths are relative to the group of all pods.
"""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import NamedTuple

from kubelite.node.cgroup.hierarchies import DELEGATED, Hierarchy

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_CLOEXEC
WRITE = os.O_WRONLY | os.O_CLOEXEC
ONLY_LIMITS = frozenset({"pids", "devices", "hugetlb"})


class Refused(NamedTuple):
    """A value that the kernel would not take; ``error`` is an errno value."""

    file: str
    value: str
    error: int

    def __str__(self) -> str:
        return f"{self.file} cannot be set to {self.value}: {os.strerror(self.error)}"


class Branch:
    """One hierarchy in use; ``fd`` is the group of all pods in it, or -1 while that is not open.

    ``counts`` says that a group here does more than keep a limit: it shares out, measures, kills or
    freezes, so that every container needs one. ``delegated`` are the words for subtree_control.
    """

    __slots__ = ("counts", "delegated", "fd", "hierarchy", "v2")

    def __init__(self, hierarchy: Hierarchy) -> None:
        self.hierarchy = hierarchy
        self.v2 = hierarchy.v2
        self.counts = self.v2 or not hierarchy.controllers <= ONLY_LIMITS
        controllers = [f"+{name}" for name in DELEGATED if name in hierarchy.controllers]
        self.delegated = " ".join(controllers) if self.v2 else ""
        self.fd = -1


def subgroups(dir_fd: int, group: str) -> list[str]:
    """The names of the groups directly below one; none where it does not exist."""
    try:
        fd = os.open(group, DIRECTORY, dir_fd=dir_fd)
    except FileNotFoundError:
        return []
    try:
        with os.scandir(fd) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    finally:
        os.close(fd)


def open_control_file(branch: Branch | None, path: str) -> int:
    """Opens a control file for writing; raises OSError ENOENT where no hierarchy has it."""
    if branch is None:
        raise OSError(errno.ENOENT, "no hierarchy has this controller")
    return os.open(path, WRITE, dir_fd=branch.fd)


def open_tasks(fds: list[int], branch: Branch, group: str, optional: bool) -> bool:
    """Adds a descriptor of a v1 group's ``tasks``; False where it is optional and not there."""
    try:
        fds.append(os.open(f"{group}/tasks", WRITE, dir_fd=branch.fd))
    except FileNotFoundError:
        if not optional:
            raise
        return False
    return True


def delegate(branch: Branch, prefix: str) -> list[Refused]:
    """Has a v2 group hand its controllers down to those below it."""
    return hand_down(f"{prefix}cgroup.subtree_control", branch.fd, branch.delegated)


def hand_down(path: str, dir_fd: int | None, words: str) -> list[Refused]:
    """Writes subtree_control at once; where that fails one by one, to get what can be had."""
    refused = []
    fd = os.open(path, WRITE, dir_fd=dir_fd)
    try:
        os.write(fd, words.encode())
    except OSError:
        for word in words.split():
            try:
                os.write(fd, word.encode())
            except OSError as error:
                refused.append(Refused("cgroup.subtree_control", word, error.errno or errno.EIO))
    finally:
        os.close(fd)
    return refused


def read_text(path: str, dir_fd: int | None = None) -> str:
    """A whole control file; raises OSError, FileNotFoundError where its group is removed just
    then.
    """
    try:
        with open(path, "rb", buffering=0, opener=partial(os.open, dir_fd=dir_fd)) as file:
            return file.readall().decode("utf-8", "surrogateescape")
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error


def write_text(path: str, value: str, dir_fd: int | None = None) -> None:
    """Writes a control file in one write, as the kernel wants it; raises OSError."""
    fd = os.open(path, WRITE, dir_fd=dir_fd)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)
