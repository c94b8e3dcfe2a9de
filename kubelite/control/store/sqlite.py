"""A backend in one SQLite file: an append-only log of entries, with everything read from memory.

A commit is acknowledged when its rows are on disk (WAL, ``synchronous=FULL``). While one
transaction is under way further commits queue up and go into the next one together. A row that has
been superseded stays as long as memory can look back to it, then it is deleted in steps along with
later commits, so an idle store writes nothing.

Revisions are reserved in blocks that are on disk before the first of them is used: volatile
changes, which never reach the disk, use them up as well, and after a crash counting goes on behind
the block.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import deque
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from kubelite.control.store.memory import HISTORY_EVENTS, Memory
from kubelite.control.store.types import Conflict, Entry, NoSpace, StoreError, Unavailable
from kubelite.control.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from kubelite.control.store.types import Batch, Change, Page

FORMAT = 1
BLOCK = 10_000
DELETES_PER_COMMIT = 200
ROWS_PER_STATEMENT = 100

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log(id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, key TEXT NOT NULL,
                               created INTEGER NOT NULL, value BLOB);
"""
_INSERT = "INSERT INTO log(id, revision, key, created, value) VALUES"
_VALUES = "(?, ?, ?, ?, ?)"
_META = (
    "INSERT INTO meta(name, value) VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET value = "
    "excluded.value"
)

_Row = tuple[int, int, str, int, bytes | None]


class _Wanted(NamedTuple):
    """A commit in the queue and whoever waits for it."""

    changes: Sequence[Change]
    done: asyncio.Future[int]


class _Step(NamedTuple):
    """A commit that fits, with the revision it gets."""

    revision: int
    made: dict[str, Entry | None]
    volatile: frozenset[str]
    done: asyncio.Future[int]


class SQLite:
    """A :class:`~kubelite.control.store.backend.Backend` in the file at ``path``, held exclusively.

    ``history`` is how many events one can look back.

    Raises Unavailable where the file is locked by another process, damaged, or of a later format.
    """

    def __init__(self, path: str, *, history: int = HISTORY_EVENTS) -> None:
        self._path = path
        self._history = history
        self._queue: list[_Wanted] = []
        self._writing: asyncio.Task[None] | None = None
        self._writer = Writer("kubelite-store")
        self._rows: dict[str, int] = {}
        self._garbage: deque[tuple[int, int]] = deque()
        self._next_row = 1
        try:
            self._db = _connect(path)
            self._memory = self._load()
        except sqlite3.Error as error:
            raise Unavailable(f"cannot open the store {path}: {_reason(error)}") from error

    # Opening

    def _load(self) -> Memory:
        meta: dict[str, int] = dict(self._db.execute("SELECT name, value FROM meta"))
        if meta.get("format", FORMAT) != FORMAT:
            raise Unavailable(
                f"the store {self._path} was written by a later kubelite (format {meta['format']})"
            )
        self._reserved = meta.get("reserved", 0)
        memory = Memory(revision=meta.get("compacted", 0), events=self._history)
        for id, revision, key, created, value in self._db.execute(
            "SELECT id, revision, key, created, value FROM log ORDER BY id"
        ):
            self._next_row = id + 1
            entry = None if value is None else Entry(key, value, created, revision)
            if entry is not None or memory.peek(key) is not None:
                memory.apply(max(revision, memory.revision), {key: entry})
            self._supersede(key, id, revision, alive=entry is not None)
        memory.revision = max(memory.revision, self._reserved)
        return memory

    def _supersede(self, key: str, row: int, revision: int, *, alive: bool) -> None:
        """Notes the row that a key now has; what it had before is of use only to those who look
        back.
        """
        before = self._rows.pop(key, None)
        if before is not None:
            self._garbage.append((revision, before))
        if alive:
            self._rows[key] = row
        else:
            self._garbage.append((revision, row))

    # Reading

    @property
    def revision(self) -> int:
        """The latest revision."""
        return self._memory.revision

    @property
    def oldest(self) -> int:
        """The earliest revision one can still look back to."""
        return self._memory.oldest

    async def get(self, key: str) -> Entry | None:
        return self._memory.peek(key)

    async def page(
        self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0
    ) -> Page:
        return await self._memory.page(prefix, after=after, limit=limit, revision=revision)

    def watch(self, after: int) -> AsyncIterator[Batch]:
        return self._memory.watch(after)

    # Writing

    async def commit(self, changes: Sequence[Change]) -> int:
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._queue.append(_Wanted(changes, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._drain(), name="store-writer")
        return await done

    async def _drain(self) -> None:
        while self._queue:
            batch, self._queue = self._queue, []
            steps = self._plan(batch)
            if not steps:
                continue
            try:
                await self._persist(steps)
            except StoreError as error:
                for step in steps:
                    _refuse(step.done, error)
                continue
            for step in steps:
                self._memory.apply(step.revision, step.made)
                if not step.done.done():
                    step.done.set_result(step.revision)

    def _plan(self, batch: Sequence[_Wanted]) -> list[_Step]:
        """The commits of a batch that fit, each seeing those before it; the others learn of their
        conflict at once.
        """
        steps: list[_Step] = []
        pending: dict[str, Entry | None] = {}
        for wanted in batch:
            revision = self._memory.revision + len(steps) + 1
            try:
                self._memory.check(wanted.changes, pending)
            except Conflict as error:
                _refuse(wanted.done, error)
                continue
            written = self._memory.entries(revision, wanted.changes, pending)
            pending.update(written)
            volatile = frozenset(change.key for change in wanted.changes if change.volatile)
            steps.append(_Step(revision, written, volatile, wanted.done))
        return steps

    async def _persist(self, steps: Sequence[_Step]) -> None:
        rows = self._new_rows(steps)
        last = steps[-1].revision
        reserve = last + BLOCK if last > self._reserved else 0
        if not rows and not reserve:
            return
        garbage = self._due_garbage()
        await self._writer.run(partial(self._write, rows, reserve, garbage))
        self._reserved = reserve or self._reserved
        for _ in garbage:
            self._garbage.popleft()
        for id, revision, key, _, value in rows:
            self._next_row = id + 1
            self._supersede(key, id, revision, alive=value is not None)

    def _new_rows(self, steps: Sequence[_Step]) -> list[_Row]:
        rows: list[_Row] = []
        for step in steps:
            for key, entry in step.made.items():
                if key in step.volatile:
                    continue
                created, value = (entry.created, entry.value) if entry else (0, None)
                rows.append((self._next_row + len(rows), step.revision, key, created, value))
        return rows

    def _due_garbage(self) -> list[tuple[int, int]]:
        """Rows that nobody can look back to any more, once there are enough of them to be worth a
        transaction.
        """
        enough = len(self._garbage) >= DELETES_PER_COMMIT
        if not enough or self._garbage[DELETES_PER_COMMIT - 1][0] > self._memory.oldest:
            return []
        return list(islice(self._garbage, DELETES_PER_COMMIT))

    def _write(self, rows: list[_Row], reserve: int, garbage: list[tuple[int, int]]) -> None:
        """One transaction, in the writer's thread. Raises NoSpace, Unavailable; then nothing was
        written.
        """
        try:
            if len(rows) <= ROWS_PER_STATEMENT and not reserve and not garbage:
                # One statement is a transaction of its own, and gives Python's lock away and takes
                # it back only once.
                self._insert(rows)
                return
            self._db.execute("BEGIN IMMEDIATE")
            for first in range(0, len(rows), ROWS_PER_STATEMENT):
                self._insert(rows[first : first + ROWS_PER_STATEMENT])
            if reserve:
                self._db.execute(_META, ("reserved", reserve))
            if garbage:
                self._db.executemany("DELETE FROM log WHERE id = ?", [(row,) for _, row in garbage])
                self._db.execute(_META, ("compacted", garbage[-1][0]))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            full = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
            kind = NoSpace if full else Unavailable
            raise kind(f"cannot write to the store {self._path}: {_reason(error)}") from error

    def _insert(self, rows: list[_Row]) -> None:
        self._db.execute(
            _INSERT + ", ".join([_VALUES] * len(rows)), tuple(chain.from_iterable(rows))
        )

    def _roll_back(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # SQLite has already rolled back by itself; the error that matters is the first

    async def compact(self, revision: int) -> None:
        await self._memory.compact(revision)

    async def close(self) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing])
        await self._memory.close()
        try:
            self._db.execute(_META, ("reserved", self._memory.revision))
        except sqlite3.Error:
            pass  # the block on disk stands; counting only goes on further behind it
        self._writer.close()
        self._db.close()


def _connect(path: str) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.2)
    for pragma in (
        "locking_mode=EXCLUSIVE",
        "journal_mode=WAL",
        "synchronous=FULL",
        "journal_size_limit=16777216",
        "temp_store=MEMORY",
    ):
        db.execute("PRAGMA " + pragma)
    db.executescript(_SCHEMA)
    db.execute(
        "INSERT INTO meta(name, value) VALUES('format', ?) ON CONFLICT DO NOTHING", (FORMAT,)
    )
    return db


def _refuse(done: asyncio.Future[int], error: StoreError) -> None:
    if not done.done():
        done.set_exception(error)


def _reason(error: sqlite3.Error) -> str:
    return "another process has it open" if "locked" in str(error) else str(error)
