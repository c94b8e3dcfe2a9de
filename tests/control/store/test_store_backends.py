"""What every backend promises, asked of each of them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from kubelite.control.store.etcd import Etcd
from kubelite.control.store.memory import Memory
from kubelite.control.store.sqlite import SQLite
from kubelite.control.store.types import Change, Compacted, Conflict, Future, Unavailable
from tests.control.debian import etcd_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from kubelite.control.store.backend import Backend

pytestmark = pytest.mark.parametrize("kind", ["memory", "sqlite", "etcd"])


@asynccontextmanager
async def opened(kind: str, path: Path) -> AsyncIterator[Backend]:
    if kind == "etcd":
        with etcd_server(path) as etcd:
            backend: Backend = await Etcd.connect(etcd.url)
            try:
                yield backend
            finally:
                await backend.close()
        return
    backend = Memory() if kind == "memory" else SQLite(str(path / "store.db"))
    try:
        yield backend
    finally:
        await backend.close()


def document(name: str, data: str = "") -> bytes:
    text = '{"kind":"Thing","apiVersion":"v1","metadata":{"name":"%s","uid":"u-%s"},"data":"%s"}'
    return (text % (name, name, data)).encode()


async def create(backend: Backend, name: str, data: str = "") -> int:
    return await backend.commit([Change(f"/registry/things/{name}", document(name, data), 0)])


async def test_a_commit_can_be_read_with_its_revision(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as backend:
        revision = await create(backend, "a")
        entry = await backend.get("/registry/things/a")
        assert entry is not None
        assert (entry.revision, entry.created) == (revision, revision)
        assert b'"uid":"u-a","resourceVersion":"%d"}' % revision in entry.value
        assert await backend.get("/registry/things/b") is None


async def test_a_change_from_an_old_revision_is_refused(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as backend:
        first = await create(backend, "a")
        second = await backend.commit([Change("/registry/things/a", document("a", "2"), first)])
        assert second > first
        with pytest.raises(Conflict) as caught:
            await backend.commit([Change("/registry/things/a", document("a", "3"), first)])
        assert caught.value.current is not None
        assert caught.value.current.revision == second
        with pytest.raises(Conflict):
            await create(backend, "a")
        with pytest.raises(Conflict):
            await backend.commit([Change("/registry/things/none", None, 5)])


async def test_all_changes_of_a_commit_or_none(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as backend:
        await create(backend, "a")
        changes = [
            Change("/registry/things/b", document("b"), 0),
            Change("/registry/things/a", document("a"), 0),
        ]
        with pytest.raises(Conflict):
            await backend.commit(changes)
        assert await backend.get("/registry/things/b") is None


async def test_of_many_writers_of_one_state_exactly_one_wins(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as backend:
        first = await create(backend, "a")
        writes = [
            backend.commit([Change("/registry/things/a", document("a", str(n)), first)])
            for n in range(20)
        ]
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert sum(isinstance(each, int) for each in results) == 1
        assert sum(isinstance(each, Conflict) for each in results) == 19


async def test_pages_are_of_one_moment(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as backend:
        for name in "abcde":
            await create(backend, name)
        page = await backend.page("/registry/things/", limit=2)
        assert [entry.key[-1] for entry in page.entries] == ["a", "b"]
        assert page.remaining == 3
        d = await backend.get("/registry/things/d")
        assert d is not None
        await backend.commit([Change("/registry/things/d", None, d.revision)])
        await create(backend, "ca")
        rest = await backend.page(
            "/registry/things/", after="/registry/things/b", revision=page.revision
        )
        assert [entry.key.rsplit("/")[-1] for entry in rest.entries] == ["c", "d", "e"]
        now = await backend.page("/registry/things/")
        assert [entry.key.rsplit("/")[-1] for entry in now.entries] == ["a", "b", "c", "ca", "e"]


async def test_prefixes_do_not_leak(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as backend:
        await create(backend, "a")
        await backend.commit([Change("/registry/thingsandmore/b", document("b"), 0)])
        page = await backend.page("/registry/things/")
        assert [entry.key for entry in page.entries] == ["/registry/things/a"]


async def test_a_watch_tells_everything_since(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as backend:
        start = await create(backend, "a")
        second = await backend.commit([Change("/registry/things/a", document("a", "2"), start)])
        await create(backend, "b")
        await backend.commit([Change("/registry/things/a", None, second)])
        seen = []
        async for batch in backend.watch(start):
            seen += batch.events
            if len(seen) == 3:
                break
        kinds = [(event.key[-1], event.entry is None, event.previous is None) for event in seen]
        assert kinds == [("a", False, False), ("b", False, True), ("a", True, False)]


async def test_what_is_compacted_is_refused(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as backend:
        first = await create(backend, "a")
        await create(backend, "b")
        second = await create(backend, "c")
        await backend.compact(second)
        with pytest.raises(Compacted):
            await backend.page("/registry/things/", revision=first)
        with pytest.raises(Compacted):
            await anext(aiter(backend.watch(first)))
        assert len((await backend.page("/registry/things/", revision=second)).entries) == 3
        with pytest.raises(Future):
            await backend.page("/registry/things/", revision=second + 10)


async def test_closing_ends_watches(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as backend:
        start = await create(backend, "a")

        async def read() -> list[object]:
            return [batch async for batch in backend.watch(start)]

        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
    assert await asyncio.wait_for(reading, 5) == []


async def test_a_second_process_is_refused(kind: str, tmp_path: Path) -> None:
    if kind != "sqlite":
        return
    async with opened(kind, tmp_path), asyncio.timeout(5):
        with pytest.raises(Unavailable, match="another process has it open"):
            SQLite(str(tmp_path / "store.db"))
