"""Byte streams that count, hash and bound what is read through them.

A layer is read once: its compressed bytes are hashed on the way into the decompressor, its plain
bytes on the way out.  Memory stays flat.  gzip and zstd are unpacked; other compressions are named
and refused.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import zlib
from typing import IO, TYPE_CHECKING, Protocol

import zstandard

from kubelite.node.image.errors import BadArchive, UnpackRefused
from kubelite.node.image.unpack_limits import CHUNK

if TYPE_CHECKING:
    from types import TracebackType

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
# What `zstd --long` writes; a larger window would cost more memory than it is worth.
ZSTD_WINDOW = 1 << 27
REFUSED = {
    b"\xfd7zXZ\x00": ("xz", "xz -d"),
    b"BZh": ("bzip2", "bzip2 -d"),
}
LONGEST_MAGIC = 6


class Reader(Protocol):
    """Anything that gives up to `size` bytes, and none at its end."""

    def read(self, size: int, /) -> bytes: ...


def is_compressed(start: bytes) -> bool:
    """Whether the first bytes of a file are those of a compression known here, refused or not."""
    return start.startswith((GZIP, ZSTD, *REFUSED))


def compression(start: bytes) -> str:
    """What the first bytes of a layer are compressed with, as media types name it; "" for none."""
    return {GZIP: "gzip", ZSTD[:2]: "zstd"}.get(start[:2], "")


class Section(io.RawIOBase):
    """`size` bytes of a file from `offset` on; many sections share one descriptor."""

    def __init__(self, descriptor: int, offset: int, size: int) -> None:
        self._descriptor, self._offset, self._left = descriptor, offset, size

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, or all that are left."""
        return super().read(self._left if size < 0 else size) or b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        view = memoryview(buffer)[: self._left]
        count = os.preadv(self._descriptor, [view], self._offset) if view else 0
        self._offset += count
        self._left -= count
        return count

    def skip(self, count: int) -> int:
        """Go forward without reading; the bytes skipped, fewer only at the end."""
        count = min(count, self._left)
        self._offset += count
        self._left -= count
        return count


class Meter(io.RawIOBase):
    """Hashes and counts what is read, and writes it to `copy`, if given; raises UnpackRefused above
    `limit` bytes.
    """

    def __init__(self, inner: Reader, limit: int, copy: IO[bytes] | None = None) -> None:
        self._inner, self._limit, self._copy = inner, limit, copy
        self._hash = hashlib.sha256()
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        data = self._inner.read(len(buffer))
        self.count += len(data)
        if self.count > self._limit:
            raise UnpackRefused(f"the layer unpacks to more than {self._limit} bytes")
        self._hash.update(data)
        if self._copy is not None:
            self._copy.write(data)
        buffer[: len(data)] = data
        return len(data)

    @property
    def digest(self) -> str:
        """`sha256:<hex>` of everything read so far."""
        return "sha256:" + self._hash.hexdigest()


class LayerStream:
    """The plain bytes of a layer that may be compressed; the bytes as stored also go to `copy`.

    `read` gives plain bytes; `finish` reads what the tar reader left over, after which
    `blob_digest` and `diff_id` are those of the whole layer.
    """

    def __init__(
        self,
        raw: Reader,
        raw_limit: int,
        plain_limit: int,
        what: str,
        copy: IO[bytes] | None = None,
    ) -> None:
        self._what = what
        self._raw = Meter(raw, raw_limit, copy)
        self._buffered = io.BufferedReader(self._raw, CHUNK)
        self._plain = Meter(self._opened(), plain_limit)

    def _opened(self) -> Reader:
        magic = self._buffered.peek(LONGEST_MAGIC)[:LONGEST_MAGIC]
        for mark, (kind, command) in REFUSED.items():
            if magic.startswith(mark):
                raise BadArchive(
                    f"{self._what} is compressed with {kind}, which is not supported",
                    hint=f"decompress it first ({command}), or save the image with gzip",
                )
        if magic.startswith(GZIP):
            return gzip.GzipFile(fileobj=self._buffered, mode="rb")
        if magic.startswith(ZSTD):
            decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
            return decompressor.stream_reader(self._buffered, read_across_frames=True)
        return self._buffered

    def read(self, size: int, /) -> bytes:
        """Up to `size` plain bytes.  Raises BadArchive where the compressed data is damaged."""
        try:
            return self._plain.read(size) or b""
        except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
            raise BadArchive(f"{self._what} is damaged: {error}") from error

    def finish(self) -> None:
        """Read to the end of both the plain and the compressed bytes."""
        while self.read(CHUNK):
            pass
        while self._buffered.read(CHUNK):
            pass

    @property
    def blob_digest(self) -> str:
        """Digest of the bytes as stored."""
        return self._raw.digest

    @property
    def diff_id(self) -> str:
        """Digest of the plain bytes."""
        return self._plain.digest


class OpenFile:
    """A regular file opened for reading, closed on leaving the `with` block.

    Raises BadArchive for anything but a regular file; a FIFO does not block.
    """

    def __init__(self, path: str | os.PathLike[str], *, dir_fd: int | None = None) -> None:
        try:
            self.descriptor = os.open(
                path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd
            )
        except OSError as error:
            raise BadArchive(f"cannot open {os.fspath(path)}: {error.strerror}") from error
        status = os.fstat(self.descriptor)
        self.size = status.st_size
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise BadArchive(f"{os.fspath(path)} is not a regular file")

    def section(self) -> Section:
        """The whole file as a stream."""
        return Section(self.descriptor, 0, self.size)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.descriptor)

    def __enter__(self) -> OpenFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
