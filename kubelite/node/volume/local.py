"""Directories of persistent volumes on this node: made, given to an fsGroup, removed.

What containers can change is walked from open descriptors and never through a link.
"""

from __future__ import annotations

import contextlib
import os
import stat

from kubelite.lib.files import FileLock
from kubelite.lib.tree_walk import Entry, TreeMoved, walk
from kubelite.node.volume.errors import VolumeError
from kubelite.node.volume.removal import Left, remove_tree

_UNFINISHED, _LOCK = ".new-", ".lock"
_WALKS = 5
_GROUP_ALL, _GROUP_READS, _GROUP_ENTERS = 0o660, 0o440, 0o110 | stat.S_ISGID


def make_directory(path: str) -> None:
    """Makes the directory of a provisioned volume, writable by all, unless it is there: a killed
    maker leaves none that is half made. Raises VolumeError.
    """
    if os.path.isdir(path):
        return
    parent, name = os.path.split(path)
    try:
        os.makedirs(parent, 0o700, exist_ok=True)
        with FileLock(f"{parent}/{_LOCK}"):
            if os.path.isdir(path):
                return
            unfinished = f"{parent}/{_UNFINISHED}{name}"
            os.makedirs(unfinished, exist_ok=True)
            os.chmod(unfinished, 0o777)
            os.rename(unfinished, path)
    except OSError as error:
        raise VolumeError(f"cannot make volume {path}: {os.strerror(error.errno or 0)}") from error


def remove_unfinished(path: str) -> None:
    """Removes what a killed maker has left of a directory that is not there yet. Raises OSError."""
    parent, name = os.path.split(path)
    unfinished = f"{parent}/{_UNFINISHED}{name}"
    if os.path.isdir(unfinished):
        with FileLock(f"{parent}/{_LOCK}"), contextlib.suppress(FileNotFoundError):
            os.rmdir(unfinished)


def check_directory(path: str) -> None:
    """Raises VolumeError where the directory of a ``local`` volume is missing: somebody else has
    to provide it.
    """
    if not os.path.isdir(path):
        raise VolumeError(f'the local volume has no directory "{path}"')


def remove_directory(path: str) -> list[Left]:
    """Removes a provisioned volume, made or half made; returns what could not be removed. Raises
    OSError.
    """
    parent, name = os.path.split(path)
    return [*remove_tree(f"{parent}/{_UNFINISHED}{name}"), *remove_tree(path)]


def give_to_group(path: str, group: int, *, read_only: bool, only_on_mismatch: bool) -> None:
    """Gives everything of a volume to a group that may read and, unless ``read_only``, write it;
    new files in its directories will be the group's too. ``only_on_mismatch`` leaves a volume alone
    whose top has this already (fsGroupChangePolicy). Raises VolumeError.

    Bits and order are the kubelet's (``pkg/volume/volume_linux.go``): the top comes last, so that
    an interrupted walk is done again.
    """
    bits = _GROUP_READS if read_only else _GROUP_ALL
    try:
        if only_on_mismatch and _has_group(os.stat(path), group, bits):
            return
        for _ in range(_WALKS):
            try:
                for entry in walk(path):
                    _give(entry, group, bits)
                break
            except TreeMoved:  # a container of another pod moves directories meanwhile
                continue
        _change(path, os.stat(path), group, bits)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise VolumeError(f"cannot give volume {path} to group {group}: {reason}") from error


def _has_group(status: os.stat_result, group: int, bits: int) -> bool:
    wanted = bits | _GROUP_ENTERS
    return status.st_gid == group and stat.S_IMODE(status.st_mode) & wanted == wanted


def _give(entry: Entry, group: int, bits: int) -> None:
    try:
        fd = os.open(entry.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=entry.parent)
    except FileNotFoundError:
        return
    try:
        _change(f"/proc/self/fd/{fd}", os.fstat(fd), group, bits)
    finally:
        os.close(fd)


def _change(path: str, status: os.stat_result, group: int, bits: int) -> None:
    """``path`` leads to the file itself. A link has no permissions of its own."""
    if stat.S_ISLNK(status.st_mode):
        return
    if stat.S_ISDIR(status.st_mode):
        bits |= _GROUP_ENTERS
    if status.st_gid != group:
        os.chown(path, -1, group)
    if stat.S_IMODE(status.st_mode) & bits != bits:
        os.chmod(path, stat.S_IMODE(status.st_mode) | bits)
