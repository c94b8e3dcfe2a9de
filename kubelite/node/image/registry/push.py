"""An image of the store to its registry: layers, configuration, manifest, in this order.

What the registry has is not sent again, so that a push that was killed goes on with the blobs that
are missing. The manifest comes last: nobody sees half an image.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from kubelite.node.image.reference import parse
from kubelite.node.image.registry import config
from kubelite.node.image.registry.connection import Connection, in_parallel
from kubelite.node.image.registry.settings import Settings, find_credentials
from kubelite.node.image.registry.upload import RegistryUploader

if TYPE_CHECKING:
    from kubelite.node.image.content.package import Blob, Package
    from kubelite.node.image.reference import Reference
    from kubelite.node.image.store import ImageStore

    Progress = Callable[[str, int, int], None]

PARALLEL = 3
"""Layers that are sent at the same time, as in docker."""


class Pushed(NamedTuple):
    """The digest by which the registry has the image, and the bytes of its blobs."""

    digest: str
    size: int


def push(
    store: ImageStore, name: str, settings: Settings, *, progress: Progress | None = None
) -> Pushed:
    """Sends the image of a name to the registry of that name.

    ``progress`` is told, for each layer, its digest, the bytes done and the bytes in all. Raises
    BadReference, ImageNotFound, RegistryRefusal, RegistryUnreachable, BadArchive, OSError.
    """
    reference = parse(name)
    package = store.package(store.get(name))
    sources = _repositories(store, reference)
    asyncio.run(_push(package, reference, sources, settings, progress or _ignore))
    blobs = (*package.layers, package.config, package.manifest)
    return Pushed(package.manifest.digest, sum(blob.size for blob in blobs))


def _repositories(store: ImageStore, reference: Reference) -> Mapping[str, str]:
    """For the layers of other images of the same registry, a repository that may have them."""
    repositories: dict[str, str] = {}
    for image in store.list():
        for other in map(parse, image.names):
            if other.domain == reference.domain and other.path != reference.path:
                for digest in store.blob_digests(image):
                    repositories.setdefault(digest, other.path)
    return repositories


async def _push(
    package: Package,
    reference: Reference,
    repositories: Mapping[str, str],
    settings: Settings,
    progress: Progress,
) -> None:
    credentials = await asyncio.to_thread(find_credentials, reference, settings, ())
    # Mirrors come first in the list, and are written by whoever runs them.
    endpoint = config.endpoints(reference, settings.registries)[-1]
    async with Connection(endpoint, credentials, "pull,push") as connection:
        uploader = RegistryUploader(connection)

        async def send(blob: Blob) -> None:
            mounts = repositories.get(blob.digest, "")
            await uploader.blob(blob, mounts, lambda done: progress(blob.digest, done, blob.size))

        # The configuration first and alone: whoever may not write learns it from one request.
        await send(package.config)
        await in_parallel([send(layer) for layer in dict.fromkeys(package.layers)], PARALLEL)
        await uploader.manifest(reference.tag or reference.digest, package.manifest)


def _ignore(digest: str, done: int, total: int) -> None:
    return
