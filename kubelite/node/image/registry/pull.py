"""An image from a registry into the store: index, manifest, configuration, missing layers.

What is on its way lies in ``<store>/pulls/<digest>/`` as a piece of an OCI layout. A pull that was
killed leaves whole blobs and the beginning of others there, and the next pull of the same image
goes on with them; a finished one removes the directory.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.lib.files import FileLock
from kubelite.node.image import archive, oci
from kubelite.node.image.errors import BadArchive, PullError
from kubelite.node.image.model import EVERYBODY
from kubelite.node.image.registry import config
from kubelite.node.image.registry.auth import keys_of
from kubelite.node.image.registry.client import Document, RegistryClient, bytes_there
from kubelite.node.image.registry.connection import (
    Connection,
    RegistryRefusal,
    RegistryUnreachable,
    in_parallel,
)
from kubelite.node.image.registry.settings import Settings, find_credentials

if TYPE_CHECKING:
    from kubelite.node.image.model import LoadedImage
    from kubelite.node.image.reference import Reference
    from kubelite.node.image.store import ImageStore

PARALLEL = 3
"""Layers that are fetched at the same time, as in docker and containerd."""

Progress = Callable[[str, int, int], None]
"""Told for a layer: its digest, the bytes there are, the bytes in all; of each one that is to come
before the first bytes come.
"""
_LOOK_SECONDS = 0.5
"""How often it is asked whether the image is still wanted."""
_LOCK_SECONDS = 0.1


class PullCancelled(PullError):
    """Nobody wants the image any more; what has come of it stays for the next pull."""

    def __init__(self) -> None:
        super().__init__("ErrImagePull", "the pull was cancelled")


class Manifest(NamedTuple):
    """What a registry has under a name: the documents that led to the image, and the image."""

    documents: tuple[Document, ...]
    image: oci.Manifest
    config: bytes


def pull(
    store: ImageStore,
    reference: Reference,
    settings: Settings,
    *,
    secrets: Sequence[Mapping[str, Any]] = (),
    progress: Progress | None = None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> LoadedImage:
    """Brings an image into the store; layers that are there are not fetched again.

    ``secrets`` are the pod's image pull Secrets, tried before the machine's own logins. Raises
    PullCancelled soon after ``is_wanted`` says no; PullError, BadArchive, UnpackRefused,
    ImageError.
    """
    try:
        pulling = _pull(store, reference, settings, secrets, progress or _ignore)
        return asyncio.run(_while_wanted(pulling, is_wanted))
    except OSError as error:
        raise PullError(
            "ErrImagePull", f"cannot keep image {reference}: {os.strerror(error.errno or 0)}"
        ) from error


async def _while_wanted(
    pulling: Coroutine[Any, Any, LoadedImage], is_wanted: Callable[[], bool]
) -> LoadedImage:
    task = asyncio.ensure_future(pulling)
    while not (await asyncio.wait([task], timeout=_LOOK_SECONDS))[0]:
        if not is_wanted():
            task.cancel()
    if task.cancelled():
        raise PullCancelled
    return task.result()


async def _pull(
    store: ImageStore,
    reference: Reference,
    settings: Settings,
    secrets: Sequence[Mapping[str, Any]],
    progress: Progress,
) -> LoadedImage:
    """From the first endpoint that has the image; what each other one said is told with the
    last.
    """
    messages: list[str] = []
    credentials = await asyncio.to_thread(find_credentials, reference, settings, secrets)
    everybodys = await asyncio.to_thread(find_credentials, reference, settings, ())
    for endpoint in config.endpoints(reference, settings.registries):
        try:
            async with Connection(endpoint, credentials) as connection:
                client = RegistryClient(connection)

                def keys(connection: Connection = connection) -> tuple[str, ...]:
                    used = connection.credentials
                    if used is None or used in everybodys:
                        return (EVERYBODY,)
                    return keys_of(used, secrets, reference)

                return await _pull_from(client, store, reference, progress, keys)
        except (RegistryRefusal, RegistryUnreachable) as error:
            if error.message not in messages:
                messages.append(error.message)
            last = error
    raise type(last)(*_renamed(last, "; ".join(messages)), hint=last.hint)


def _renamed(error: RegistryRefusal | RegistryUnreachable, message: str) -> tuple[Any, ...]:
    return (error.code, message) if isinstance(error, RegistryRefusal) else (message,)


async def _pull_from(
    client: RegistryClient,
    store: ImageStore,
    reference: Reference,
    progress: Progress,
    keys: Callable[[], tuple[str, ...]],
) -> LoadedImage:
    manifest = await find_manifest(client, reference)
    parsed = oci.parse_config(manifest.config, len(manifest.image.layers), "the configuration")
    directory = store.pull_directory(manifest.documents[0].digest)
    lock = await _locked(f"{directory}.lock")
    try:
        missing = store.missing_layers(parsed.diff_ids)  # another pull may just have brought them
        os.makedirs(f"{directory}/blobs/sha256", 0o700, exist_ok=True)
        await _fetch_layers(client, manifest.image, missing, directory, progress)
        _write_documents(manifest, directory)
        files = _Pulled(
            Path(directory), {archive.blob_name(d.digest): d.size for d in manifest.image.layers}
        )
        loaded = await asyncio.to_thread(store.load_pulled, files, reference, keys())
        shutil.rmtree(directory)
        return loaded
    finally:
        lock.remove()
        lock.release()


async def _locked(path: str) -> FileLock:
    lock = FileLock(path, timeout=0)
    while True:
        try:
            return lock.acquire()
        except TimeoutError:
            await asyncio.sleep(_LOCK_SECONDS)  # a thread that waits could not be cancelled


async def find_manifest(client: RegistryClient, reference: Reference) -> Manifest:
    """The image that a name means on this machine. Raises RegistryRefusal, RegistryUnreachable,
    BadArchive for documents that make no sense or offer nothing for this machine.
    """
    platform = oci.this_platform(os.uname().machine)
    blobs = [await client.manifest(reference.digest or reference.tag)]
    for _ in range(archive.MAX_NESTING):
        document = oci.parse_document(blobs[-1].data, blobs[-1].digest)
        if isinstance(document, oci.Manifest):
            configuration = await client.blob_bytes(document.config.digest)
            return Manifest(tuple(blobs), document, configuration)
        chosen = oci.choose(oci.candidates(document), platform)
        blobs.append(await client.manifest(chosen.digest))
    raise BadArchive(f"indexes are nested more than {archive.MAX_NESTING} deep")


async def _fetch_layers(
    client: RegistryClient,
    image: oci.Manifest,
    missing: frozenset[int],
    directory: str,
    progress: Progress,
) -> None:
    wanted = {image.layers[number].digest: image.layers[number].size for number in missing}
    for digest, size in wanted.items():
        progress(digest, min(bytes_there(f"{directory}/{archive.blob_name(digest)}"), size), size)

    async def fetch(digest: str, size: int) -> None:
        path = f"{directory}/{archive.blob_name(digest)}"
        if not os.path.exists(path):
            await client.download(digest, size, path, lambda done: progress(digest, done, size))

    await in_parallel([fetch(digest, size) for digest, size in wanted.items()], PARALLEL)


class _Pulled(archive.LayoutDirectory):
    """The layout in a pull directory. Layers that the store has are not in it; their size is the
    manifest's.
    """

    def __init__(self, path: Path, sizes: dict[str, int]) -> None:
        super().__init__(path)
        self._sizes = sizes

    def size(self, name: str) -> int | None:
        size = super().size(name)
        return self._sizes.get(name) if size is None else size

    def own_path(self, name: str) -> Path | None:
        return self._path / name


def _write_documents(manifest: Manifest, directory: str) -> None:
    top = manifest.documents[0]
    descriptor = {"digest": top.digest, "size": len(top.data)}
    for document in manifest.documents:
        _write(f"{directory}/{archive.blob_name(document.digest)}", document.data)
    _write(f"{directory}/{archive.blob_name(manifest.image.config.digest)}", manifest.config)
    index = {"schemaVersion": 2, "manifests": [descriptor]}
    _write(f"{directory}/{archive.INDEX}", json.dumps(index).encode())


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def _ignore(digest: str, done: int, total: int) -> None:
    return
