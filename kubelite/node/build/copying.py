"""COPY, ADD and WORKDIR: the directory of changes that they make, without running anything."""

from __future__ import annotations

import bz2
import io
import lzma
import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from kubelite.node.build import modes
from kubelite.node.build.sources import Found, Tree, walk
from kubelite.node.image.content.merged import MergedTree
from kubelite.node.image.rootfs import TYPES
from kubelite.node.image.streams import LayerStream, Reader, Section, compression
from kubelite.node.image.tarstream import entries
from kubelite.node.image.tree import Parts, components
from kubelite.node.image.unpack import TAR_XATTR, Unpacker, keeps_xattr
from kubelite.node.image.unpack_limits import Limits

_NEW_DIRECTORY = 0o755
_MAGIC_BYTES, _USTAR_AT = 512, 257
_XZ, _BZIP2 = b"\xfd7zXZ\x00", b"BZh"


class Target(NamedTuple):
    """Where files go: the tree below, the directory for the changes, the path in the image.

    `is_directory` tells that the path is one however many files come.  `owner` is that of all
    files, None for their own; `mode` changes theirs (`modes`).
    """

    below: MergedTree
    place: Path
    path: Parts
    is_directory: bool
    owner: tuple[int, int] | None = None
    mode: str = ""


class Copier:
    """Copies into one target; `finish` tells which directories were made on the way."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._limits = Limits()
        self._unpacker = Unpacker(target.place, self._limits, whiteouts=False)

    def close(self) -> None:
        """Close every descriptor."""
        self._unpacker.close()

    def finish(self) -> frozenset[Parts]:
        """The directories that take owner and mode from the layers below, the root among them."""
        return self._unpacker.finish().implicit | {()}

    def directory(self) -> None:
        """Make the target itself a directory, if it is none."""
        self._make_directory(self._target.path)

    def copy(self, tree: Tree, source: Parts, name: str) -> None:
        """Copy a file under a name, or what a directory holds."""
        entry = tree.files.find(source)
        assert entry is not None
        if stat.S_ISDIR(entry.status.st_mode):
            self.directory()
            into = self._target.path
        else:
            into = self._file_path(name)
        for file in walk(tree, source):
            if file.below or not stat.S_ISDIR(file.status.st_mode):
                self._add(tree, file, (*into, *file.below))

    def extract(self, tree: Tree, source: Parts) -> bool:
        """Unpack an archive into the target; False for what is none, such as a directory."""
        entry = tree.files.find(source)
        if entry is None or not stat.S_ISREG(entry.status.st_mode):
            return False
        descriptor = tree.files.open(source)
        with open(descriptor, "rb") as file:
            start = file.read(_MAGIC_BYTES)
            with _plain(file, start, self._limits) as plain:
                if plain is None:
                    return False
                self.directory()
                for member, content in entries(plain):
                    self._unpacker.apply(self._moved(member), content)
        return True

    def _moved(self, entry: tarfile.TarInfo) -> tarfile.TarInfo:
        """An entry of an archive at its place below the target."""
        entry.name = "/".join((*self._target.path, *components(entry.name)))
        if entry.islnk():
            entry.linkname = "/".join((*self._target.path, *components(entry.linkname)))
        return entry

    def _file_path(self, name: str) -> Parts:
        existing = self._target.below.find(self._target.path)
        is_directory = existing is not None and stat.S_ISDIR(existing.status.st_mode)
        if self._target.is_directory or is_directory:
            return (*self._target.path, name)
        return self._target.path

    def _make_directory(self, path: Parts) -> None:
        existing = self._target.below.find(path)
        if existing is not None and stat.S_ISDIR(existing.status.st_mode):
            return
        if not path or os.path.lexists(self._target.place.joinpath(*path)):
            return
        self._make_directory(path[:-1])
        entry = tarfile.TarInfo("/".join(path))
        entry.type, entry.mode = tarfile.DIRTYPE, _NEW_DIRECTORY
        entry.uid, entry.gid = self._target.owner or (0, 0)
        self._unpacker.apply(entry, io.BytesIO())

    def _add(self, tree: Tree, file: Found, path: Parts) -> None:
        status = file.status
        kind = TYPES.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            return  # a socket means nothing without its process
        self._make_directory(path[:-1])
        entry = tarfile.TarInfo("/".join(path))
        entry.type, entry.mode = kind, stat.S_IMODE(status.st_mode)
        if self._target.mode and not entry.issym():
            entry.mode = modes.changed(self._target.mode, entry.mode, is_directory=entry.isdir())
        own = (status.st_uid, status.st_gid) if tree.has_owners else (0, 0)
        entry.uid, entry.gid = self._target.owner or own
        entry.mtime = status.st_mtime_ns // 1_000_000_000
        if entry.issym():
            entry.linkname = tree.files.target(file.path)
        if entry.ischr() or entry.isblk():
            entry.devmajor, entry.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
        if not entry.isreg() and not entry.isdir():
            self._unpacker.apply(entry, io.BytesIO())
            return
        descriptor = tree.files.open(file.path)
        try:
            entry.size = status.st_size if entry.isreg() else 0
            entry.pax_headers = _xattrs(descriptor)
            self._unpacker.apply(entry, Section(descriptor, 0, entry.size))
        finally:
            os.close(descriptor)


def _xattrs(descriptor: int) -> dict[str, str]:
    return {
        TAR_XATTR + name: os.getxattr(descriptor, name).decode("utf-8", "surrogateescape")
        for name in os.listxattr(descriptor)
        if keeps_xattr(name)
    }


@contextmanager
def _plain(file: io.BufferedReader, start: bytes, limits: Limits) -> Iterator[Reader | None]:
    """The plain bytes of a tar, compressed or not; None for anything else."""
    with _decompressed(file, start, limits) as probe:
        is_tar = probe.read(_MAGIC_BYTES)[_USTAR_AT:].startswith(b"ustar")
    if not is_tar:
        yield None
        return
    with _decompressed(file, start, limits) as plain:
        yield plain


@contextmanager
def _decompressed(file: io.BufferedReader, start: bytes, limits: Limits) -> Iterator[Reader]:
    """A file from its beginning, without its compression."""
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    if start.startswith(_XZ):
        with lzma.LZMAFile(file) as xz:
            yield xz
    elif start.startswith(_BZIP2):
        with bz2.BZ2File(file) as bzip2:
            yield bzip2
    elif compression(start):
        with LayerStream(file, size, limits.unpacked(size), "the archive") as stream:
            yield stream
    else:
        yield file
