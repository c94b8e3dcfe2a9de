"""Unpacked layers on disk: `layers/<id>/` and beside each its record `layers/<id>.json`.

A layer is unpacked into `tmp-…`, flushed, and renamed into place; a directory without its record
does not count.  The bytes that it came as are kept as a blob, so that it leaves as it came; one
that came as a directory is packed when it leaves for the first time.  Callers hold the store's
lock.  What a killed import left behind is removed by `sweep`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import msgspec

from kubelite.core import native
from kubelite.lib.files import RecordError, read_record, sync_directory, write_record
from kubelite.node.image.content.blobs import Blobs
from kubelite.node.image.content.packing import pack
from kubelite.node.image.errors import BadArchive, ImageError
from kubelite.node.image.model import LayerRecord, layer_id
from kubelite.node.image.reference import HOST
from kubelite.node.image.rootfs import DirectoryTar, clamp_times
from kubelite.node.image.streams import LayerStream, OpenFile
from kubelite.node.image.tree import DIRECTORY, Parts, Tree
from kubelite.node.image.unpack import (
    OPAQUE_XATTR,
    Unpacked,
    Unpacker,
    keeps_xattr,
    set_xattrs,
    unpack_tar,
)
from kubelite.node.image.unpack_limits import CHUNK, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kubelite.node.image.archive import FoundLayer

SCRATCH = "tmp-"


class _Arrived(NamedTuple):
    """The bytes a layer came as: a copy just written, or a file of the store."""

    digest: str
    place: IO[bytes] | Path


class Layers:
    """The layers below `<home>/layers`, scratch directories beside it."""

    def __init__(self, home: Path, limits: Limits | None = None) -> None:
        self._home = home
        self._path = home / "layers"
        self.limits = limits or Limits()
        self.blobs = Blobs(home)

    def chain(self, layers: tuple[FoundLayer, ...]) -> list[LayerRecord]:
        """Bring in the layers of one image, lowest first, reading only those not yet here.

        Raises BadArchive where a digest or a diff_id does not match, and what unpacking raises.
        """
        records: list[LayerRecord] = []
        chain_id = ""
        for layer in layers:
            chain_id = _chain_id(chain_id, layer.diff_id)
            record = self._known(layer.diff_id, chain_id)
            records.append(record or self._unpacked(layer, chain_id, records))
        return records

    def missing(self, diff_ids: Sequence[str]) -> frozenset[int]:
        """Which layers of a chain, numbered from the lowest, are not here."""
        absent, chain_id = set(), ""
        for number, diff_id in enumerate(diff_ids):
            chain_id = _chain_id(chain_id, diff_id)
            if self._known(diff_id, chain_id) is None:
                absent.add(number)
        return frozenset(absent)

    def add_tar(self, source: Path) -> LayerRecord:
        """Unpack a tar, which may be compressed, that is a whole root file system."""
        with OpenFile(source) as file, self._scratch() as place, self.blobs.receiving() as copy:
            bound = self.limits.unpacked(file.size)
            with LayerStream(file.section(), file.size, bound, str(source), copy) as stream:
                done = unpack_tar(stream, place, self.limits, size_limit=bound, whiteouts=False)
                stream.finish()
            # Elsewhere, such a name would be read as the mark of a deleted file.
            blob = None if done.has_marks else _Arrived(stream.blob_digest, copy)
            return self._keep(place, stream.diff_id, stream.diff_id, done, blob)

    def add_directory(self, source: Path) -> LayerRecord:
        """Copy a directory that is a whole root file system."""
        return self._copied(source, as_layer=False)

    def add_changes(self, source: Path) -> LayerRecord:
        """Copy a directory of changes, with whiteouts and opaque directories of overlayfs."""
        return self._copied(source, as_layer=True)

    def _copied(self, source: Path, *, as_layer: bool) -> LayerRecord:
        with self._scratch() as place:
            directory = DirectoryTar(source, self.limits, as_layer=as_layer)
            unpacker = Unpacker(place, self.limits, whiteouts=as_layer)
            try:
                for entry, content in directory.entries():
                    unpacker.apply(entry, content)
                done = unpacker.finish()
            finally:
                unpacker.close()
                directory.close()
            return self._keep(place, directory.diff_id, directory.diff_id, done)

    def adopt(
        self, place: Path, below: Sequence[str], implicit: frozenset[Parts], latest: int | None
    ) -> LayerRecord:
        """Take over a directory of changes on the same file system, which is moved.

        `implicit` are directories in it that take owner and mode from the layers below, given
        lowest first; times after `latest`, in seconds, become that.
        """
        _inherit(place, implicit, [self.path(identity) for identity in reversed(below)])
        if latest is not None:
            clamp_times(place, latest)
        directory = DirectoryTar(place, self.limits, as_layer=True)
        size = entries = 0
        try:
            for entry, content in directory.entries():
                entries += 1
                size += entry.size
                while content.read(CHUNK):
                    pass
        finally:
            directory.close()
        done = Unpacked(size, entries, frozenset(), False)
        return self._keep(place, directory.diff_id, directory.diff_id, done)

    def packed(self, record: LayerRecord) -> LayerRecord:
        """The record of a layer with a blob: one that has none is packed.

        Raises BadArchive for a file that no layer of an archive can hold.
        """
        if record.blob and self.blobs.size(record.blob) is not None:
            return record
        identity = layer_id(record.key)
        with self.blobs.receiving() as file:
            blob = pack(self.path(identity), file, self.limits)
            self.blobs.keep(file, blob.digest)
        packed = msgspec.structs.replace(record, blob=blob.digest, diff_id=blob.diff_id)
        if blob.diff_id == record.diff_id:
            write_record(str(self._record_path(identity)), packed, durable=True)
        return packed

    def path(self, identity: str) -> Path:
        """Where a layer of this id lies."""
        return Path("/") if identity == HOST else self._path / identity

    def sweep(self, used: set[str], documents: set[str]) -> int:
        """Remove scratch directories, the layers that no image uses, and the blobs that are neither
        of a layer nor among the documents; the bytes of layers and blobs.
        """
        for scratch in self._home.glob(SCRATCH + "*"):
            shutil.rmtree(scratch)
        here = {entry.name.partition(".")[0] for entry in self._path.iterdir()}
        freed = sum(self._remove(identity) for identity in here - used)
        records = filter(None, map(self.record, used))
        return freed + self.blobs.sweep(documents | {record.blob for record in records})

    def _remove(self, identity: str) -> int:
        """Remove a layer; the bytes freed.  The record goes first: without it nothing counts."""
        record = self.record(identity)
        self._record_path(identity).unlink(missing_ok=True)
        self._discard(self._path / identity)
        return record.size if record else 0

    def record(self, identity: str) -> LayerRecord | None:
        """The record of a layer that is here; a damaged one will be written anew."""
        try:
            record = read_record(str(self._record_path(identity)), LayerRecord)
        except (FileNotFoundError, RecordError):
            return None
        return record if self.path(identity).is_dir() else None

    def needed(self, identity: str) -> LayerRecord:
        """The record of a layer that an image needs. Raises ImageError where it is lost."""
        record = self.record(identity)
        if record is None:
            raise ImageError(f"layer {identity} is lost: bring the image in again")
        return record

    def _record_path(self, identity: str) -> Path:
        return self._path / f"{identity}.json"

    def _known(self, diff_id: str, chain_id: str) -> LayerRecord | None:
        """A layer that is here already and good on top of this chain."""
        for key in (diff_id, chain_id):
            record = self.record(layer_id(key))
            if record is None:
                continue
            if record.key != key:
                raise ImageError(f"layers {record.key} and {key} have the same short id")
            if record.self_contained or key == chain_id:
                return record
        return None

    def _unpacked(self, layer: FoundLayer, chain_id: str, below: list[LayerRecord]) -> LayerRecord:
        what = f"layer {layer.digest or layer.diff_id}"
        with self._scratch() as place, self._receiving(layer) as (copy, file):
            bound = self.limits.unpacked(layer.size)
            with LayerStream(layer.open(), layer.size, bound, what, file) as stream:
                done = unpack_tar(stream, place, self.limits, size_limit=bound)
                stream.finish()
            if layer.digest and stream.blob_digest != layer.digest:
                raise BadArchive(f"{what} does not match its digest: it is {stream.blob_digest}")
            if stream.diff_id != layer.diff_id:
                raise BadArchive(f"{what} has diff_id {stream.diff_id}, not {layer.diff_id}")
            _inherit(place, done.implicit, [self.path(layer_id(r.key)) for r in reversed(below)])
            key = chain_id if done.implicit else layer.diff_id
            return self._keep(place, key, layer.diff_id, done, _Arrived(stream.blob_digest, copy))

    @contextmanager
    def _receiving(self, layer: FoundLayer) -> Iterator[tuple[IO[bytes] | Path, IO[bytes] | None]]:
        """Where the bytes of a layer come to lie, and what to copy them to if they do not yet."""
        if layer.own_path is not None:
            yield layer.own_path, None
            return
        with self.blobs.receiving() as copy:
            yield copy, copy

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """An empty directory to unpack into; what is left of it goes away with the block."""
        outer = self._home / (SCRATCH + os.urandom(8).hex())
        outer.mkdir(0o700)
        place = outer / "layer"
        try:
            place.mkdir()
            # The root of a container is readable by its users unless the image says otherwise.
            place.chmod(0o755)
            yield place
        finally:
            shutil.rmtree(outer)

    def _keep(
        self,
        place: Path,
        key: str,
        diff_id: str,
        done: Unpacked,
        blob: _Arrived | None = None,
    ) -> LayerRecord:
        """Flush a finished layer, then make it count."""
        identity = layer_id(key)
        record = LayerRecord(
            key=key,
            diff_id=diff_id,
            size=done.size,
            self_contained=not done.implicit,
            blob=blob.digest if blob else "",
        )
        existing = self.record(identity)
        if existing is not None:
            if existing.key != key:
                raise ImageError(f"layers {existing.key} and {key} have the same short id")
            return existing
        # A layer whose record was damaged is still the one of this id: it was whole when renamed.
        if not self.path(identity).is_dir():
            _flush(place)
            place.rename(self.path(identity))
            sync_directory(str(self._path))
        if blob is not None:
            self._keep_blob(blob)
        write_record(str(self._record_path(identity)), record, durable=True)
        return record

    def _keep_blob(self, blob: _Arrived) -> None:
        if isinstance(blob.place, Path):
            self.blobs.adopt(blob.place, blob.digest)
        else:
            self.blobs.keep(blob.place, blob.digest)

    def _discard(self, path: Path) -> None:
        """Take a tree away in one step, then remove it at leisure."""
        if path.exists():
            away = self._home / (SCRATCH + os.urandom(8).hex())
            path.rename(away)
            shutil.rmtree(away)


def _chain_id(below: str, diff_id: str) -> str:
    """The chain id of the OCI image specification: names a layer together with those below."""
    if not below:
        return diff_id
    return "sha256:" + hashlib.sha256(f"{below} {diff_id}".encode()).hexdigest()


def _inherit(place: Path, implicit: frozenset[Parts], below: list[Path]) -> None:
    """Give directories that the layer does not describe the owner and mode they have below.

    An overlay shows the topmost directory's metadata; without this, a layer with the single entry
    `tmp/file` would turn /tmp into 0755.
    """
    for parts in sorted(implicit):
        model = _topmost(below, parts)
        if model is None:
            continue
        tree = Tree(place)
        target = tree.find(parts)
        try:
            if target is not None:
                _copy_metadata(model, target)
        finally:
            os.close(model)
            if target is not None:
                os.close(target)
            tree.close()


def _copy_metadata(model: int, target: int) -> None:
    status = os.fstat(model)
    os.fchown(target, status.st_uid, status.st_gid)
    os.fchmod(target, stat.S_IMODE(status.st_mode))
    kept = {n: os.getxattr(model, n) for n in os.listxattr(model) if keeps_xattr(n)}
    set_xattrs(target, kept)


def _topmost(below: list[Path], parts: Parts) -> int | None:
    """The directory that an overlay of these layers, topmost first, would show at a path."""
    for layer in below:
        descriptor, covers = os.open(layer, DIRECTORY), False
        for part in parts:
            above = descriptor
            try:
                covers = covers or _is_opaque(above)
                descriptor = os.open(part, DIRECTORY, dir_fd=above)
            except FileNotFoundError:
                descriptor = -1
                break
            except NotADirectoryError:
                return None
            finally:
                os.close(above)
        if descriptor >= 0:
            return descriptor
        if covers:
            return None
    return None


def _is_opaque(descriptor: int) -> bool:
    return OPAQUE_XATTR in os.listxattr(descriptor)


def _flush(path: Path) -> None:
    """Write the file system of a directory to disk: one call instead of one for each file."""
    descriptor = os.open(path, DIRECTORY)
    try:
        native.syncfs(descriptor)
    except OSError as error:
        raise ImageError(f"cannot flush the unpacked layer to disk: {error.strerror}") from error
    finally:
        os.close(descriptor)
