"""Unpack a tar stream into a directory that can serve as a lower layer of an overlay.

Follows the OCI layer rules: `.wh.NAME` hides NAME of the layers below (here the 0:0 character
device that overlayfs reads as a whiteout), `.wh..wh..opq` hides everything below a directory (the
attribute trusted.overlay.opaque).  It refuses names above the root, 0:0 devices that the tar
brings itself, entry kinds it does not know, and anything beyond the limits.  It writes nothing
outside the directory it was given; see `tree`.  Owners and devices need root.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from typing import TYPE_CHECKING, NamedTuple

from kubelite.node.image.errors import BadArchive, ImageError, UnpackRefused, quoted
from kubelite.node.image.tarstream import entries
from kubelite.node.image.tree import DIRECTORY, Parts, Place, Tree, components
from kubelite.node.image.unpack_limits import CHUNK, Limits

if TYPE_CHECKING:
    from kubelite.node.image.streams import Reader

WHITEOUT = ".wh."
OPAQUE_MARK = ".wh..wh..opq"
AUFS_MARK = ".wh..wh."
OPAQUE_XATTR = "trusted.overlay.opaque"
TAR_XATTR = "SCHILY.xattr."
HIGHEST_ID = 0xFFFFFFFE
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
KEPT_XATTRS = ("security.capability", "system.posix_acl_access", "system.posix_acl_default")
DEVICES = {tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK}


class Unpacked(NamedTuple):
    """What came of a layer: bytes of regular files, entries, and directories nobody described.

    `has_marks` says that whiteouts were off and a name looks like one.
    """

    size: int
    entries: int
    implicit: frozenset[Parts]
    has_marks: bool


def keeps_xattr(name: str) -> bool:
    """Whether an extended attribute may come from outside.

    Never one that steers overlayfs: trusted.overlay.* and user.overlay.*.
    """
    return name in KEPT_XATTRS or (
        name.startswith("user.") and not name.startswith("user.overlay.")
    )


def is_whiteout(status: os.stat_result) -> bool:
    """Whether this is what overlayfs takes for a whiteout."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def set_xattrs(target: int, attributes: dict[str, bytes]) -> None:
    """Set the attributes that may be kept; `user.` ones only where the file system has them."""
    for name, value in attributes.items():
        try:
            os.setxattr(target, name, value)
        except OSError as error:
            if error.errno != errno.ENOTSUP or not name.startswith("user."):
                raise


class Unpacker:
    """Applies entries, one after the other, to the tree below `path`.

    With `whiteouts` off, names that begin with `.wh.` are ordinary names (a plain root file
    system, not a layer).
    """

    def __init__(self, path: str | os.PathLike[str], limits: Limits, *, whiteouts: bool) -> None:
        self._tree = Tree(path)
        self._limits = limits
        self._whiteouts = whiteouts
        self._times: dict[Parts, int] = {}
        self._size = 0
        self._entries = 0
        self._has_marks = False

    def close(self) -> None:
        """Close every descriptor."""
        self._tree.close()

    def apply(self, entry: tarfile.TarInfo, content: Reader) -> None:
        """Make one entry.  `content` gives the bytes of a regular file.

        Raises UnpackRefused for an entry that breaks a rule and ImageError where the system
        refuses; both name the entry.
        """
        self._entries += 1
        try:
            if self._entries > self._limits.entries:
                raise UnpackRefused(f"the layer has more than {self._limits.entries} entries")
            self._apply(entry, content)
        except (UnpackRefused, BadArchive) as error:
            kind = type(error)
            raise kind(f"entry {quoted(entry.name)}: {error}", hint=error.hint) from error
        except OSError as error:
            raise ImageError(
                f"entry {quoted(entry.name)} cannot be unpacked: {error.strerror}"
            ) from error

    def finish(self) -> Unpacked:
        """Give the directories their times, which filling them has changed."""
        for parts, when in self._times.items():
            descriptor = self._tree.find(parts)
            if descriptor is not None:
                os.utime(descriptor, ns=(when, when))
                os.close(descriptor)
        return Unpacked(self._size, self._entries, frozenset(self._tree.made), self._has_marks)

    def _apply(self, entry: tarfile.TarInfo, content: Reader) -> None:
        parts = components(entry.name)
        if not (0 <= entry.uid <= HIGHEST_ID and 0 <= entry.gid <= HIGHEST_ID):
            raise UnpackRefused(f"owner {entry.uid}:{entry.gid} is out of range")
        if not parts:
            self._root(entry)
            return
        place, name = self._tree.directory(parts[:-1]), parts[-1]
        if name.startswith(WHITEOUT):
            if self._whiteouts:
                self._whiteout(place, name)
                return
            self._has_marks = True
        if entry.isdir():
            self._directory(place, name, entry)
        elif entry.isreg():
            self._file(place, name, entry, content)
        elif entry.issym():
            self._symlink(place, name, entry)
        elif entry.islnk():
            self._hard_link(parts, entry)
        else:
            self._special(place, name, entry)

    def _root(self, entry: tarfile.TarInfo) -> None:
        if not entry.isdir():
            raise UnpackRefused("the root of a layer must be a directory")
        self._describe(self._tree.root, entry)
        self._times[()] = _mtime(entry)

    def _whiteout(self, place: Place, name: str) -> None:
        if name == OPAQUE_MARK:
            os.setxattr(place.descriptor, OPAQUE_XATTR, b"y")
            return
        if name.startswith(AUFS_MARK):
            return
        hidden = name[len(WHITEOUT) :]
        if hidden in ("", ".", ".."):
            raise UnpackRefused("the whiteout names no single file")
        try:
            os.mknod(hidden, stat.S_IFCHR, os.makedev(0, 0), dir_fd=place.descriptor)
        except FileExistsError:
            # The layer's own file hides the one below already; its own directory must not merge.
            self._make_opaque(place, hidden)

    def _make_opaque(self, place: Place, name: str) -> None:
        if stat.S_ISDIR(os.lstat(name, dir_fd=place.descriptor).st_mode):
            descriptor = os.open(name, DIRECTORY, dir_fd=place.descriptor)
            try:
                os.setxattr(descriptor, OPAQUE_XATTR, b"y")
            finally:
                os.close(descriptor)

    def _directory(self, place: Place, name: str, entry: tarfile.TarInfo) -> None:
        whiteout = False
        try:
            os.mkdir(name, 0o700, dir_fd=place.descriptor)
        except FileExistsError:
            status = os.lstat(name, dir_fd=place.descriptor)
            if not stat.S_ISDIR(status.st_mode):
                whiteout = is_whiteout(status)
                place = self._clear(place, name)
                os.mkdir(name, 0o700, dir_fd=place.descriptor)
        real = (*place.real, name)
        descriptor = os.open(name, DIRECTORY, dir_fd=place.descriptor)
        try:
            self._describe(descriptor, entry)
            if whiteout:
                os.setxattr(descriptor, OPAQUE_XATTR, b"y")
        finally:
            os.close(descriptor)
        self._tree.made.discard(real)
        self._times[real] = _mtime(entry)

    def _file(self, place: Place, name: str, entry: tarfile.TarInfo, content: Reader) -> None:
        try:
            descriptor = os.open(name, NEW_FILE, 0o600, dir_fd=place.descriptor)
        except FileExistsError:
            place = self._clear(place, name)
            descriptor = os.open(name, NEW_FILE, 0o600, dir_fd=place.descriptor)
        try:
            self._size += entry.size
            _copy(content, descriptor, entry.size)
            self._describe(descriptor, entry)
            os.utime(descriptor, ns=(_mtime(entry), _mtime(entry)))
        finally:
            os.close(descriptor)

    def _symlink(self, place: Place, name: str, entry: tarfile.TarInfo) -> None:
        if not entry.linkname or "\0" in entry.linkname:
            raise UnpackRefused("the symbolic link has no usable target")
        try:
            os.symlink(entry.linkname, name, dir_fd=place.descriptor)
        except FileExistsError:
            place = self._clear(place, name)
            os.symlink(entry.linkname, name, dir_fd=place.descriptor)
        self._own(place, name, entry)

    def _hard_link(self, parts: Parts, entry: tarfile.TarInfo) -> None:
        target = components(entry.linkname)
        if not target or target == parts:
            raise UnpackRefused("the hard link points at the root or at itself")
        above = os.dup(self._tree.directory(target[:-1]).descriptor)
        try:
            self._check_link(above, target[-1])
            place, name = self._tree.directory(parts[:-1]), parts[-1]
            try:
                _link(above, target[-1], place.descriptor, name)
            except FileExistsError:
                place = self._clear(place, name)
                _link(above, target[-1], place.descriptor, name)
        except FileNotFoundError:
            raise UnpackRefused(
                f"its hard link target {quoted(entry.linkname)} is not in the layer"
            ) from None
        finally:
            os.close(above)

    def _check_link(self, above: int, name: str) -> None:
        status = os.lstat(name, dir_fd=above)
        if stat.S_ISDIR(status.st_mode) or (self._whiteouts and is_whiteout(status)):
            raise UnpackRefused("a hard link cannot point at a directory or a whiteout")

    def _special(self, place: Place, name: str, entry: tarfile.TarInfo) -> None:
        if entry.isfifo():
            mode, device = stat.S_IFIFO, 0
        elif entry.type in DEVICES:
            mode, device = DEVICES[entry.type], _device(entry)
        else:
            raise UnpackRefused(f"entries of type {entry.type!r} are not supported")
        try:
            os.mknod(name, mode | 0o600, device, dir_fd=place.descriptor)
        except FileExistsError:
            place = self._clear(place, name)
            os.mknod(name, mode | 0o600, device, dir_fd=place.descriptor)
        self._own(place, name, entry)
        self._set_mode(place, name, entry.mode & 0o7777)

    def _clear(self, place: Place, name: str) -> Place:
        """Remove an entry that a later one replaces; the place is opened anew."""
        self._tree.remove(place, name)
        real = place.real
        self._tree.forget()
        return self._tree.directory(real)

    def _describe(self, descriptor: int, entry: tarfile.TarInfo) -> None:
        """Owner, mode and attributes, in the order in which each survives the next."""
        os.fchown(descriptor, entry.uid, entry.gid)
        os.fchmod(descriptor, entry.mode & 0o7777)
        set_xattrs(descriptor, _xattrs(entry))

    def _own(self, place: Place, name: str, entry: tarfile.TarInfo) -> None:
        fd, when = place.descriptor, _mtime(entry)
        os.chown(name, entry.uid, entry.gid, dir_fd=fd, follow_symlinks=False)
        os.utime(name, ns=(when, when), dir_fd=fd, follow_symlinks=False)

    def _set_mode(self, place: Place, name: str, mode: int) -> None:
        # There is no fchmodat without following links; a path-only descriptor has no such doubt
        # and does not open the device.
        descriptor = os.open(
            name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.descriptor
        )
        try:
            os.chmod(f"/proc/self/fd/{descriptor}", mode)
        finally:
            os.close(descriptor)


def unpack_tar(
    source: Reader,
    path: str | os.PathLike[str],
    limits: Limits,
    *,
    size_limit: int,
    whiteouts: bool = True,
) -> Unpacked:
    """Unpack a plain tar stream into an existing directory.

    `size_limit` bounds the bytes written, holes of sparse files included.  Reads up to the end
    mark of the archive, not to the end of the stream.  Raises BadArchive for a damaged archive,
    UnpackRefused and ImageError as `Unpacker.apply` does.
    """
    unpacker = Unpacker(path, limits, whiteouts=whiteouts)
    try:
        written = 0
        for entry, content in entries(source):
            written += entry.size if entry.isreg() else 0
            if written > size_limit:
                raise UnpackRefused(
                    f"entry {quoted(entry.name)}: the layer unpacks to more than {size_limit} bytes"
                )
            unpacker.apply(entry, content)
        return unpacker.finish()
    finally:
        unpacker.close()


def _copy(content: Reader, descriptor: int, size: int) -> None:
    left = size
    while left:
        data = memoryview(content.read(min(CHUNK, left)))
        if not data:
            raise BadArchive("the archive ends in the middle of the file")
        left -= len(data)
        while data:
            data = data[os.write(descriptor, data) :]


def _link(above: int, target: str, into: int, name: str) -> None:
    os.link(target, name, src_dir_fd=above, dst_dir_fd=into, follow_symlinks=False)


def _device(entry: tarfile.TarInfo) -> int:
    if entry.devmajor == 0 and entry.devminor == 0:
        raise UnpackRefused("a 0:0 device would act as a whiteout")
    if not (0 <= entry.devmajor < 1 << 12 and 0 <= entry.devminor < 1 << 20):
        raise UnpackRefused(f"device {entry.devmajor}:{entry.devminor} is out of range")
    return os.makedev(entry.devmajor, entry.devminor)


def _mtime(entry: tarfile.TarInfo) -> int:
    """Nanoseconds; times that no inode can hold, NaN among them, become 0."""
    seconds = float(entry.mtime)
    return int(seconds * 1e9) if -(1 << 31) <= seconds < 1 << 34 else 0


def _xattrs(entry: tarfile.TarInfo) -> dict[str, bytes]:
    return {
        key[len(TAR_XATTR) :]: value.encode("utf-8", "surrogateescape")
        for key, value in entry.pax_headers.items()
        if key.startswith(TAR_XATTR) and keeps_xattr(key[len(TAR_XATTR) :])
    }
