"""Find the images in an OCI image layout or a docker archive.

An OCI layout is a directory or a tar with index.json; a docker archive is a tar with manifest.json,
as `docker save` writes it.  A tar that holds both is read as OCI, where digests cover everything.
Every document is measured, then hashed, then parsed.  Nothing is unpacked here: layers are handed
on as streams whose digests the store checks as it reads them.  Paths that an archive names are keys
of a table of the archive's own entries, never paths of this machine.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kubelite.node.image import oci
from kubelite.node.image.errors import BadArchive, quoted
from kubelite.node.image.streams import (
    LONGEST_MAGIC,
    LayerStream,
    OpenFile,
    Section,
    is_compressed,
)
from kubelite.node.image.tarstream import entries
from kubelite.node.image.unpack_limits import CHUNK, DOCUMENT_BYTES, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

INDEX = "index.json"
DOCKER_MANIFEST = "manifest.json"
MAX_ENTRIES = 100_000
MAX_LINKS = 8
MAX_NESTING = 4
# As many relative paths fit into the page that mount(2) takes options in; docker builds 127.
MAX_LAYERS = 200


class Files(Protocol):
    """Named blobs."""

    def size(self, name: str) -> int | None:
        """Bytes of a file, or None where there is none of that name."""

    def open(self, name: str) -> Section:
        """A fresh stream of a file that exists."""

    def own_path(self, name: str) -> Path | None:
        """Where a file lies in the store itself; None where it must be copied into it."""


class FoundLayer(NamedTuple):
    """A layer in an archive; `digest` is empty where the archive does not give one."""

    files: Files
    name: str
    size: int
    digest: str
    diff_id: str

    @property
    def own_path(self) -> Path | None:
        """Where the bytes lie in the store itself; None for those of an archive elsewhere."""
        return self.files.own_path(self.name)

    def open(self) -> Section:
        """A fresh stream of the bytes as stored."""
        return self.files.open(self.name)


class FoundImage(NamedTuple):
    """An image in an archive; `digests` are those of the index and manifest that led to it.
    `document` is its configuration as it came, `manifest` its manifest, empty where there is none.
    """

    id: str
    names: tuple[str, ...]
    digests: tuple[str, ...]
    config: oci.Config
    document: bytes
    manifest: bytes
    layers: tuple[FoundLayer, ...]


class LayoutDirectory:
    """An OCI image layout unpacked in a directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: list[OpenFile] = []

    def size(self, name: str) -> int | None:
        try:
            return (self._path / name).stat().st_size
        except OSError:
            return None

    def open(self, name: str) -> Section:
        file = OpenFile(self._path / name)
        self._open.append(file)
        return file.section()

    def own_path(self, name: str) -> Path | None:
        return None

    def close(self) -> None:
        """Close every file opened."""
        while self._open:
            self._open.pop().close()


class TarFiles:
    """The regular files of an uncompressed tar, found once and then read in place."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._at: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        section = Section(descriptor, 0, size)
        for count, (entry, _) in enumerate(entries(section, section.skip)):
            if count >= MAX_ENTRIES:
                raise BadArchive(f"the archive has more than {MAX_ENTRIES} entries")
            name = posixpath.normpath(entry.name)
            if entry.isreg() and not entry.issparse():
                if entry.offset_data + entry.size > size:
                    raise BadArchive(f"the archive is cut off inside {quoted(name)}")
                self._at[name] = (entry.offset_data, entry.size)
            elif entry.issym():
                above = posixpath.dirname(name)
                self._links[name] = posixpath.normpath(posixpath.join(above, entry.linkname))
            elif entry.islnk():
                self._links[name] = posixpath.normpath(entry.linkname)

    def size(self, name: str) -> int | None:
        section = self._find(name)
        return section[1] if section else None

    def open(self, name: str) -> Section:
        section = self._find(name)
        if section is None:
            raise BadArchive(f"the archive has no file {quoted(name)}")
        return Section(self._descriptor, *section)

    def own_path(self, name: str) -> Path | None:
        return None

    def _find(self, name: str) -> tuple[int, int] | None:
        name = posixpath.normpath(name)
        for _ in range(MAX_LINKS):
            if name in self._at:
                return self._at[name]
            name = self._links.get(name, "")
        return None


@contextmanager
def opened(source: Path, spool: Path, limits: Limits) -> Iterator[Files]:
    """The files of an archive or layout directory, closed on leaving the block.

    A compressed archive, or one from a pipe, is first written to a nameless file in the directory
    `spool`.  Raises BadArchive where the source cannot be opened.
    """
    if source.is_dir():
        layout = LayoutDirectory(source)
        try:
            yield layout
        finally:
            layout.close()
        return
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise BadArchive(f"cannot open {source}: {error.strerror}") from error
    try:
        with _plain(descriptor, spool, limits, str(source)) as plain:
            yield TarFiles(plain, os.fstat(plain).st_size)
    finally:
        os.close(descriptor)


def find_images(files: Files, platform: oci.Platform) -> list[FoundImage]:
    """Every image for a platform in an archive, one element for each image id.

    Raises BadArchive for what is no archive of images, is damaged, or offers none for the platform.
    """
    if files.size(INDEX) is not None:
        images = list(_oci_images(files, platform))
    elif files.size(DOCKER_MANIFEST) is not None:
        images = list(_docker_images(files))
    else:
        raise BadArchive(
            "there is neither index.json (OCI layout) nor manifest.json (docker archive) in it",
            hint="for a plain root file system use: kubelite image import NAME FILE",
        )
    merged: dict[str, FoundImage] = {}
    for image in images:
        oci.check_platform(image.config, platform)
        earlier = merged.get(image.id, image)
        merged[image.id] = image._replace(
            names=tuple(dict.fromkeys((*earlier.names, *image.names))),
            digests=tuple(dict.fromkeys((*earlier.digests, *image.digests))),
        )
    return list(merged.values())


@contextmanager
def _plain(descriptor: int, spool: Path, limits: Limits, what: str) -> Iterator[int]:
    """The descriptor itself if it is a plain file, else one of a nameless plain copy."""
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise BadArchive(f"{what} is a directory")
    regular = stat.S_ISREG(status.st_mode)
    if regular and not is_compressed(os.pread(descriptor, LONGEST_MAGIC, 0)):
        yield descriptor
        return
    size = status.st_size if regular else limits.ceiling
    with (
        open(descriptor, "rb", buffering=0, closefd=False) as raw,
        tempfile.TemporaryFile(dir=spool, buffering=0) as copy,
    ):
        with LayerStream(raw, limits.ceiling, limits.unpacked(size), what) as stream:
            while data := stream.read(CHUNK):
                copy.write(data)
        yield copy.fileno()


def _document(files: Files, name: str, digest: str = "") -> tuple[bytes, str]:
    """The bytes of a JSON document and their digest, which must be the one expected, if any."""
    size = files.size(name)
    if size is None:
        raise BadArchive(f"the archive has no file {quoted(name)}")
    if size > DOCUMENT_BYTES:
        raise BadArchive(f"{quoted(name)} is larger than {DOCUMENT_BYTES} bytes")
    data = bytearray()
    stream = files.open(name)
    while chunk := stream.read(CHUNK):
        data += chunk
    actual = "sha256:" + hashlib.sha256(data).hexdigest()
    if digest and actual != digest:
        raise BadArchive(f"{quoted(name)} does not match its digest: it is {actual}")
    return bytes(data), actual


def blob_name(digest: str) -> str:
    """The file of a blob in an OCI image layout."""
    return "blobs/sha256/" + digest.removeprefix("sha256:")


def _oci_images(files: Files, platform: oci.Platform) -> Iterator[FoundImage]:
    index = oci.parse_document(_document(files, INDEX)[0], INDEX)
    if not isinstance(index, oci.Index):
        raise BadArchive("index.json is a manifest, not an index")
    named: dict[tuple[str, ...], list[oci.Descriptor]] = {}
    for descriptor in oci.candidates(index):
        named.setdefault(tuple(oci.names_in(descriptor.annotations)), []).append(descriptor)
    if not named:
        raise BadArchive("index.json lists no image")
    for names, descriptors in named.items():
        yield _resolve(files, oci.choose(descriptors, platform), platform, names)


def _resolve(
    files: Files, descriptor: oci.Descriptor, platform: oci.Platform, names: tuple[str, ...]
) -> FoundImage:
    digests: list[str] = []
    for _ in range(MAX_NESTING):
        digests.append(descriptor.digest)
        data, _actual = _document(files, blob_name(descriptor.digest), descriptor.digest)
        document = oci.parse_document(data, descriptor.digest)
        is_index = isinstance(document, oci.Index)
        if descriptor.media_type and (descriptor.media_type in oci.INDEX_TYPES) != is_index:
            raise BadArchive(f"{descriptor.digest} is not what its media type says")
        if isinstance(document, oci.Manifest):
            return _oci_image(files, document, data, names, tuple(digests))
        descriptor = oci.choose(oci.candidates(document), platform)
    raise BadArchive(f"indexes are nested more than {MAX_NESTING} deep")


def _oci_image(
    files: Files,
    manifest: oci.Manifest,
    manifest_data: bytes,
    names: tuple[str, ...],
    digests: tuple[str, ...],
) -> FoundImage:
    data, image_id = _document(files, blob_name(manifest.config.digest), manifest.config.digest)
    blobs = [(blob_name(layer.digest), layer.digest) for layer in manifest.layers]
    for (name, _), layer in zip(blobs, manifest.layers, strict=True):
        size = files.size(name)
        if size is not None and size != layer.size:
            raise BadArchive(f"layer {layer.digest} has {size} bytes instead of {layer.size}")
    config = oci.parse_config(data, len(blobs), "the image configuration")
    layers = _layers(files, blobs, config)
    return FoundImage(image_id, names, digests, config, data, manifest_data, layers)


def _docker_images(files: Files) -> Iterator[FoundImage]:
    for image in oci.parse_docker_manifest(_document(files, DOCKER_MANIFEST)[0]):
        data, image_id = _document(files, image.config, _digest_in(image.config))
        blobs = [(name, _digest_in(name) if "/sha256/" in name else "") for name in image.layers]
        config = oci.parse_config(data, len(blobs), "the image configuration")
        names = tuple(oci.archive_name(tag) for tag in image.repo_tags or ())
        layers = _layers(files, blobs, config)
        yield FoundImage(image_id, names, (), config, data, b"", layers)


def _digest_in(name: str) -> str:
    """The digest that a file name of a docker archive states, or ""."""
    match = re.search(r"(?:^|/)([0-9a-f]{64})(?:\.json)?$", name)
    return f"sha256:{match[1]}" if match else ""


def _layers(
    files: Files, blobs: list[tuple[str, str]], config: oci.Config
) -> tuple[FoundLayer, ...]:
    if len(blobs) > MAX_LAYERS:
        raise BadArchive(f"the image has more than {MAX_LAYERS} layers")
    layers = []
    for (name, digest), diff_id in zip(blobs, config.diff_ids, strict=True):
        size = files.size(name)
        if size is None:
            raise BadArchive(f"the archive has no layer {quoted(name)}")
        layers.append(FoundLayer(files, name, size, digest, diff_id))
    return tuple(layers)
