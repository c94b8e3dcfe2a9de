"""Entries, changes and events, and what can go wrong in a store. Pure.

::

    StoreError
    ├── Conflict     a change expected another revision than the one that is there
    ├── Compacted    the revision asked for is no longer kept
    ├── Future       the revision asked for does not exist yet
    ├── NoSpace      the disk is full; nothing was written
    └── Unavailable  the store cannot be reached or read
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """A stored document. ``value`` is compact JSON with ``metadata.resourceVersion`` set to
    ``revision``.
    """

    key: str
    value: bytes
    created: int
    revision: int


class Change(NamedTuple):
    """One wanted write: ``value`` None deletes. ``expected`` is the revision it starts from, 0 for
    "not there".

    A volatile change lives in memory only where the backend has memory of its own; a restart
    forgets it. A backend that forgets by itself may do so ``ttl`` seconds after the change, 0 is
    never.
    """

    key: str
    value: bytes | None
    expected: int
    volatile: bool = False
    ttl: int = 0


class Event(NamedTuple):
    """One change that happened. ``entry`` None means deleted; ``previous`` None means created."""

    revision: int
    key: str
    entry: Entry | None
    previous: Entry | None


class Batch(NamedTuple):
    """Events in order; with them everything up to ``revision`` has been told."""

    revision: int
    events: list[Event]


class Page(NamedTuple):
    """A part of a listing, all of it as it stood at ``revision``. ``remaining`` counts what comes
    after it.
    """

    entries: list[Entry]
    revision: int
    remaining: int = 0


class StoreError(Exception):
    """Anything a store cannot do."""


class Conflict(StoreError):
    """``current`` is what is there in place of what ``change`` expected; None where nothing is."""

    def __init__(self, change: Change, current: Entry | None) -> None:
        super().__init__(f"{change.key} is not at revision {change.expected}")
        self.change = change
        self.current = current


class Compacted(StoreError):
    """History begins at ``oldest``."""

    def __init__(self, wanted: int, oldest: int) -> None:
        super().__init__(f"revision {wanted} is compacted, the oldest is {oldest}")
        self.wanted = wanted
        self.oldest = oldest


class Future(StoreError):
    """``wanted`` is later than ``current``."""

    def __init__(self, wanted: int, current: int) -> None:
        super().__init__(f"revision {wanted} does not exist yet, the latest is {current}")
        self.wanted = wanted
        self.current = current


class NoSpace(StoreError):
    """The disk is full."""


class Unavailable(StoreError):
    """The store is broken, locked or away."""
