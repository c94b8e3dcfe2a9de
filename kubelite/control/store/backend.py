"""What a store stands on: six verbs over keys, bytes and revisions.

One revision counter for everything; each commit that changes something takes the next one.
Revisions only grow and none is ever given twice, also after a crash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from kubelite.control.store.types import Batch, Change, Entry, Page


class Backend(Protocol):
    """Where documents are kept. Every verb may raise Unavailable.

    ``revision`` is the latest one known here, ``oldest`` how far back one can look and from where a
    watch may begin.
    """

    @property
    def revision(self) -> int: ...

    @property
    def oldest(self) -> int: ...

    async def get(self, key: str) -> Entry | None:
        """The entry of a key as it is after every acknowledged commit."""

    async def page(
        self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0
    ) -> Page:
        """Entries under a prefix in key order, after ``after``; at most ``limit``, 0 is all; of
        ``revision``, 0 is now.

        Raises Compacted, Future.
        """

    async def commit(self, changes: Sequence[Change]) -> int:
        """All changes or none, durable when this returns their revision. Raises Conflict,
        NoSpace.
        """

    def watch(self, after: int) -> AsyncIterator[Batch]:
        """Everything that happened after a revision, and goes on happening. Raises Compacted."""

    async def compact(self, revision: int) -> None:
        """Forgets how things stood before a revision; what is current stays."""

    async def close(self) -> None:
        """Ends watches and gives everything back."""
