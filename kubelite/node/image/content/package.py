"""An image as it leaves the store: manifest, configuration and layers, each a blob with a digest.

An image whose manifest and layers are here as they came leaves byte for byte the same.  One that
was made here, or whose layers came another way, gets a manifest of its own over the same
configuration; where a layer cannot be packed to the bytes that it came as, the configuration too
becomes a copy with other digests.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kubelite.node.image import oci
from kubelite.node.image.content.documents import (
    CONFIG_TYPE,
    LAYER_TYPE,
    MANIFEST_TYPE,
    config_document,
    manifest_document,
)
from kubelite.node.image.streams import compression

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kubelite.node.image.content.blobs import Blobs
    from kubelite.node.image.layers import Layers
    from kubelite.node.image.model import ImageRecord, LayerRecord


class Blob(NamedTuple):
    """One file of an image and how a manifest points at it."""

    digest: str
    size: int
    media_type: str
    path: Path

    @property
    def descriptor(self) -> oci.Descriptor:
        """The pointer to it."""
        return oci.Descriptor(self.digest, self.size, self.media_type)


class Package(NamedTuple):
    """All files of an image; layers lowest first."""

    manifest: Blob
    config: Blob
    layers: tuple[Blob, ...]


def packaged(record: ImageRecord, layers: Layers) -> Package:
    """The package of an image; layers without a blob are packed.

    Raises ImageError where a layer is lost, BadArchive for a file that no layer can hold.
    """
    original = _original(record, layers.blobs)
    if original is not None:
        return original
    packed = [layers.packed(layers.needed(identity)) for identity in record.layer_ids]
    config = _config(record, packed, layers.blobs)
    blobs = [_layer_blob(layers.blobs, layer.blob) for layer in packed]
    document = manifest_document(config.descriptor, [blob.descriptor for blob in blobs])
    manifest = _blob(layers.blobs, layers.blobs.add(document), MANIFEST_TYPE)
    return Package(manifest, config, tuple(blobs))


def _original(record: ImageRecord, blobs: Blobs) -> Package | None:
    """The image as it came; None where some of it is not here."""
    data = blobs.document(record.manifest) if record.manifest else None
    if data is None:
        return None
    document = oci.parse_document(data, record.manifest)
    assert isinstance(document, oci.Manifest)
    pointers = [document.config, *document.layers]
    if any(blobs.size(pointer.digest) != pointer.size for pointer in pointers):
        return None
    media_type = oci.media_type(data) or MANIFEST_TYPE
    config, *layers = [Blob(p.digest, p.size, p.media_type, blobs.path(p.digest)) for p in pointers]
    return Package(_blob(blobs, record.manifest, media_type), config, tuple(layers))


def _config(record: ImageRecord, layers: Sequence[LayerRecord], blobs: Blobs) -> Blob:
    """The configuration as it came, if it still describes the layers."""
    diff_ids = [layer.diff_id for layer in layers]
    data = blobs.document(record.id)
    if data is not None:
        parsed = oci.parse_config(data, len(layers), record.id)
        if list(parsed.diff_ids) == diff_ids:
            return _blob(blobs, record.id, CONFIG_TYPE)
    platform = oci.this_platform(os.uname().machine)
    document = config_document(record.config, diff_ids, platform, created=record.created)
    return _blob(blobs, blobs.add(document), CONFIG_TYPE)


def _layer_blob(blobs: Blobs, digest: str) -> Blob:
    with open(blobs.path(digest), "rb") as file:
        kind = compression(file.read(8))
    return _blob(blobs, digest, LAYER_TYPE + (f"+{kind}" if kind else ""))


def _blob(blobs: Blobs, digest: str, media_type: str) -> Blob:
    return Blob(digest, blobs.size(digest) or 0, media_type, blobs.path(digest))
