"""The device nodes of this machine, for privileged containers (runc: host devices)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from kubelite.core.plan import Device

# Entries that every container has of its own.
_OWN = frozenset({"pts", "shm", "fd", "mqueue", "console", ".udev", ".lxc"})
_DEFAULT = frozenset({"null", "zero", "full", "random", "urandom", "tty", "ptmx"})


def host_devices(root: str = "/dev") -> tuple[Device, ...]:
    """Every device below ``/dev`` but the default ones and terminals, sorted by path."""
    return tuple(sorted(_walk(root, "/dev")))


def _walk(directory: str, shown: str) -> Iterator[Device]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name in _OWN or (shown == "/dev" and entry.name in _DEFAULT):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, f"{shown}/{entry.name}")
                continue
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
                mode = status.st_mode & (stat.S_IFMT(0xFFFF) | 0o777)
                major, minor = os.major(status.st_rdev), os.minor(status.st_rdev)
                yield Device(
                    f"{shown}/{entry.name}", mode, major, minor, status.st_uid, status.st_gid
                )
