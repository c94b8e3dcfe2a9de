"""Files of a volume replaced all at once, so that no reader sees a mixture of two versions.

The layout is the kubelet's (``pkg/volume/util/atomic_writer.go``), which programs rely on:

    ..2026_01_31_12_00_00.123456789/key     the files of one version
    ..data -> ..2026_01_31_...              replaced by rename: the one step that counts
    key -> ..data/key                       what a program opens

Whoever is killed between two steps leaves directories and links that the next call removes.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Mapping
from typing import NamedTuple

from kubelite.lib.files import unlink_missing
from kubelite.node.volume.errors import VolumeError
from kubelite.node.volume.payload import File

DATA = "..data"
_NEXT_DATA = "..data_tmp"


class Owner(NamedTuple):
    """Whose group the files have, where it is not the caller's; ``group_reads`` opens them to that
    group. ``user`` owns the tokens. Of a volume that is for a user or a group, tokens are closed to
    others (the kubelet's projected volumes).
    """

    user: int = -1
    group: int = -1
    group_reads: bool = False


def write(directory: str, payload: Mapping[str, File], owner: Owner | None = None) -> bool:
    """Makes ``directory`` contain exactly these files; returns whether anything changed.

    ``directory`` exists and only the node writes in it. Raises VolumeError, for a path that leads
    out of it too.
    """
    owner = owner or Owner()
    for path in payload:
        if path.startswith("/") or ".." in path.split("/") or "\0" in path or not path:
            raise VolumeError(f"cannot write volume {directory}: {path!r} is no path below it")
    try:
        current = _current(directory)
        if current is not None and _holds(current, payload, owner):
            linked = _link(directory, payload)  # a killed writer may have left that out
            _remove_leftovers(directory, os.path.basename(current), payload)
            return linked
        version = _new_version(directory, owner)
        _write_files(f"{directory}/{version}", payload, owner)
        _swap(directory, version)
        _link(directory, payload)
        _remove_leftovers(directory, version, payload)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise VolumeError(f"cannot write volume {directory}: {reason}") from error
    return True


def _current(directory: str) -> str | None:
    """The directory of the version that readers see, or None before the first."""
    try:
        return f"{directory}/{os.readlink(f'{directory}/{DATA}')}"
    except FileNotFoundError:
        return None


def _holds(version: str, payload: Mapping[str, File], owner: Owner) -> bool:
    files = {
        os.path.relpath(os.path.join(folder, name), version)
        for folder, _, names in os.walk(version)
        for name in names
    }
    if files != set(payload):
        return False
    for path, file in payload.items():
        info = os.stat(f"{version}/{path}")
        if stat.S_IMODE(info.st_mode) != _bits(file, owner) or info.st_size != len(file.data):
            return False
        with open(f"{version}/{path}", "rb") as opened:
            if opened.read() != file.data:
                return False
    return True


def _new_version(directory: str, owner: Owner) -> str:
    nanoseconds = time.time_ns()
    text = time.strftime("..%Y_%m_%d_%H_%M_%S", time.gmtime(nanoseconds // 10**9))
    name = f"{text}.{nanoseconds % 10**9:09d}"
    _make_directory(f"{directory}/{name}", owner)
    return name


def _make_directory(path: str, owner: Owner) -> None:
    """Readable by all; what is made in one of the group's is the group's (the kubelet's
    ``SetVolumeOwnership``).
    """
    os.mkdir(path, 0o700)
    if owner.group >= 0:
        os.chown(path, -1, owner.group)
    os.chmod(path, 0o755 | (stat.S_ISGID if owner.group_reads else 0))


def _write_files(version: str, payload: Mapping[str, File], owner: Owner) -> None:
    for path, file in payload.items():
        folders = path.split("/")[:-1]
        for depth in range(1, len(folders) + 1):
            if not os.path.isdir(folder := f"{version}/{'/'.join(folders[:depth])}"):
                _make_directory(folder, owner)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(f"{version}/{path}", flags, 0o600), "wb") as opened:
            opened.write(file.data)
            user = owner.user if file.is_token else -1
            if user >= 0 or owner.group >= 0:
                os.fchown(opened.fileno(), user, owner.group)
            os.fchmod(opened.fileno(), _bits(file, owner))


def _bits(file: File, owner: Owner) -> int:
    """The permission bits of a file; a group that owns the volume may read what the user may."""
    is_closed = file.is_token and (owner.user >= 0 or owner.group >= 0)
    mode = 0o600 if is_closed else file.mode
    return mode | (mode & 0o400) >> 3 if owner.group_reads else mode


def _swap(directory: str, version: str) -> None:
    temporary = f"{directory}/{_NEXT_DATA}"
    unlink_missing(temporary)
    os.symlink(version, temporary)
    os.rename(temporary, f"{directory}/{DATA}")


def _link(directory: str, payload: Mapping[str, File]) -> bool:
    """Links what a program opens; returns whether a link was missing."""
    missing = False
    for name in _top_names(payload):
        try:
            os.symlink(f"{DATA}/{name}", f"{directory}/{name}")
            missing = True
        except FileExistsError:
            pass
    return missing


def _remove_leftovers(directory: str, version: str, payload: Mapping[str, File]) -> None:
    """Removes earlier versions, what a killed writer left, and links to files that are gone."""
    keep = {DATA, version, *_top_names(payload)}
    for name in os.listdir(directory):
        path = f"{directory}/{name}"
        if name in keep:
            continue
        if os.path.islink(path):
            unlink_missing(path)
        elif name.startswith(".."):
            shutil.rmtree(path)


def _top_names(payload: Mapping[str, File]) -> set[str]:
    return {path.partition("/")[0] for path in payload}
