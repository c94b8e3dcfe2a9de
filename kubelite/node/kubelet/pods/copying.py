"""Copies files between this machine and a running container as a tar stream that is made and read
here, so that the image needs no tar.

The container's files are reached through the root of one of its processes. The kernel resolves
every path with that root as ``/`` (openat2, RESOLVE_IN_ROOT), and below that each name is opened
without following links: whatever links a container makes, none leads out of it.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

from kubelite.core import native
from kubelite.lib.tree_walk import Entry, TreeMoved, walk_directory
from kubelite.node.image.tarstream import entries
from kubelite.node.image.tree import components
from kubelite.node.image.unpack import Unpacker
from kubelite.node.image.unpack_limits import Limits
from kubelite.node.runtime.errors import RuntimeFailure

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PATH = os.O_PATH | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_LIMITS = Limits()
_RESOLVE = native.RESOLVE_IN_ROOT | native.RESOLVE_NO_MAGICLINKS


class Side(NamedTuple):
    """One end of a copy: the descriptor of its ``/``, the owner of new files, and the bits of a
    mode that are kept.
    """

    root: int
    uid: int
    gid: int
    modes: int


class Stream(NamedTuple):
    """A tar stream while it is written; ``left_out`` are the names of what is neither a file, a
    directory nor a symbolic link.
    """

    reader: BinaryIO
    left_out: list[str]


@contextmanager
def container(pid: int, uid: int, gid: int) -> Iterator[Side]:
    """The files of the container of process ``pid``; new ones belong to user ``uid`` of the
    container.
    """
    root = os.open(f"/proc/{pid}/root/.", _DIRECTORY)
    try:
        yield Side(root, _mapped(pid, "uid_map", uid), _mapped(pid, "gid_map", gid), 0o7777)
    finally:
        os.close(root)


@contextmanager
def machine() -> Iterator[Side]:
    """The files of this machine. A program of a container must not become one that others run as
    root here: no set-uid bits.
    """
    root = os.open("/", _DIRECTORY)
    try:
        yield Side(root, os.geteuid(), os.getegid(), 0o777)
    finally:
        os.close(root)


def _mapped(pid: int, table: str, id: int) -> int:
    """The id on this machine of an id inside."""
    with open(f"/proc/{pid}/{table}", encoding="ascii") as file:
        for line in file:
            inside, outside, count = map(int, line.split())
            if inside <= id < inside + count:
                return outside + id - inside
    return id


def _open(side: Side, path: str, flags: int) -> int:
    """Raises OSError with the path."""
    return native.openat2(side.root, path or "/", flags, _RESOLVE)


def _kind(side: Side, path: str) -> int | None:
    """The type bits of a file, links followed; None where there is none."""
    try:
        fd = _open(side, path, _PATH)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return stat.S_IFMT(os.fstat(fd).st_mode)
    finally:
        os.close(fd)


def copy(source: Side, path: str, target: Side, destination: str) -> list[str]:
    """Copies a file or tree as ``cp -r`` does: into a directory that is there, else under the new
    name; ``path`` that ends in ``/.`` means what is in it. Returns the names that were left out.
    Raises RuntimeFailure, ImageError, OSError."""
    whole = path.endswith("/.") or path in (".", "/")
    kind = _kind(source, path)
    if kind is None:
        raise RuntimeFailure(f"{path}: there is no such file or directory")
    directory, name = _destination(
        target, destination, os.path.basename(path.rstrip("/")), kind, whole
    )
    try:
        with packed(source, path, name, target) as stream:
            unpack(stream.reader, directory, target)
            return stream.left_out
    finally:
        os.close(directory)


def _destination(
    target: Side, destination: str, name: str, kind: int, whole: bool
) -> tuple[int, str]:
    """The directory to write into, and the name for the copy there; "" when what is copied goes
    right into it.
    """
    there = _kind(target, destination)
    if there == stat.S_IFDIR:
        return _open(target, destination, _DIRECTORY), "" if whole else name
    if there is not None and kind == stat.S_IFDIR:
        raise RuntimeFailure(f"{destination}: a directory cannot take the place of a file")
    if there is None and destination.endswith("/") and kind != stat.S_IFDIR:
        raise RuntimeFailure(f"{destination}: there is no such directory")
    above, last = os.path.split(destination.rstrip("/"))
    return _open(target, above or ("/" if destination.startswith("/") else "."), _DIRECTORY), last


@contextmanager
def packed(source: Side, path: str, name: str, target: Side) -> Iterator[Stream]:
    """What is at a path as a tar stream with ``name`` for it, made in a thread of its own while it
    is read.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    left_out: list[str] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            with open(writing, "wb") as out:
                pack(source, path, name, target, out, left_out)
        except BrokenPipeError:
            return
        except BaseException as error:  # noqa: BLE001 - told to whoever reads
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        with open(reading, "rb") as stream:
            yield Stream(stream, left_out)
    except Exception:
        thread.join()
        if failed:
            raise failed[0] from None  # the stream has ended early for that reason
        raise
    thread.join()
    if failed:
        raise failed[0]


def pack(
    source: Side, path: str, name: str, target: Side, out: BinaryIO, left_out: list[str]
) -> None:
    """Writes a tar stream for ``target``. Raises OSError, RuntimeFailure for what is neither a file
    nor a directory, or is moved meanwhile.
    """
    fd = _open(source, path, _PATH)
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        try:
            mode = os.fstat(fd).st_mode
            if stat.S_ISDIR(mode):
                _pack_directory(archive, _open(source, path, _DIRECTORY), name, target, left_out)
            elif stat.S_ISREG(mode):
                _pack_file(archive, _open(source, path, _FILE), name, target)
            else:
                raise RuntimeFailure(f"{path}: neither a file nor a directory")
        except TreeMoved as error:
            raise RuntimeFailure(f"{path}: a directory was moved while it was read") from error
        finally:
            os.close(fd)


def _entry(name: str, status: os.stat_result, target: Side) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.mtime = stat.S_IMODE(status.st_mode) & target.modes, int(status.st_mtime)
    entry.uid, entry.gid = target.uid, target.gid
    return entry


def _pack_directory(
    archive: tarfile.TarFile, fd: int, name: str, target: Side, left_out: list[str]
) -> None:
    """Everything below the directory ``fd``, which is closed at the end."""
    if name:
        entry = _entry(name, os.fstat(fd), target)
        entry.type = tarfile.DIRTYPE
        archive.addfile(entry)
    for member in walk_directory(fd):
        full = f"{name}/{member.path}" if name else member.path
        with contextlib.suppress(FileNotFoundError):  # removed since the directory was read
            _pack_one(archive, member, full, target, left_out)


def _pack_one(
    archive: tarfile.TarFile, member: Entry, full: str, target: Side, left_out: list[str]
) -> None:
    mode = member.status.st_mode
    if stat.S_ISREG(mode):
        fd = os.open(member.name, _FILE | os.O_NOFOLLOW, dir_fd=member.parent)
        _pack_file(archive, fd, full, target)
        return
    entry = _entry(full, member.status, target)
    if stat.S_ISDIR(mode):
        entry.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(mode):
        entry.type = tarfile.SYMTYPE
        entry.linkname = os.readlink(member.name, dir_fd=member.parent)
    else:
        left_out.append(full)
        return
    archive.addfile(entry)


def _pack_file(archive: tarfile.TarFile, fd: int, name: str, target: Side) -> None:
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        entry = _entry(name, status, target)
        entry.size = status.st_size
        archive.addfile(entry, _Padded(file))


class _Padded:
    """A file that goes on with zeros where it has been cut shorter since its size was asked for, as
    tar does.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size).ljust(size, b"\0")


def unpack(reader: BinaryIO, directory: int, target: Side) -> None:
    """Makes what a tar stream holds below a directory, owned as ``target`` says. Raises
    RuntimeFailure, ImageError.
    """
    unpacker = Unpacker(f"/proc/self/fd/{directory}/.", _LIMITS, whiteouts=False)
    below = target._replace(root=directory)
    try:
        for entry, content in entries(reader):
            if not (entry.isdir() or entry.isreg() or entry.issym() or entry.islnk()):
                continue
            path = "/".join(components(entry.name))
            if not path:
                continue
            if (
                not entry.isdir()
                and _kind(below, path) == stat.S_IFDIR
                and not _is_link(below, path)
            ):
                raise RuntimeFailure(f"{entry.name}: a file cannot take the place of a directory")
            entry.uid, entry.gid, entry.mode = target.uid, target.gid, entry.mode & target.modes
            unpacker.apply(entry, content)
        unpacker.finish()
    finally:
        unpacker.close()


def _is_link(side: Side, path: str) -> bool:
    fd = _open(side, path, _PATH | os.O_NOFOLLOW)
    try:
        return stat.S_ISLNK(os.fstat(fd).st_mode)
    finally:
        os.close(fd)


def receive(reader: BinaryIO, target: Side, destination: str) -> None:
    """Makes what a tar stream holds in a directory that is there. Raises RuntimeFailure,
    ImageError, OSError.
    """
    directory = _open(target, destination, _DIRECTORY)
    try:
        unpack(reader, directory, target)
    finally:
        os.close(directory)
