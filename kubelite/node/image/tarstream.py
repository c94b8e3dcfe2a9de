"""Entries of a tar stream, read once and forwards with flat memory.

Stands on the standard library's tarfile for the formats (ustar, pax, GNU long names and sparse
files) and closes what tarfile leaves open: headers without bound, a damaged header taken for the
end of the archive, and errors of many kinds for one cause.
"""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, TypeVar

from kubelite.node.image.errors import BadArchive
from kubelite.node.image.unpack_limits import CHUNK, HEADER_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kubelite.node.image.streams import Reader

T = TypeVar("T")


def entries(
    source: Reader, skip: Callable[[int], int] | None = None
) -> Iterator[tuple[tarfile.TarInfo, Reader]]:
    """The entries of a plain tar stream, each with a reader for its content, good until the next.

    `skip` goes forward in the source and returns by how much; without it, content nobody asks for
    is read and dropped.

    Raises BadArchive where the stream is no tar, ends early or has a damaged header.
    """
    stream = _TarStream(source, skip)
    archive = _guarded(lambda: _opened(stream))
    while True:
        entry = _guarded(archive.next)
        if entry is None:
            break
        # tarfile remembers every entry, which a million of them would make felt.
        archive.members.clear()  # type: ignore[attr-defined]
        if entry.size < 0:
            raise BadArchive("the tar archive holds an entry of negative size")
        stream.in_header = False
        yield entry, (_content(archive, entry) if entry.issparse() else stream)
        stream.in_header, stream.header_bytes = True, 0
    stream.check_end()


class _TarStream:
    """What tarfile reads from: goes forward only, and bounds the bytes spent on headers.

    Without that bound a single extended header could claim gigabytes of memory.
    """

    def __init__(self, source: Reader, skip: Callable[[int], int] | None) -> None:
        self._source, self._skip = source, skip
        self._at = 0
        self._last = b""
        self.in_header = True
        self.header_bytes = 0

    def tell(self) -> int:
        return self._at

    def seek(self, position: int, whence: int = 0) -> int:
        if whence or position < self._at:
            raise BadArchive("the tar archive points backwards")
        if self._skip is not None:
            self._at += self._skip(position - self._at)
            return self._at
        while self._at < position:
            if not self._take(min(CHUNK, position - self._at)):
                break
        return self._at

    def read(self, size: int, /) -> bytes:
        if self.in_header:
            self.header_bytes += size
            if self.header_bytes > HEADER_BYTES:
                raise BadArchive(f"a tar header takes more than {HEADER_BYTES} bytes")
        data = self._take(size)
        while data and len(data) < size:
            more = self._take(size - len(data))
            if not more:
                break
            data += more
        if self.in_header:
            self._last = data
        return data

    def check_end(self) -> None:
        """tarfile takes a damaged header for the end of the archive; nobody else should."""
        if self._last.strip(b"\0") or len(self._last) % tarfile.BLOCKSIZE:
            raise BadArchive(f"the tar archive is damaged or cut off near byte {self._at}")

    def _take(self, size: int) -> bytes:
        data = self._source.read(size)
        self._at += len(data)
        return data


def _opened(stream: _TarStream) -> tarfile.TarFile:
    archive: tarfile.TarFile = tarfile.open(  # noqa: SIM115
        fileobj=stream,  # type: ignore[call-overload]
        mode="r:",
        encoding="utf-8",
        errors="surrogateescape",
    )
    return archive


def _guarded(step: Callable[[], T]) -> T:
    try:
        return step()
    except (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError) as error:
        raise BadArchive(f"the tar archive cannot be read: {error}") from error


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Reader:
    content = archive.extractfile(entry)
    if content is None:
        raise BadArchive("the tar archive holds a sparse entry without content")
    return content
