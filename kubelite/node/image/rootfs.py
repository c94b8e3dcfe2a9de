"""A directory on this machine, read as the entries of a tar.

Gives what `tarstream.entries` gives, so that a directory and a tar are unpacked by one piece of
code, and hashes the tar it stands for: the diff_id of a directory with the same files is the
same.  A layer, or the writable layer of a container, is read as the changeset it is: what
overlayfs marks becomes the marks of OCI.  Times are whole seconds, as docker and buildah write
them.  Stays on one file system: a mount point below the directory is copied as an empty directory.
Sockets, which mean nothing without their process, are left out.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tarfile
from typing import TYPE_CHECKING

from kubelite.node.image.errors import BadArchive, quoted
from kubelite.node.image.lookup import is_opaque
from kubelite.node.image.tree import DIRECTORY, Parts, Tree
from kubelite.node.image.unpack import (
    OPAQUE_MARK,
    TAR_XATTR,
    WHITEOUT,
    is_whiteout,
    keeps_xattr,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.node.image.streams import Reader
    from kubelite.node.image.unpack_limits import Limits

FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
END = bytes(2 * tarfile.BLOCKSIZE)
"""What ends a tar."""
TYPES = {
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}


class DirectoryTar:
    """The directory at `path` as a tar in a fixed order, names sorted.

    With `as_layer` it is the directory of a layer.  Raises BadArchive, from `entries` too, where
    files have far more holes than content.
    """

    def __init__(
        self, path: str | os.PathLike[str], limits: Limits, *, as_layer: bool = False
    ) -> None:
        self._limits = limits
        self._as_layer = as_layer
        self._stored = 0
        self._size = 0
        self._sparsest = ("", 0, 0)
        try:
            self._tree = Tree(os.path.realpath(path))
        except OSError as error:
            raise BadArchive(f"cannot open {os.fspath(path)}: {error.strerror}") from error
        self._device = os.fstat(self._tree.root).st_dev
        self._hash = hashlib.sha256()
        self._links: dict[tuple[int, int], str] = {}

    def close(self) -> None:
        """Close every descriptor."""
        self._tree.close()

    @property
    def diff_id(self) -> str:
        """Digest of a tar of the entries given so far."""
        whole = self._hash.copy()
        whole.update(END)
        return "sha256:" + whole.hexdigest()

    def entries(self) -> Iterator[tuple[tarfile.TarInfo, Reader]]:
        """Every entry, a directory before what it holds; contents are good until the next.

        Raises BadArchive where the directory changes under the reader's eyes.
        """
        todo: list[Parts] = [()]
        yield from self._directory(self._tree.root, ())
        while todo:
            parts = todo.pop()
            descriptor = self._tree.find(parts)
            if descriptor is None:
                raise BadArchive(f"directory {quoted('/'.join(parts))} went away while it was read")
            try:
                for name in sorted(os.listdir(descriptor)):
                    status = os.lstat(name, dir_fd=descriptor)
                    below = (*parts, name)
                    if self._as_layer and name.startswith(WHITEOUT):
                        raise BadArchive(
                            f"{quoted('/'.join(below))} cannot be in a layer: names that begin "
                            f"with {WHITEOUT} stand for deleted files"
                        )
                    if self._as_layer and is_whiteout(status):
                        yield self._mark((*parts, WHITEOUT + name))
                    elif stat.S_ISDIR(status.st_mode):
                        if status.st_dev == self._device:
                            todo.append(below)
                        yield from self._subdirectory(descriptor, below)
                    elif stat.S_ISREG(status.st_mode) and not self._is_known(status):
                        yield from self._file(descriptor, below)
                    elif not stat.S_ISSOCK(status.st_mode):
                        yield self._other(descriptor, below, status)
            finally:
                os.close(descriptor)

    def _is_known(self, status: os.stat_result) -> bool:
        return (status.st_dev, status.st_ino) in self._links

    def _subdirectory(self, above: int, parts: Parts) -> Iterator[tuple[tarfile.TarInfo, Reader]]:
        descriptor = os.open(parts[-1], DIRECTORY, dir_fd=above)
        try:
            yield from self._directory(descriptor, parts)
        finally:
            os.close(descriptor)

    def _directory(self, descriptor: int, parts: Parts) -> Iterator[tuple[tarfile.TarInfo, Reader]]:
        entry = self._entry(parts, os.fstat(descriptor))
        entry.pax_headers = _xattrs(descriptor)
        yield self._told(entry), _Content(-1, 0, self._hash)
        if self._as_layer and is_opaque(descriptor):
            yield self._mark((*parts, OPAQUE_MARK))

    def _mark(self, parts: Parts) -> tuple[tarfile.TarInfo, Reader]:
        """An empty file whose name says what is hidden in the layers below."""
        return self._told(tarfile.TarInfo("/".join(parts))), _Content(-1, 0, self._hash)

    def _file(self, above: int, parts: Parts) -> Iterator[tuple[tarfile.TarInfo, Reader]]:
        descriptor = os.open(parts[-1], FILE, dir_fd=above)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise BadArchive(f"file {quoted('/'.join(parts))} changed while it was read")
            entry = self._entry(parts, status)
            entry.size = status.st_size
            self._count(entry.name, status)
            entry.pax_headers = _xattrs(descriptor)
            yield self._told(entry), _Content(descriptor, entry.size, self._hash)
            self._hash.update(bytes(-entry.size % tarfile.BLOCKSIZE))
        finally:
            os.close(descriptor)

    def _count(self, name: str, status: os.stat_result) -> None:
        """Refuses a file before its holes are read, which may be terabytes of zeros."""
        stored, size = status.st_blocks * 512, status.st_size
        self._stored += stored
        self._size += size
        self._sparsest = max(
            self._sparsest, (name, size, stored), key=lambda file: file[1] - file[2]
        )
        limit = self._limits.expanded(self._stored)
        if self._size > limit:
            name, size, stored = self._sparsest
            raise BadArchive(
                f"file {quoted(name)} is sparse: {size} bytes, of which {stored} are on the disk; "
                f"the directory may hold {limit} bytes"
            )

    def _other(
        self, above: int, parts: Parts, status: os.stat_result
    ) -> tuple[tarfile.TarInfo, Reader]:
        entry = self._entry(parts, status)
        if entry.issym():
            entry.linkname = os.readlink(parts[-1], dir_fd=above)
        return self._told(entry), _Content(-1, 0, self._hash)

    def _entry(self, parts: Parts, status: os.stat_result) -> tarfile.TarInfo:
        """A header from a status; a further name of a known file becomes a hard link."""
        name = "/".join(parts) or "."
        entry = tarfile.TarInfo(name)
        entry.type = TYPES[stat.S_IFMT(status.st_mode)]
        entry.mode = stat.S_IMODE(status.st_mode)
        entry.uid, entry.gid = status.st_uid, status.st_gid
        entry.mtime = status.st_mtime_ns // 1_000_000_000
        if entry.ischr() or entry.isblk():
            entry.devmajor, entry.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
        if status.st_nlink > 1 and not entry.isdir():
            first = self._links.setdefault((status.st_dev, status.st_ino), name)
            if first != name:
                entry.type, entry.linkname = tarfile.LNKTYPE, first
        return entry

    def _told(self, entry: tarfile.TarInfo) -> tarfile.TarInfo:
        self._hash.update(header(entry))
        return entry


def clamp_times(path: str | os.PathLike[str], latest: int) -> None:
    """Give everything below a directory that is younger than `latest`, in seconds since 1970, that
    time.
    """
    when = latest * 1_000_000_000
    for _, names, files, above in os.fwalk(path, topdown=False):
        for name in (*names, *files):
            if os.lstat(name, dir_fd=above).st_mtime_ns > when:
                os.utime(name, ns=(when, when), dir_fd=above, follow_symlinks=False)
    if os.lstat(path).st_mtime_ns > when:
        os.utime(path, ns=(when, when))


def header(entry: tarfile.TarInfo) -> bytes:
    """The blocks that stand before the content of an entry."""
    return entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


class _Content:
    """At most `size` bytes of a file, hashed as they pass."""

    def __init__(self, descriptor: int, size: int, digest: hashlib._Hash) -> None:
        self._descriptor, self._left, self._digest = descriptor, size, digest

    def read(self, size: int, /) -> bytes:
        data = os.read(self._descriptor, min(size, self._left)) if self._left else b""
        self._left -= len(data)
        self._digest.update(data)
        return data


def _xattrs(descriptor: int) -> dict[str, str]:
    try:
        names = os.listxattr(descriptor)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
    return {
        TAR_XATTR + name: os.getxattr(descriptor, name).decode("utf-8", "surrogateescape")
        for name in sorted(names)
        if keeps_xattr(name)
    }
