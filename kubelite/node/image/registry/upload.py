"""What a push asks of a registry: which blobs it has, uploads, manifests.

A blob that another repository of the registry has is mounted from there. The others are sent as
one stream, which every registry takes; one that was cut off goes on at the byte that the registry
names. Some, docker's own among them, forget a stream that was cut off: they get the blob in pieces,
of which they keep each. The protocol is OCI distribution 1.1.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

from kubelite.node.image.registry.connection import Body, Connection, Later, RegistryRefusal
from kubelite.node.image.unpack_limits import CHUNK

if TYPE_CHECKING:
    import aiohttp

    from kubelite.node.image.content.package import Blob

_BYTES = {"Content-Type": "application/octet-stream"}
PIECE = 16 << 20
"""Bytes that a registry which forgets cut streams gets at a time."""


class RegistryUploader:
    """Sends over a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def blob(self, blob: Blob, mounts: str, progress: Callable[[int], None]) -> None:
        """Brings a blob into the repository, unless it has it. ``mounts`` is another repository of
        the registry that may have it, or empty; ``progress`` is told the bytes there are.

        Raises RegistryRefusal, RegistryUnreachable, OSError.
        """
        if not await self._has(blob.digest):
            upload = _Upload(self._connection, blob, progress)
            await self._connection.retried(lambda: upload.advance(mounts))
        progress(blob.size)

    async def manifest(self, reference: str, blob: Blob) -> None:
        """Puts a manifest under a tag or digest. Raises RegistryRefusal, RegistryUnreachable."""
        data = blob.path.read_bytes()

        async def content() -> AsyncIterator[bytes]:
            yield data

        async def put() -> None:
            headers = {"Content-Type": blob.media_type, "Content-Length": str(len(data))}
            path = f"manifests/{reference}"
            async with self._connection.request(
                "PUT", path, headers, expected=(200, 201), body=content
            ) as answer:
                kept = answer.headers.get("Docker-Content-Digest", blob.digest)
            if kept != blob.digest:
                message = f"{self._connection.name} keeps manifest {blob.digest} as {kept}"
                raise RegistryRefusal(201, message)

        await self._connection.retried(put)

    async def _has(self, digest: str) -> bool:
        async def head() -> bool:
            try:
                async with self._connection.request("HEAD", f"blobs/{digest}"):
                    return True
            except RegistryRefusal as refusal:
                if refusal.code == 404:
                    return False
                raise

        return await self._connection.retried(head)


class _Upload:
    """One blob on its way; ``_location`` is the URL of the upload, "" while there is none."""

    def __init__(self, connection: Connection, blob: Blob, progress: Callable[[int], None]) -> None:
        self._connection = connection
        self._blob = blob
        self._progress = progress
        self._location = ""
        self._piece = blob.size

    async def advance(self, mounts: str) -> None:
        """From where the upload stands to its end; may be called again when that fails."""
        start = await self._offset() if self._location else 0
        if not self._location and await self._begin(mounts):
            return
        while start < self._blob.size:
            end = min(start + self._piece, self._blob.size)
            await self._send(start, end)
            start = end
        scheme, host, path, query, _ = urlsplit(self._location)
        query = "&".join(filter(None, (query, urlencode({"digest": self._blob.digest}))))
        url = urlunsplit((scheme, host, path, query, ""))
        headers = {"Content-Length": "0"}
        await self._step("PUT", url, headers, expected=(201, 204))

    async def _begin(self, mounts: str) -> bool:
        """Opens the upload; True where mounting the blob has made it needless."""
        if mounts:
            query = urlencode({"mount": self._blob.digest, "from": mounts})
            try:
                return await self._post(f"blobs/uploads/?{query}", only_current=True)
            except RegistryRefusal:
                pass  # whoever may not read there can still send the blob
        return await self._post("blobs/uploads/")

    async def _post(self, path: str, *, only_current: bool = False) -> bool:
        headers = {"Content-Length": "0"}
        async with self._connection.request(
            "POST", path, headers, expected=(201, 202), only_current=only_current
        ) as answer:
            if answer.status == 202:
                self._location = _location(answer)
            return answer.status == 201

    async def _offset(self) -> int:
        """How much has arrived. An upload that the registry has forgotten starts anew."""
        try:
            async with self._connection.request(
                "GET", self._location, expected=(204, 202, 200)
            ) as answer:
                self._location = _location(answer) or self._location
                last = answer.headers.get("Range", "").rpartition("-")[2]
        except RegistryRefusal as refusal:
            if refusal.code != 404:
                raise
            self._forget()
            return 0
        return int(last) + 1 if last.isdigit() and last != "0" else 0

    def _forget(self) -> None:
        self._location, self._piece = "", PIECE

    async def _send(self, start: int, end: int) -> None:
        headers = _BYTES | {"Content-Length": str(end - start)}
        if end - start < self._blob.size:
            headers["Content-Range"] = f"{start}-{end - 1}"
        await self._step(
            "PATCH", self._location, headers, (202, 201, 204), lambda: self._content(start, end)
        )

    async def _step(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        expected: Sequence[int],
        body: Body | None = None,
    ) -> None:
        try:
            async with self._connection.request(
                method, url, headers, expected=expected, body=body
            ) as answer:
                self._location = _location(answer) or self._location
        except RegistryRefusal as refusal:
            if refusal.code == 404:
                self._forget()
            if refusal.code in (404, 416):
                raise Later(f"{refusal.code}, the upload stands elsewhere", "") from refusal
            raise

    async def _content(self, start: int, end: int) -> AsyncIterator[bytes]:
        with open(self._blob.path, "rb") as file:
            file.seek(start)
            while data := file.read(min(CHUNK, end - file.tell())):
                yield data
                self._progress(file.tell())


def _location(answer: aiohttp.ClientResponse) -> str:
    """The URL where an upload goes on, which may be given without its host."""
    where = answer.headers.get("Location", "")
    return urljoin(str(answer.url), where) if where else ""
