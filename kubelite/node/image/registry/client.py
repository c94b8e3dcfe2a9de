"""What a pull asks a registry for: manifests and blobs.

What arrives is hashed before it counts, and a blob that was cut off goes on where it ended.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import aiohttp

from kubelite.node.image.oci import INDEX_TYPES, MANIFEST_TYPES
from kubelite.node.image.registry.connection import (
    Connection,
    RegistryRefusal,
    read_document,
)
from kubelite.node.image.unpack_limits import CHUNK


class Document(NamedTuple):
    """A manifest or index: its bytes, digest and media type."""

    data: bytes
    digest: str
    media_type: str


class RegistryClient:
    """Fetches over a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def manifest(self, reference: str) -> Document:
        """The manifest or index of a tag or digest. Raises RegistryRefusal, RegistryUnreachable."""
        accept = {"Accept": ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))}
        data, media_type = await self._document(f"manifests/{reference}", accept)
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if reference.startswith("sha256:") and reference != digest:
            raise RegistryRefusal(
                200,
                f"{self._connection.name} sent another manifest than {reference}: it is {digest}",
            )
        return Document(data, digest, media_type)

    async def blob_bytes(self, digest: str) -> bytes:
        """A small blob, such as an image's configuration."""
        data, _ = await self._document(f"blobs/{digest}", {})
        actual = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if actual != digest:
            raise RegistryRefusal(
                200, f"{self._connection.name} sent another blob than {digest}: it is {actual}"
            )
        return data

    async def download(
        self, digest: str, size: int, path: str, progress: Callable[[int], None]
    ) -> None:
        """Fetches a blob into the file ``path``, which appears when it is whole and verified.

        ``path`` with ``.part`` behind it holds what has come so far; a later call goes on there.
        ``progress`` is told the bytes there are. Raises RegistryRefusal, RegistryUnreachable,
        OSError.
        """
        partial = f"{path}.part"
        await self._connection.retried(lambda: self._fetch_rest(digest, size, partial, progress))
        actual = await asyncio.to_thread(_digest_of, partial)
        if actual != digest:
            os.unlink(partial)
            raise RegistryRefusal(200, f"blob {digest} does not match its digest: it is {actual}")
        os.rename(partial, path)

    async def _fetch_rest(
        self, digest: str, size: int, partial: str, progress: Callable[[int], None]
    ) -> None:
        with open(partial, "ab") as file:
            start = file.tell()
            if start > size:
                file.truncate(0)
                start = 0
            if start == size:
                progress(size)
                return
            headers = {"Range": f"bytes={start}-"} if start else {}
            async with self._connection.request("GET", f"blobs/{digest}", headers) as answer:
                if answer.status == 200 and start:
                    file.truncate(0)
                    start = 0
                async for chunk in answer.content.iter_chunked(CHUNK):
                    start += len(chunk)
                    if start > size:
                        raise RegistryRefusal(200, f"blob {digest} has more than {size} bytes")
                    file.write(chunk)
                    progress(start)
            if start < size:
                raise aiohttp.ClientPayloadError(f"{start} of {size} bytes came")

    async def _document(self, path: str, headers: dict[str, str]) -> tuple[bytes, str]:
        async def read() -> tuple[bytes, str]:
            async with self._connection.request("GET", path, headers) as answer:
                data = await read_document(answer)
                if data is None:
                    raise RegistryRefusal(200, f"{self._connection.name}: {path} is too large")
                return data, answer.content_type

        return await self._connection.retried(read)


def bytes_there(path: str) -> int:
    """The bytes of a blob that :meth:`RegistryClient.download` has brought, whole or not."""
    for name in (path, f"{path}.part"):
        with suppress(FileNotFoundError):
            return os.stat(name).st_size
    return 0


def _digest_of(path: str) -> str:
    with open(path, "rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
