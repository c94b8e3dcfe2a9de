"""Blobs on disk: `blobs/sha256/<64 hex>`, as in an OCI image layout.

Manifests, configurations and layers as they came, so that they leave with the same digests.  A blob
is written beside, flushed, and renamed to the digest of what was written.  Callers hold the store's
lock.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from kubelite.lib.digest import hexdigest
from kubelite.lib.files import sync_directory
from kubelite.node.image.errors import BadArchive
from kubelite.node.image.unpack_limits import DOCUMENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


class Blobs:
    """The blobs of the store below `home`."""

    def __init__(self, home: Path) -> None:
        self._path = home / "blobs" / "sha256"

    def path(self, digest: str) -> Path:
        """Where the blob of a digest lies, whether it is there or not."""
        return self._path / digest.removeprefix("sha256:")

    def size(self, digest: str) -> int | None:
        """The bytes of a blob; None where it is not here."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def document(self, digest: str) -> bytes | None:
        """A manifest or configuration; None where it is not here.

        Raises BadArchive where it does not match its digest.
        """
        try:
            with open(self.path(digest), "rb") as file:
                data = file.read(DOCUMENT_BYTES + 1)
        except FileNotFoundError:
            return None
        if digest != _digest(data):
            raise BadArchive(f"blob {digest} is damaged: it does not match its digest")
        return data

    def add(self, data: bytes) -> str:
        """Keep a document; its digest."""
        digest = _digest(data)
        if self.size(digest) is None:
            with self.receiving() as file:
                file.write(data)
                self.keep(file, digest)
        return digest

    @contextmanager
    def receiving(self) -> Iterator[IO[bytes]]:
        """A file to write a blob to; it goes away with the block unless it is kept."""
        self._path.mkdir(0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._path, suffix=".tmp", delete=False) as file:
            try:
                yield file
            finally:
                Path(file.name).unlink(missing_ok=True)

    def keep(self, file: IO[bytes], digest: str) -> None:
        """Make a written file the blob of a digest, which the caller has calculated."""
        file.flush()
        os.fsync(file.fileno())
        os.rename(file.name, self.path(digest))
        sync_directory(str(self._path))

    def adopt(self, source: Path, digest: str) -> None:
        """Make a file of the store itself the blob of a digest, under a further name."""
        self._path.mkdir(0o700, parents=True, exist_ok=True)
        try:
            os.link(source, self.path(digest))
        except FileExistsError:
            return
        sync_directory(str(self._path))

    def sweep(self, used: Collection[str]) -> int:
        """Remove the blobs whose digest is not among those used; the bytes freed."""
        if not self._path.is_dir():
            return 0
        needed = {digest.removeprefix("sha256:") for digest in used}
        freed = 0
        for entry in os.scandir(self._path):
            if entry.name not in needed:
                freed += entry.stat(follow_symlinks=False).st_size
                os.unlink(entry.path)
        return freed


def _digest(data: bytes) -> str:
    return f"sha256:{hexdigest(data)}"
