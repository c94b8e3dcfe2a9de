"""Bounds that keep an image from filling memory or disk.  Pure."""

from __future__ import annotations

import msgspec

GIB = 1 << 30
DOCUMENT_BYTES = 4 << 20
HEADER_BYTES = 1 << 20
CHUNK = 1 << 18


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one layer may grow to.

    A layer may unpack to `ratio` times its compressed bytes, or to `floor` bytes if that is more,
    and never to more than `ceiling` bytes or `entries` entries.
    """

    ratio: int = 10
    floor: int = GIB
    ceiling: int = 64 * GIB
    entries: int = 1_000_000

    def unpacked(self, compressed: int) -> int:
        """Bytes that a layer of so many compressed bytes may unpack to."""
        return min(self.expanded(compressed), self.ceiling)

    def expanded(self, stored: int) -> int:
        """Bytes that may be read from files which take so many bytes on the disk: sparse files
        have holes.
        """
        return max(self.ratio * stored, self.floor)
