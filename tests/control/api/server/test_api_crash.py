"""kill -9 under write load: what was acknowledged is there, nothing is half there, revisions grow,
watchers resume.

Over etcd it is the server that is killed, or etcd below it, or both. KUBELITE_KILLS says how often
(default 12); 200 are run before a release.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import ssl
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.control.debian import EtcdServer, etcd_server, free_ports
from tests.control.world import CONFIG, PODS, config_map, pod
from tests.e2e.world import SLOW

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

ROOT = Path(__file__).resolve().parents[4]
KILLS = int(os.environ.get("KUBELITE_KILLS", "12"))
Object = dict[str, Any]
FURNISHERS = "serviceaccount-controller,root-ca-certificate-publisher-controller"


class Process:
    """A ``kubelite server`` that can be killed and started again on the same data and port.
    ``parts`` say which scheduler and controllers it has.
    """

    def __init__(
        self,
        folder: Path,
        *more: str,
        port: int | None = None,
        program: Sequence[str] = (sys.executable, "-m", "kubelite"),
        parts: Sequence[str] = ("--no-scheduler", f"--controllers={FURNISHERS}"),
    ) -> None:
        self._parts = parts
        self._program = program
        self.port = port or free_ports(1)[0]
        self._folder = folder
        self._config = folder / f"config-{self.port}"
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._config.unlink(missing_ok=True)
        where = [
            "--port",
            str(self.port),
            "--data-dir",
            str(self._folder / "data"),
            "--kubeconfig",
            str(self._config),
        ]
        command = [
            *self._program,
            "server",
            *self._parts,
            *where,
            *self._more,
        ]
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not self._config.exists():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline, "not ready after 30 seconds"
            time.sleep(0.005)

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(10 * SLOW)

    def session(self) -> aiohttp.ClientSession:
        keys = self._folder / "data" / "pki"
        context = ssl.create_default_context(cafile=str(keys / "ca.crt"))
        context.load_cert_chain(keys / "admin.crt", keys / "admin.key")
        return aiohttp.ClientSession(
            f"https://127.0.0.1:{self.port}", connector=aiohttp.TCPConnector(ssl=context, limit=0)
        )


class Writer:
    """Writes its own objects one after the other, and knows what was acknowledged and what was on
    its way.

    ``acknowledged`` are those that are there, with revision and value; ``sent`` the values that
    each may have; ``gone`` those whose deletion was acknowledged, ``leaving`` those whose deletion
    was asked for.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = 0
        self.acknowledged: dict[str, tuple[int, str]] = {}
        self.sent: dict[str, list[str]] = {}
        self.gone: set[str] = set()
        self.leaving: set[str] = set()

    async def run(self, session: aiohttp.ClientSession, over: asyncio.Event) -> None:
        """Until the server is gone, or it is said to be over."""
        while not over.is_set():
            self.number += 1
            name, value = f"{self.name}-{self.number % 7}", f"{self.number}-" + "x" * 500
            known = name in self.acknowledged
            method = ("DELETE" if self.number % 3 == 0 else "PATCH") if known else "POST"
            self._begin(method, name, value)
            body = (
                {"data": {"v": value, "w": value}} if known else config_map(name, v=value, w=value)
            )
            content = "application/merge-patch+json" if method == "PATCH" else "application/json"
            path, data = (
                f"{CONFIG}/{name}" if known else CONFIG,
                json.dumps(body) if method != "DELETE" else None,
            )
            try:
                async with session.request(
                    method, path, data=data, headers={"Content-Type": content}
                ) as reply:
                    answer = await reply.json()
            except (aiohttp.ClientError, OSError):
                return
            if reply.status == 503:  # the store is away: it may have been written, or not
                assert answer["kind"] == "Status", answer
                await asyncio.sleep(0.02)
                continue
            self._end(method, name, value, reply.status, answer)

    def _begin(self, method: str, name: str, value: str) -> None:
        if method == "DELETE":
            self.leaving.add(name)
        else:
            self.sent.setdefault(name, []).append(value)
            self.gone.discard(name)

    def _end(self, method: str, name: str, value: str, code: int, answer: Object) -> None:
        if code == 409 and method == "POST":
            self.acknowledged[name] = (0, "")
            return
        if code == 404 or (code == 200 and method == "DELETE"):
            assert name in self.leaving, answer
            self.leaving.discard(name)
            del self.acknowledged[name]
            self.gone.add(name)
            self.sent[name] = []
            return
        assert code in (200, 201), answer
        self.acknowledged[name] = (int(answer["metadata"]["resourceVersion"]), value)
        self.sent[name] = [value]
        self.leaving.discard(name)

    def check(self, listed: dict[str, Object]) -> None:
        for name in self.gone:
            assert name not in listed, "a deletion that was acknowledged is undone"
        for name, (revision, _) in self.acknowledged.items():
            if name in self.leaving and name not in listed:
                continue
            found = listed[name]
            assert int(found["metadata"]["resourceVersion"]) >= revision
            assert found["data"]["v"] == found["data"]["w"], "half written"
            assert found["data"]["v"] in self.sent[name]


async def listing(session: aiohttp.ClientSession) -> tuple[int, dict[str, Object]]:
    async with session.get(CONFIG) as reply:
        found = await reply.json()
    items = {item["metadata"]["name"]: item for item in found["items"]}
    return int(found["metadata"]["resourceVersion"]), items


async def events(session: aiohttp.ClientSession, after: int) -> AsyncIterator[Object]:
    async with session.get(
        f"{CONFIG}?watch=1&timeoutSeconds=20&resourceVersion={after}",
        timeout=aiohttp.ClientTimeout(30),
    ) as reply:
        async for line in reply.content:
            yield json.loads(line)


class Mirror:
    """What a watcher believes is there; it goes on from where it was, over the death of the
    server.
    """

    def __init__(self, revision: int, items: dict[str, Object]) -> None:
        self.revision = revision
        self.items = items

    async def follow(
        self, session: aiohttp.ClientSession, until: dict[str, Object] | None = None
    ) -> None:
        """Until the server is gone, or what is believed is what was listed."""
        wanted = None if until is None else versions(until)
        if versions(self.items) == wanted:
            return
        try:
            async for event in events(session, self.revision):
                assert event["type"] != "ERROR", event
                metadata = event["object"]["metadata"]
                revision = int(metadata["resourceVersion"])
                assert revision > self.revision, "revisions go backwards"
                self.revision = revision
                if event["type"] == "DELETED":
                    self.items.pop(metadata["name"])
                else:
                    self.items[metadata["name"]] = event["object"]
                if versions(self.items) == wanted:
                    return
        except (aiohttp.ClientError, OSError):
            pass
        assert wanted is None, "a watcher does not come to what was listed"


def versions(items: dict[str, Object]) -> dict[str, str]:
    return {name: item["metadata"]["resourceVersion"] for name, item in items.items()}


class Faults:
    """What is killed in the rounds: the server alone, or etcd, or both in turn."""

    def __init__(self, server: Process, etcd: EtcdServer | None = None) -> None:
        self._server = server
        self._etcd = etcd
        self.struck = Counter[str]()

    async def strike(self, number: int) -> None:
        """Kills and starts again; with etcd alone the server lives on."""
        if self._etcd is None or number % 3 == 0:
            self.struck["server"] += 1
            self._server.kill()
            self._server.start()
            return
        both = number % 3 == 1
        self.struck["etcd and server" if both else "etcd"] += 1
        self._etcd.kill()
        if both:
            self._server.kill()
        await asyncio.to_thread(self._etcd.start)
        if both:
            self._server.start()


async def rounds(server: Process, kills: int, etcd: EtcdServer | None = None) -> None:
    rng = random.Random(4)
    faults = Faults(server, etcd)
    writers = [Writer(f"w{number}") for number in range(8)]
    server.start()
    async with server.session() as session:
        mirror = Mirror(*await listing(session))
    highest = 0
    for number in range(kills):
        over = asyncio.Event()
        async with server.session() as session:
            following = asyncio.create_task(mirror.follow(session))
            running = [asyncio.create_task(writer.run(session, over)) for writer in writers]
            await asyncio.sleep(rng.uniform(0.02, 0.25))
            await faults.strike(number)
            over.set()
            await asyncio.gather(*running)
            following.cancel()
            await asyncio.wait([following])
            if not following.cancelled():
                following.result()
        async with server.session() as session:
            revision, items = await listing(session)
            acknowledged = max(
                (entry[0] for writer in writers for entry in writer.acknowledged.values()),
                default=0,
            )
            assert revision >= max(highest, acknowledged), "revisions go backwards"
            highest = revision
            for writer in writers:
                writer.check(items)
            await mirror.follow(session, items)
    writes = sum(writer.number for writer in writers)
    assert writes > kills
    print(f"{kills} kills {dict(faults.struck)} under {writes} writes: nothing lost or half there")


async def test_killed_over_sqlite(tmp_path: Path) -> None:
    server = Process(tmp_path)
    try:
        await rounds(server, KILLS)
    finally:
        server.stop()


test_killed_over_sqlite.seconds = 60 + 5 * KILLS  # type: ignore[attr-defined]


async def test_killed_over_etcd(tmp_path: Path) -> None:
    with etcd_server(tmp_path) as etcd:
        server = Process(tmp_path, "--etcd", etcd.url)
        try:
            await rounds(server, KILLS, etcd)
        finally:
            server.stop()


test_killed_over_etcd.seconds = 60 + 5 * KILLS  # type: ignore[attr-defined]


async def check_shared_quota(one: aiohttp.ClientSession, other: aiohttp.ClientSession) -> None:
    """Both servers count against the same quota, and neither lets one too many in."""
    quotas = CONFIG.replace("configmaps", "resourcequotas")
    async with one.post(
        quotas, json={"metadata": {"name": "q"}, "spec": {"hard": {"pods": "9"}}}
    ) as reply:
        assert reply.status == 201

    async def create(session: aiohttp.ClientSession, number: int) -> int:
        async with session.post(PODS, json=pod(f"p{number}")) as reply:
            return reply.status

    codes = await asyncio.gather(
        *(create(one if number % 2 else other, number) for number in range(24))
    )
    assert (codes.count(201), codes.count(403)) == (9, 15)
    async with other.get(f"{quotas}/q") as reply:
        assert (await reply.json())["status"]["used"] == {"pods": "9"}


async def test_of_two_servers_on_one_etcd_one_is_enough(tmp_path: Path) -> None:
    with etcd_server(tmp_path) as etcd:
        first = Process(tmp_path, "--etcd", etcd.url)
        first.start()
        second = Process(tmp_path, "--etcd", etcd.url)
        second.start()
        try:
            async with first.session() as one, second.session() as other:
                async with one.post(CONFIG, json=config_map("a", x="1")) as reply:
                    made = await reply.json()
                async with other.get(f"{CONFIG}/a") as reply:
                    assert await reply.json() == made
                revision, items = await listing(other)
                mirror = Mirror(revision, items)
                patches = [one if number % 2 else other for number in range(20)]
                content = {"Content-Type": "application/merge-patch+json"}

                async def patch(session: aiohttp.ClientSession, number: int) -> int:
                    async with session.patch(
                        f"{CONFIG}/a",
                        data=json.dumps({"data": {f"k{number}": "v"}}),
                        headers=content,
                    ) as reply:
                        return reply.status

                assert set(
                    await asyncio.gather(
                        *(patch(session, number) for number, session in enumerate(patches))
                    )
                ) == {200}
                await check_shared_quota(one, other)
                first.kill()
                async with other.get(f"{CONFIG}/a") as reply:
                    assert len((await reply.json())["data"]) == 21
                async with other.post(CONFIG, json=config_map("b")) as reply:
                    assert reply.status == 201
                await mirror.follow(other, (await listing(other))[1])
                assert len(mirror.items["a"]["data"]) == 21
                assert "b" in mirror.items
        finally:
            first.stop()
            second.stop()
