"""Makes and checks the sources of volumes: emptyDir directories, host paths, subPaths.

It mounts nothing. Paths that a container can change are walked one component at a time from an open
descriptor and never through a link: a container may swap a directory for a link at any time.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping

from kubelite.core import native
from kubelite.node.volume.errors import HostPathError, SubPathError, VolumeError
from kubelite.node.volume.mounts import Part, Place

_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_LINKS = 40
"""Symbolic links in one subPath: the kernel's own limit, path_resolution(7)."""
_KINDS: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "directory"),
    "File": (stat.S_ISREG, "file"),
    "FileOrCreate": (stat.S_ISREG, "file"),
    "Socket": (stat.S_ISSOCK, "socket file"),
    "CharDevice": (stat.S_ISCHR, "character device"),
    "BlockDevice": (stat.S_ISBLK, "block device"),
}


def make_places(places: Iterable[Place], fs_group: int | None = None) -> frozenset[Part]:
    """Makes volumes on disk and checks host paths; returns those that are single files.

    Volumes in memory are mounts of the pod. Raises VolumeError, HostPathError.
    """
    files = set()
    for place in places:
        if place.kind in ("disk", "content"):
            make_empty_dir(place.path, fs_group)
        elif place.kind in ("provisioned", "local"):
            from kubelite.node.volume import local  # most pods have no claim

            local.check_directory(place.path)
        elif place.kind == "host" and prepare_host_path(place.path, place.type):
            files.add(Part(place.name, ""))
    return frozenset(files)


def make_parts(parts: Iterable[Part], places: Mapping[str, Place], view: str) -> frozenset[Part]:
    """Makes missing subPaths; returns those that are single files.

    ``view`` is the root of the pod's mount namespace, /proc/<pid of the shim>/root, through which
    volumes in memory are reached. Raises SubPathError.
    """
    files = set()
    for part in parts:
        place = places[part.volume]
        volume = f"{view}{place.path}" if place.is_in_memory else place.path
        if make_subpath(volume, part.subpath):
            files.add(part)
    return frozenset(files)


def make_empty_dir(path: str, fs_group: int | None = None) -> None:
    """Makes the directory of an emptyDir volume on disk, with those above it.

    It is writable by all, as in the kubelet; with an fsGroup it belongs to that group and is
    setgid. An existing one, from before a restart of the sandbox, is kept. Raises VolumeError.
    """
    try:
        try:
            os.mkdir(path)
        except FileNotFoundError:
            _make_directories(path, 0o700)
        except FileExistsError:
            return
        mode = 0o777
        if fs_group is not None:
            os.chown(path, -1, fs_group)
            mode |= stat.S_ISGID
        os.chmod(path, mode)
    except OSError as error:
        raise VolumeError(f"cannot make volume {path}: {_reason(error)}") from error


def prepare_host_path(path: str, kind: str) -> bool:
    """Checks a host path, or makes it where its type says so; returns whether it is a single file.

    The rules are the kubelet's. A missing path without a type becomes a directory, which is what
    containerd does with it. Raises HostPathError.
    """
    if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise HostPathError(f'hostPath "{path}" must be absolute and without ".."')
    if kind and kind not in _KINDS:
        raise HostPathError(f"{kind} is an invalid volume type")
    try:
        mode = _mode(path)
        if mode is None:
            mode = _make_host_path(path, kind)
    except OSError as error:
        raise HostPathError(f"cannot use hostPath {path}: {_reason(error)}") from error
    if kind:
        fits, expected = _KINDS[kind]
        if mode is None or not fits(mode):
            raise HostPathError(f"hostPath type check failed: {path} is not a {expected}")
    return mode is not None and not stat.S_ISDIR(mode)


def make_subpath(volume: str, subpath: str) -> bool:
    """Makes the directories of a subPath that are missing; returns whether it ends in a file.

    New directories get the mode of the volume, as in the kubelet. A link anywhere in the subPath is
    refused: :func:`resolve_subpath` comes before. ``volume`` is a path
    as the caller sees it: for a tmpfs of the pod below /proc/<pid of the shim>/root. Raises
    SubPathError.
    """
    parts = subpath_parts(subpath)
    try:
        parent = os.open(volume, _PATH & ~os.O_NOFOLLOW)
    except OSError as error:
        raise SubPathError(f"cannot open volume {volume}: {_reason(error)}") from error
    try:
        mode = os.fstat(parent).st_mode
        fresh = stat.S_IMODE(mode)
        for part in parts:
            below = _step(parent, part, fresh, subpath)
            os.close(parent)
            parent = below
            mode = os.fstat(parent).st_mode
            if stat.S_ISLNK(mode):
                raise SubPathError(f'subPath "{subpath}" leads through the symbolic link "{part}"')
    finally:
        os.close(parent)
    return not stat.S_ISDIR(mode)


def resolve_subpath(volume: str, subpath: str) -> str:
    """The subPath without symbolic links: each is followed once, as in the kubelet, and has to stay
    inside the volume. What is mounted is resolved again by the kernel, without following any.

    ``volume`` is as for :func:`make_subpath`. Raises SubPathError.
    """
    left = subpath_parts(subpath)[::-1]
    done: list[str] = []
    links = 0
    with _opened(volume) as top:
        while left:
            part = left.pop()
            if part == "..":
                if not done:
                    raise _leads_out(subpath)
                done.pop()
                continue
            target = _link_target(top, "/".join([*done, part]), subpath)
            if target is None:
                done.append(part)
                continue
            links += 1
            if links > MAX_LINKS:
                raise SubPathError(f'subPath "{subpath}" leads through too many symbolic links')
            if target.startswith("/"):
                root = os.path.realpath(volume)
                if not f"{target}/".startswith(f"{root}/"):
                    raise _leads_out(subpath)
                target, done = target[len(root) :], []
            left += [part for part in target.split("/")[::-1] if part not in ("", ".")]
    return "/".join(done)


@contextlib.contextmanager
def _opened(volume: str) -> Iterator[int]:
    try:
        fd = os.open(volume, _PATH & ~os.O_NOFOLLOW)
    except OSError as error:
        raise SubPathError(f"cannot open volume {volume}: {_reason(error)}") from error
    try:
        yield fd
    finally:
        os.close(fd)


def _link_target(top: int, path: str, subpath: str) -> str | None:
    """The target of a link, None for anything else, what is missing included."""
    resolve = native.RESOLVE_BENEATH | native.RESOLVE_NO_SYMLINKS
    try:
        fd = native.openat2(top, path, _PATH, resolve)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        message = f'cannot resolve "{path}" of subPath "{subpath}": {_reason(error)}'
        raise SubPathError(message) from error
    try:
        is_link = stat.S_ISLNK(os.fstat(fd).st_mode)
        return os.readlink("", dir_fd=fd) if is_link else None
    finally:
        os.close(fd)


def _leads_out(subpath: str) -> SubPathError:
    return SubPathError(f'subPath "{subpath}" leads out of its volume through a symbolic link')


def subpath_parts(subpath: str) -> list[str]:
    """The components of a subPath. Raises SubPathError for one that is absolute or climbs."""
    parts = [part for part in subpath.split("/") if part not in ("", ".")]
    if subpath.startswith("/"):
        raise SubPathError(f'subPath "{subpath}" must be a relative path')
    if "\0" in subpath:
        raise SubPathError("a subPath must not contain a NUL character")
    if ".." in parts:
        raise SubPathError(f'subPath "{subpath}" must not contain ".."')
    return parts


def _step(parent: int, part: str, mode: int, subpath: str) -> int:
    """Opens the component below a descriptor, made as a directory where it is missing."""
    try:
        try:
            return os.open(part, _PATH, dir_fd=parent)
        except FileNotFoundError:
            return _make_below(parent, part, mode)
    except OSError as error:
        message = f'cannot open "{part}" of subPath "{subpath}": {_reason(error)}'
        raise SubPathError(message) from error


def _make_below(parent: int, part: str, mode: int) -> int:
    try:
        os.mkdir(part, mode, dir_fd=parent)
    except FileExistsError:
        return os.open(part, _PATH, dir_fd=parent)
    fd = os.open(part, _DIRECTORY, dir_fd=parent)
    try:
        # chmod ignores the umask.
        os.fchmod(fd, mode)
    except OSError:
        os.close(fd)
        raise
    return fd


def _make_host_path(path: str, kind: str) -> int | None:
    if kind in ("", "DirectoryOrCreate"):
        _make_directories(path, 0o755)
    elif kind == "FileOrCreate":
        _make_file(path)
    return _mode(path)


def _make_file(path: str) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        return
    with os.fdopen(fd, "rb"):
        os.fchmod(fd, 0o644)


def _make_directories(path: str, mode: int) -> None:
    """As os.makedirs, with the mode for every new directory. Raises OSError."""
    parts = [part for part in path.split("/") if part]
    for depth in range(1, len(parts) + 1):
        prefix = "/" + "/".join(parts[:depth])
        try:
            os.mkdir(prefix, mode)
            os.chmod(prefix, mode)  # whatever the umask of the caller's shell
        except FileExistsError:
            if not os.path.isdir(prefix):
                raise


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0)
