"""Whether a store is whole, and what it takes on the disk.

Nothing is changed.  What a killed command left half done is no fault: nothing counts it, and the
next change clears it away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from kubelite.lib.files import RecordError, names, read_record
from kubelite.node.image.layers import Layers
from kubelite.node.image.model import ImageRecord, LayerRecord, NameRecord, StepRecord
from kubelite.node.image.reference import HOST

T = TypeVar("T", bound=msgspec.Struct)


class Use(NamedTuple):
    """How many there are and how many pods use, their bytes, and those that can be had back."""

    total: int
    active: int
    size: int
    reclaimable: int


class StoreUse(NamedTuple):
    """What images take, and what only builds have kept."""

    images: Use
    steps: Use


def problems(home: Path) -> Iterator[str]:
    """A sentence for each thing that is not as its record says; every blob is read."""
    if not home.is_dir():
        return
    layers = Layers(home)
    for name, record in _records(home, "images", ImageRecord):
        if isinstance(record, str):
            yield record
        elif f"sha256:{name}" != record.id:
            yield f"the record of image {record.id} lies under another id, {name}"
        else:
            yield from _image_problems(record, layers)
    for _, named in _records(home, "names", NameRecord):
        if isinstance(named, str):
            yield named
        elif not (home / "images" / f"{named.image_id.removeprefix('sha256:')}.json").exists():
            yield f"{named.name} names image {named.image_id}, which is not there"
    for name, layer in _records(home, "layers", LayerRecord):
        if isinstance(layer, str):
            yield layer
        elif not (home / "layers" / name).is_dir():
            yield f"layer {name} has a record and no files"
    for name in names(str(home / "blobs" / "sha256")):
        if not name.endswith(".tmp") and _hash(home / "blobs" / "sha256" / name) != name:
            yield f"blob sha256:{name} does not match its digest"


def usage(home: Path, in_use: Collection[str]) -> StoreUse:
    """What lies on the disk; `in_use` are the ids of images that pods use."""
    layers = Layers(home)
    images = [r for _, r in _records(home, "images", ImageRecord) if not isinstance(r, str)]
    steps = [r for _, r in _records(home, "steps", StepRecord) if not isinstance(r, str)]
    of_images = {identity for image in images for identity in image.layer_ids} - {HOST}
    active = {i for image in images if image.id in in_use for i in image.layer_ids}
    of_steps = {step.layer_id for step in steps if step.layer_id} - of_images
    sizes = {identity: _size(layers, identity) for identity in of_images | of_steps}
    count = sum(image.id in in_use for image in images)
    size = sum(sizes[identity] for identity in of_images)
    free = sum(sizes[identity] for identity in of_images - active)
    kept = sum(sizes[identity] for identity in of_steps)
    return StoreUse(Use(len(images), count, size, free), Use(len(steps), 0, kept, kept))


def _size(layers: Layers, identity: str) -> int:
    """The bytes of a layer's files and of the blob that it came as."""
    record = layers.record(identity)
    if record is None:
        return 0
    return record.size + ((layers.blobs.size(record.blob) or 0) if record.blob else 0)


def _image_problems(record: ImageRecord, layers: Layers) -> Iterator[str]:
    for identity in record.layer_ids:
        if identity != HOST and layers.record(identity) is None:
            yield f"image {record.id} has lost its layer {identity}"
    for digest in (record.id, record.manifest) if record.manifest else ():
        if layers.blobs.size(digest) is None:
            yield f"image {record.id} has lost its document {digest}"


def _records(home: Path, folder: str, kind: type[T]) -> Iterator[tuple[str, T | str]]:
    """Names and records of a folder; a sentence for one that cannot be read."""
    for name in names(str(home / folder)):
        if not name.endswith(".json"):
            continue
        try:
            yield name.removesuffix(".json"), read_record(str(home / folder / name), kind)
        except FileNotFoundError:
            continue  # removed meanwhile
        except RecordError as error:
            yield name, str(error)


def _hash(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return path.name  # removed meanwhile
