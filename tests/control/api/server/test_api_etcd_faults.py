"""etcd slow, stopped, cut off, and full: requests end in time with a Status, what was acknowledged
stays, and everything goes on by itself afterwards, watches too.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from kubelite.control.store.etcd import ANSWER_SECONDS
from tests.control.api.server.test_api_crash import Process
from tests.control.api.server.test_api_crash import listing as everything
from tests.control.debian import EtcdServer, etcd_server
from tests.control.world import CONFIG, config_map
from tests.e2e.world import SLOW

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

QUIET = 3
"""Seconds after which the server takes a silent watch at etcd for dead."""
NO_LIMIT = aiohttp.ClientTimeout(total=None)
IN_TIME = (ANSWER_SECONDS + 15) * SLOW


class Proxy:
    """A way to etcd that can be slow, or divided: what is under way then arrives nowhere, and no
    end of a connection learns of the other's.
    """

    def __init__(self, target: str) -> None:
        self._port = int(target.rpartition(":")[2])
        self._delay = 0.0
        self._whole = asyncio.Event()
        self._whole.set()
        self._generation = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self.url = ""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def slow(self, seconds: float) -> None:
        self._delay = seconds

    def divide(self) -> None:
        """From now on nothing passes; the connections that are there never work again."""
        self._generation += 1
        self._whole.clear()

    def heal(self) -> None:
        """New connections pass."""
        self._whole.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        generation = self._generation
        await self._whole.wait()
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        for source, target in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._copy(source, target, generation))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _copy(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, generation: int
    ) -> None:
        try:
            while data := await source.read(1 << 16):
                if self._delay:
                    await asyncio.sleep(self._delay)
                if generation != self._generation:
                    await asyncio.Event().wait()
                target.write(data)
                await target.drain()
            if generation == self._generation:
                target.close()
        except ConnectionError:
            target.close()

    def close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def served(
    tmp_path: Path, *more: str
) -> AsyncIterator[tuple[aiohttp.ClientSession, EtcdServer, Proxy]]:
    """A server whose etcd is behind a proxy."""
    quiet = f"import kubelite.control.store.etcd as e; e.QUIET_SECONDS = {QUIET}; "
    program = f"{quiet}from kubelite.cli.main import run; run()"
    with etcd_server(tmp_path, *more) as etcd:
        proxy = Proxy(etcd.url)
        await proxy.start()
        process = Process(tmp_path, "--etcd", proxy.url, program=[sys.executable, "-c", program])
        await asyncio.to_thread(process.start)
        try:
            async with process.session() as session:
                yield session, etcd, proxy
        finally:
            await asyncio.to_thread(process.stop)
            etcd.resume()
            proxy.close()


async def listing(session: aiohttp.ClientSession) -> tuple[int, dict[str, Any]]:
    """The ConfigMaps of the test."""
    revision, items = await everything(session)
    items.pop("kube-root-ca.crt", None)
    return revision, items


async def create(session: aiohttp.ClientSession, name: str, **data: str) -> int:
    async with session.post(CONFIG, json=config_map(name, **data)) as reply:
        assert (await reply.json())["kind"] in ("ConfigMap", "Status")
        return reply.status


async def until_created(session: aiohttp.ClientSession, name: str) -> None:
    deadline = time.monotonic() + IN_TIME
    while await create(session, name) not in (201, 409):
        assert time.monotonic() < deadline, "it does not come back"
        await asyncio.sleep(0.2)


async def names_told(session: aiohttp.ClientSession, after: int, told: list[str]) -> None:
    """Notes what a watch tells, and goes on from there where it is ended."""
    path = f"{CONFIG}?watch=1&resourceVersion={after}"
    async with session.get(path, timeout=NO_LIMIT) as reply:
        async for line in reply.content:
            event = json.loads(line)
            assert event["type"] != "ERROR", event
            told.append(event["object"]["metadata"]["name"])


@pytest.mark.parametrize("how", ["stopped", "divided"])
async def test_etcd_is_away_for_a_while(tmp_path: Path, how: str) -> None:
    """Requests meanwhile are refused in time and the server lives; then a watch that was open all
    the time tells what has happened, though its own connection to etcd is dead without knowing.
    """
    async with served(tmp_path) as (session, etcd, proxy):
        assert await create(session, "before") == 201
        revision, _ = await listing(session)
        told: list[str] = []
        watch = asyncio.create_task(names_told(session, revision, told))
        assert await create(session, "seen") == 201
        away, back = (etcd.pause, etcd.resume) if how == "stopped" else (proxy.divide, proxy.heal)
        away()
        since = time.monotonic()
        codes = await asyncio.gather(*(create(session, f"lost-{n}") for n in range(5)))
        assert set(codes) == {503} and time.monotonic() - since < IN_TIME
        async with session.get("/livez/ping") as reply:
            assert reply.status == 200
        back()
        await until_created(session, "after")
        _, items = await listing(session)
        assert {"before", "seen", "after"} <= set(items)
        deadline = time.monotonic() + IN_TIME + QUIET
        while "after" not in told:
            assert time.monotonic() < deadline and not watch.done(), told
            await asyncio.sleep(0.1)
        assert told == [
            name for name in sorted(items, key=lambda n: revision_of(items[n])) if name != "before"
        ]
        watch.cancel()
        await until_nodes_can_join(session)


async def until_nodes_can_join(session: aiohttp.ClientSession) -> None:
    """What a server makes for its nodes after its start, to the last object: not given up though
    the store was away just then.
    """
    deadline = time.monotonic() + IN_TIME
    while True:
        async with session.get("/apis/networking.k8s.io/v1/ingressclasses") as reply:
            if (await reply.json())["items"]:
                return
        assert time.monotonic() < deadline, "they are not there"
        await asyncio.sleep(0.2)


def revision_of(item: dict[str, Any]) -> int:
    return int(item["metadata"]["resourceVersion"])


async def test_etcd_is_slow(tmp_path: Path) -> None:
    """Everything takes longer, nothing is refused, and others need not wait for one another."""
    async with served(tmp_path) as (session, _, proxy):
        proxy.slow(0.2)
        since = time.monotonic()
        codes = await asyncio.gather(*(create(session, f"c{number}") for number in range(30)))
        assert codes == [201] * 30
        assert time.monotonic() - since < IN_TIME
        assert set((await listing(session))[1]) == {f"c{number}" for number in range(30)}


@pytest.mark.parametrize("how", ["slow", "divided"])
async def test_a_server_ends_though_etcd_does_not_answer(tmp_path: Path, how: str) -> None:
    """What it gives back at its end, Leases, is not waited for long; :meth:`Process.stop` fails
    after ten seconds.
    """
    async with served(tmp_path) as (session, _, proxy):
        assert await create(session, "before") == 201
        if how == "slow":
            proxy.slow(2)
        else:
            proxy.divide()
        lost = asyncio.create_task(create(session, "lost"))
        await asyncio.sleep(0.2)
    await asyncio.gather(lost, return_exceptions=True)


async def test_etcd_is_full(tmp_path: Path) -> None:
    """Writes are refused with the reason; reading and deleting go on, and nothing is half there."""
    async with served(tmp_path, "--quota-backend-bytes", str(4 << 20)) as (session, _, _):
        made: list[str] = []
        while (code := await create(session, f"c{len(made)}", v="x" * 200_000)) == 201:
            made.append(f"c{len(made)}")
            assert len(made) < 100
        assert code == 507
        assert set((await listing(session))[1]) == set(made)
        async with session.delete(f"{CONFIG}/{made[0]}") as reply:
            assert reply.status == 200, await reply.text()
        assert set((await listing(session))[1]) == set(made[1:])


for _test in (
    test_etcd_is_away_for_a_while,
    test_etcd_is_slow,
    test_a_server_ends_though_etcd_does_not_answer,
    test_etcd_is_full,
):
    _test.seconds = 200  # type: ignore[attr-defined]
