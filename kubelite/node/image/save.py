"""Writes images of the store as an archive: an OCI image layout in a tar, which is a docker archive
as well.

That is what `docker save` writes today; docker, podman, skopeo, containerd and `image load` read
it.  Blobs leave with the digests that they came with; the same images give the same archive.
"""

from __future__ import annotations

import io
import tarfile
from typing import IO, TYPE_CHECKING, Any

import msgspec

from kubelite.node.image.archive import DOCKER_MANIFEST, INDEX, blob_name
from kubelite.node.image.oci import FULL_NAME, NAME_OR_TAG
from kubelite.node.image.reference import familiar, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubelite.node.image.content.package import Blob, Package

_LAYOUT = {"imageLayoutVersion": "1.0.0"}


def save(images: Sequence[tuple[Package, Sequence[str]]], target: IO[bytes]) -> None:
    """Write images, each with the names it is to have, to a stream.

    Raises OSError.
    """
    blobs = {blob.digest: blob for package, _ in images for blob in _blobs(package)}
    index = [pointer for package, names in images for pointer in _pointers(package, names)]
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, "oci-layout", _LAYOUT)
        for digest, blob in blobs.items():
            with open(blob.path, "rb") as file:
                _add_file(archive, blob_name(digest), file, blob.size)
        _add(archive, INDEX, {"schemaVersion": 2, "manifests": index})
        _add(archive, DOCKER_MANIFEST, [_docker_image(*image) for image in images])


def _blobs(package: Package) -> tuple[Blob, ...]:
    return (*package.layers, package.config, package.manifest)


def _pointers(package: Package, names: Sequence[str]) -> list[dict[str, Any]]:
    """The entries of the index: one for each name, or one without."""
    names, blob = _kept(package, names), package.manifest
    pointer = {"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size}
    notes = [{FULL_NAME: name, NAME_OR_TAG: parse(name).tag} for name in names]
    return [pointer | {"annotations": note} for note in notes] or [pointer]


def _kept(package: Package, names: Sequence[str]) -> list[str]:
    """The names that hold for the package: those by tag, and that of its own digest."""
    return [name for name in names if parse(name).digest in ("", package.manifest.digest)]


def _docker_image(package: Package, names: Sequence[str]) -> dict[str, Any]:
    return {
        "Config": blob_name(package.config.digest),
        "RepoTags": [familiar(parse(name)) for name in _kept(package, names)],
        "Layers": [blob_name(layer.digest) for layer in package.layers],
    }


def _add(archive: tarfile.TarFile, name: str, document: Any) -> None:
    data = msgspec.json.encode(document)
    _add_file(archive, name, io.BytesIO(data), len(data))


def _add_file(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = size
    archive.addfile(entry, content)
