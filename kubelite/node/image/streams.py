"""Byte streams that count, hash and bound what is read through them.

A layer is read once: its compressed bytes are hashed on the way into the decompressor, its plain
bytes on the way out.  Memory stays flat.  gzip and zstd are unpacked; other compressions are named
and refused.
"""

from __future__ import annotations

import hashlib
import io
import os
import queue
import stat
import threading
import zlib
from contextlib import suppress
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
_GZIP_WINDOW = zlib.MAX_WBITS | 16
_AHEAD = 8
_LOOK_AGAIN = 0.02


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


class _Gunzip:
    """The plain bytes of gzip members, one after the other, in pieces as large as they are asked
    for; `gzip.GzipFile` takes 8 KiB at a time.  zlib checks length and checksum of each member.
    """

    def __init__(self, raw: Reader) -> None:
        self._raw = raw
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        self._packed = b""

    def read(self, size: int, /) -> bytes:
        while True:
            if self._member.eof and not self._next_member():
                return b""
            packed = self._packed or self._raw.read(CHUNK)
            if not packed:
                raise EOFError("the compressed data ends before its end mark")
            plain = self._member.decompress(packed, size)
            self._packed = self._member.unconsumed_tail
            if plain:
                return plain

    def _next_member(self) -> bool:
        """Go on behind the end of a member; zeros there are padding."""
        rest = self._member.unused_data
        while not (rest := rest.lstrip(b"\0")):
            if not (rest := self._raw.read(CHUNK)):
                return False
        self._member, self._packed = zlib.decompressobj(_GZIP_WINDOW), rest
        return True


class _Ahead:
    """Reads from another reader in a thread of its own, up to `_AHEAD` pieces ahead: inflating and
    hashing leave the interpreter free for whoever writes the files.
    """

    def __init__(self, inner: Reader) -> None:
        self._inner = inner
        self._pieces: queue.Queue[bytes | Exception] = queue.Queue(_AHEAD)
        self._is_closed = False
        self._rest = memoryview(b"")
        self._end: bytes | Exception | None = None
        self._thread = threading.Thread(target=self._fill, name="layer", daemon=True)
        self._thread.start()

    def read(self, size: int, /) -> bytes:
        if not self._rest and self._end is None:
            piece = self._pieces.get()
            if isinstance(piece, Exception) or not piece:
                self._end = piece
            else:
                self._rest = memoryview(piece)
        if isinstance(self._end, Exception):
            raise self._end
        data, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return data

    def close(self) -> None:
        """Stop reading; nobody reads from the other reader afterwards."""
        self._is_closed = True
        while self._thread.is_alive():
            with suppress(queue.Empty):
                self._pieces.get(timeout=_LOOK_AGAIN)

    def _fill(self) -> None:
        try:
            while not self._is_closed and (data := self._inner.read(CHUNK)):
                self._pieces.put(data)
            self._pieces.put(b"")
        except Exception as error:  # noqa: BLE001
            self._pieces.put(error)


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
        self._ahead = _Ahead(self._plain)

    def _opened(self) -> Reader:
        magic = self._buffered.peek(LONGEST_MAGIC)[:LONGEST_MAGIC]
        for mark, (kind, command) in REFUSED.items():
            if magic.startswith(mark):
                raise BadArchive(
                    f"{self._what} is compressed with {kind}, which is not supported",
                    hint=f"decompress it first ({command}), or save the image with gzip",
                )
        if magic.startswith(GZIP):
            return _Gunzip(self._buffered)
        if magic.startswith(ZSTD):
            decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
            return decompressor.stream_reader(self._buffered, read_across_frames=True)
        return self._buffered

    def read(self, size: int, /) -> bytes:
        """Up to `size` plain bytes.  Raises BadArchive where the compressed data is damaged."""
        try:
            return self._ahead.read(size)
        except (EOFError, zlib.error, zstandard.ZstdError) as error:
            raise BadArchive(f"{self._what} is damaged: {error}") from error

    def finish(self) -> None:
        """Read to the end of both the plain and the compressed bytes."""
        while self.read(CHUNK):
            pass
        self.close()
        while self._buffered.read(CHUNK):
            pass

    def close(self) -> None:
        """Let go of the bytes; needed where they were not read to their end."""
        self._ahead.close()

    def __enter__(self) -> LayerStream:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

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
