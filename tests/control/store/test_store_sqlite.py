"""The SQLite backend over restarts: what survives, what may not, and how large the file gets."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from kubelite.control.store.sqlite import BLOCK, DELETES_PER_COMMIT, SQLite
from kubelite.control.store.types import Change, Conflict, NoSpace, Unavailable

if TYPE_CHECKING:
    from pathlib import Path


def document(name: str, data: str = "") -> bytes:
    return f'{{"kind":"Thing","metadata":{{"name":"{name}","uid":"u"}},"data":"{data}"}}'.encode()


async def put(store: SQLite, name: str, data: str = "", *, volatile: bool = False) -> int:
    current = await store.get(f"/registry/{name}")
    change = Change(
        f"/registry/{name}", document(name, data), current.revision if current else 0, volatile
    )
    return await store.commit([change])


async def test_everything_acknowledged_is_there_after_reopening(tmp_path: Path) -> None:
    path = str(tmp_path / "s.db")
    store = SQLite(path)
    first = await put(store, "a", "1")
    await put(store, "a", "2")
    gone = await put(store, "b")
    last = await store.commit([Change("/registry/b", None, gone)])
    entries = (await store.page("/registry/")).entries
    await store.close()
    again = SQLite(path)
    assert (await again.page("/registry/")).entries == entries
    assert again.revision >= last
    seen = []
    async for batch in again.watch(first):
        seen += [(event.key, event.entry is None) for event in batch.events]
        break
    assert seen == [("/registry/a", False), ("/registry/b", False), ("/registry/b", True)]
    await again.close()


async def test_no_revision_is_given_twice_after_a_crash(tmp_path: Path) -> None:
    path, copy = str(tmp_path / "s.db"), str(tmp_path / "crash.db")
    store = SQLite(path)
    await put(store, "a")
    volatile = [await put(store, "lease", str(n), volatile=True) for n in range(50)]
    for suffix in ("", "-wal"):
        shutil.copy(path + suffix, copy + suffix)
    crashed = SQLite(copy)
    assert await crashed.get("/registry/lease") is None
    assert await crashed.get("/registry/a") is not None
    assert await put(crashed, "b") > volatile[-1]
    await crashed.close()
    await store.close()


async def test_volatile_changes_write_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "s.db")
    store = SQLite(path)
    await put(store, "lease", volatile=True)
    before = [os.stat(path + suffix).st_mtime_ns for suffix in ("", "-wal")]
    for number in range(200):
        await put(store, "lease", str(number), volatile=True)
    assert [os.stat(path + suffix).st_mtime_ns for suffix in ("", "-wal")] == before
    last = await put(store, "lease", volatile=True)
    assert last < BLOCK
    await store.close()


async def test_a_lasting_write_beside_a_volatile_one_of_the_same_key_lasts(tmp_path: Path) -> None:
    """A Node's label and its heartbeat, both from one state: the label wins, and is on disk."""
    path, copy = str(tmp_path / "s.db"), str(tmp_path / "crash.db")
    store = SQLite(path)
    first = await put(store, "node")
    writes = [
        Change("/registry/node", document("node", word), first, word == "beat")
        for word in ("label", "beat")
    ]
    results = await asyncio.gather(
        *(store.commit([each]) for each in writes), return_exceptions=True
    )
    assert isinstance(results[0], int) and isinstance(results[1], Conflict)
    for suffix in ("", "-wal"):
        shutil.copy(path + suffix, copy + suffix)
    crashed = SQLite(copy)
    entry = await crashed.get("/registry/node")
    assert entry is not None and b"label" in entry.value
    await crashed.close()
    await store.close()


async def test_the_log_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = str(tmp_path / "s.db")
    store = SQLite(path, history=100)
    for number in range(1000):
        await put(store, f"n{number % 7}", str(number))
    await store.close()
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT count(*) FROM log").fetchone()[0]
    assert 7 <= rows <= 100 + 7 + DELETES_PER_COMMIT
    again = SQLite(path)
    assert len((await again.page("/registry/")).entries) == 7
    await again.close()


async def test_a_later_format_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "s.db")
    await SQLite(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE meta SET value = 9 WHERE name = 'format'")
    with pytest.raises(Unavailable, match="later kubelite"):
        SQLite(path)


async def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(Unavailable, match="cannot open the store"):
        SQLite(str(path))


async def test_a_full_disk_refuses_writes_and_keeps_reading(tmp_path: Path) -> None:
    store = SQLite(str(tmp_path / "s.db"))
    await put(store, "a")
    store._db.execute("PRAGMA max_page_count = 20")
    with pytest.raises(NoSpace):
        for number in range(200):
            await put(store, f"n{number}", "x" * 4000)
    assert await store.get("/registry/a") is not None
    store._db.execute("PRAGMA max_page_count = 100000")
    await put(store, "after")
    await store.close()
