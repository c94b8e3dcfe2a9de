"""python bench/api.py [--seconds S] [--pods N] [--json FILE]: how fast the API server answers.

Starts `kubelite server` on a new directory and asks it over TLS with a client certificate, one request at a time and sixteen at
once, beside two floors of the same run: an aiohttp handler that returns the same bytes, and bare SQLite commits of as many bytes.
Prints requests a second, ratios to the floor, and what a real kube-apiserver 1.20 with etcd 3.4 did on a machine of this kind.
"""

import argparse
import asyncio
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from serving.client import Connection, context_of

ROOT = Path(__file__).resolve().parents[1]
SPACE = "/api/v1/namespaces/default"
# Kubernetes 1.20 and etcd 3.4, two shared cores: requests a second, one at a time and sixteen at once.
REAL = {
    "create ConfigMap": (379, 724),
    "get ConfigMap": (774, 1554),
    "patch ConfigMap": (301, 735),
    "list 300": (144, 128),
    "delete ConfigMap": (288, 511),
    "create Pod": (249, 691),
}
Work = Callable[[Connection, int], Awaitable[None]]


def config_map(name: str) -> bytes:
    data = {f"key-{number}": "value " * 10 for number in range(10)}
    return json.dumps({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": data}).encode()


def pod(name: str) -> bytes:
    resources = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    environment = [{"name": f"VARIABLE_{number}", "value": "some value"} for number in range(10)]
    container = {"name": "main", "image": "example.com/app:1.2.3", "resources": resources, "env": environment}
    metadata = {"name": name, "labels": {"app": "bench", "tier": "web"}}
    spec = {"containers": [container], "automountServiceAccountToken": True}
    return json.dumps({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec}).encode()


def expect(answer: tuple[int, bytes], code: int) -> bytes:
    if answer[0] != code:
        raise SystemExit(f"bench/api: wanted {code}, got {answer[0]}: {answer[1][:300]!r}")
    return answer[1]


class Server:
    """A kubelite server in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._config = folder / "config"
        command = [sys.executable, "-m", "kubelite", "server", "--no-node", "--port", "0", "--data-dir", str(folder / "data")]
        started = time.perf_counter()
        self.process = subprocess.Popen([*command, "--kubeconfig", str(self._config)], cwd=ROOT, stderr=subprocess.DEVNULL)
        while not self._config.exists():
            if self.process.poll() is not None:
                raise SystemExit("bench/api: the server has ended")
            time.sleep(0.002)
        self.boot = time.perf_counter() - started
        line = next(each for each in self._config.read_text().splitlines() if "server:" in each)
        self.port = int(line.rsplit(":", 1)[1])
        keys = folder / "data" / "pki"
        self.context = context_of(str(keys / "ca.crt"), str(keys / "admin.crt"), str(keys / "admin.key"))

    def resident(self) -> int:
        """Resident memory in bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    def stop(self) -> None:
        self._config.unlink()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


def processor(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def rate(port: int, context: Any, work: Work, workers: int, seconds: float, first: int = 0) -> tuple[float, int]:
    """How often a second the work is done by so many workers, and how often in all."""
    done, numbers = 0, iter(range(first, 10**9))
    end = 0.0

    async def run() -> None:
        nonlocal done
        async with Connection(port, context) as connection:
            while time.perf_counter() < end:
                await work(connection, next(numbers))
                done += 1

    started = time.perf_counter()
    end = started + seconds
    await asyncio.gather(*(run() for _ in range(workers)))
    return done / (time.perf_counter() - started), done


class Floor:
    """The aiohttp handler, returning given bytes."""

    def __init__(self, folder: Path, body: bytes) -> None:
        port_file, body_file, keys = folder / "floor.port", folder / "floor.body", folder / "data" / "pki"
        port_file.unlink(missing_ok=True)
        body_file.write_bytes(body)
        files = [str(path) for path in (port_file, body_file, keys / "server.crt", keys / "server.key", keys / "ca.crt")]
        self.process = subprocess.Popen([sys.executable, str(ROOT / "bench" / "serving" / "floor.py"), *files])
        while not port_file.exists() or not port_file.read_text():
            time.sleep(0.01)
        self.port = int(port_file.read_text())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def sqlite_floor(folder: Path, size: int, seconds: float) -> float:
    """Bare commits a second of one row of so many bytes, WAL, synchronous=FULL."""
    db = sqlite3.connect(folder / "floor.db", isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE log(id INTEGER PRIMARY KEY, value BLOB)")
    value, done, started = b"x" * size, 0, time.perf_counter()
    while time.perf_counter() < started + seconds:
        db.execute("INSERT INTO log(value) VALUES(?)", (value,))
        done += 1
    db.close()
    return done / (time.perf_counter() - started)


async def measure(server: Server, seconds: float) -> dict[str, tuple[float, float, float]]:
    """For each kind of work requests a second, one at a time and sixteen at once, and microseconds of processor for one."""
    found: dict[str, tuple[float, float, float]] = {}

    async def both(name: str, make: Callable[[str], Work]) -> None:
        one, _ = await rate(server.port, server.context, make("w1"), 1, seconds)
        used = processor(server.process.pid)
        sixteen, done = await rate(server.port, server.context, make("w16"), 16, seconds)
        found[name] = (one, sixteen, (processor(server.process.pid) - used) / done * 1e6)
        print(f"  {name:<20} {one:>8.0f} {sixteen:>8.0f}", file=sys.stderr)

    def create(plural: str, body: Callable[[str], bytes]) -> Callable[[str], Work]:
        def make(tag: str) -> Work:
            async def work(connection: Connection, number: int) -> None:
                expect(await connection.ask("POST", f"{SPACE}/{plural}", body(f"{tag}-{number}")), 201)

            return work

        return make

    def get(_: str) -> Work:
        async def work(connection: Connection, number: int) -> None:
            expect(await connection.ask("GET", f"{SPACE}/configmaps/w1-{number % 50}"), 200)

        return work

    def patch(tag: str) -> Work:
        async def work(connection: Connection, number: int) -> None:
            body = json.dumps({"data": {"key-1": f"{tag} {number}"}}).encode()
            path = f"{SPACE}/configmaps/w1-{number % 50}"
            expect(await connection.ask("PATCH", path, body, "application/merge-patch+json"), 200)

        return work

    def listing(_: str) -> Work:
        async def work(connection: Connection, __: int) -> None:
            expect(await connection.ask("GET", "/api/v1/namespaces/kube-public/configmaps"), 200)

        return work

    def delete(tag: str) -> Work:
        async def work(connection: Connection, number: int) -> None:
            answer = await connection.ask("DELETE", f"{SPACE}/configmaps/{tag}-{number + 50}")
            if answer[0] != 404:
                expect(answer, 200)

        return work

    await both("create ConfigMap", create("configmaps", config_map))
    await both("get ConfigMap", get)
    await both("patch ConfigMap", patch)
    async with Connection(server.port, server.context) as connection:
        for number in range(300):
            expect(await connection.ask("POST", "/api/v1/namespaces/kube-public/configmaps", config_map(f"c{number}")), 201)
    await both("list 300", listing)
    await both("create Pod", create("pods", pod))
    await both("delete ConfigMap", delete)
    return found


async def fan_out(server: Server, watchers: int, events: int) -> tuple[float, float]:
    """Milliseconds from sending a create to the last of so many watchers having its event: median and p99."""
    times = []

    async def see(reader: asyncio.StreamReader, name: bytes) -> None:
        while name not in (line := await reader.readline()):
            if not line:
                raise SystemExit("bench/api: a watch has ended")

    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(Connection(server.port, server.context)) for _ in range(watchers + 1)]
        writer = connections.pop()
        for connection in connections:
            connection.send("GET", f"{SPACE}/secrets?watch=1&fieldSelector=metadata.namespace%3Ddefault")
        readers = [await connection.lines() for connection in connections]
        for number in range(events):
            name = f"event-{watchers}-{number:04}"
            waiting = [asyncio.create_task(see(reader, name.encode())) for reader in readers]
            await asyncio.sleep(0)
            started = time.perf_counter()
            content = json.dumps({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": name}}).encode()
            expect(await writer.ask("POST", f"{SPACE}/secrets", content), 201)
            await asyncio.gather(*waiting)
            times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times), sorted(times)[int(len(times) * 0.99)]


async def many_pods(server: Server, count: int) -> dict[str, float]:
    """What so many pods cost: memory, and the time to list them all."""
    async with Connection(server.port, server.context) as first:
        expect(await first.ask("POST", "/api/v1/namespaces", b'{"metadata":{"name":"many"}}'), 201)
    numbers = iter(range(count))

    async def fill() -> None:
        async with Connection(server.port, server.context) as connection:
            for number in numbers:
                expect(await connection.ask("POST", "/api/v1/namespaces/many/pods", pod(f"p{number:05}")), 201)

    before, started = server.resident(), time.perf_counter()
    await asyncio.gather(*(fill() for _ in range(16)))
    filled = time.perf_counter() - started
    async with Connection(server.port, server.context) as connection:
        started = time.perf_counter()
        body = expect(await connection.ask("GET", "/api/v1/pods"), 200)
        listed = time.perf_counter() - started
    return {
        "pods": count,
        "creates a second": count / filled,
        "list seconds": listed,
        "list MB": len(body) / 1e6,
        "memory before MB": before / 1e6,
        "memory after MB": server.resident() / 1e6,
    }


async def run(folder: Path, seconds: float, pods: int) -> dict[str, Any]:
    server = Server(folder)
    report: dict[str, Any] = {"boot with new keys": server.boot}
    server.stop()
    server = Server(folder)
    report |= {"boot warm": server.boot, "memory at rest MB": server.resident() / 1e6}
    try:
        print("requests a second       one   sixteen", file=sys.stderr)
        report["rates"] = await measure(server, seconds)
        async with Connection(server.port, server.context) as connection:
            body = expect(await connection.ask("GET", f"{SPACE}/configmaps/w1-0"), 200)
        floor = Floor(folder, body)
        try:

            async def fetch(connection: Connection, _: int) -> None:
                expect(await connection.ask("GET", "/"), 200)

            async def send(connection: Connection, _: int) -> None:
                expect(await connection.ask("POST", "/", config_map("floor")), 200)

            for name, work in (("floor get", fetch), ("floor post", send)):
                one, _ = await rate(floor.port, server.context, work, 1, seconds)
                used = processor(floor.process.pid)
                sixteen, done = await rate(floor.port, server.context, work, 16, seconds)
                report[name] = (one, sixteen, (processor(floor.process.pid) - used) / done * 1e6)
        finally:
            floor.stop()
        report["floor commit"] = sqlite_floor(folder, len(body), seconds)
        report["watch, 1 watcher, ms"] = await fan_out(server, 1, 100)
        report["watch, 100 watchers, ms"] = await fan_out(server, 100, 50)
        report["many pods"] = await many_pods(server, pods)
    finally:
        server.stop()
    return report


def show(report: dict[str, Any]) -> None:
    print(f"{'':<20} {'one':>8} {'sixteen':>8} {'of 1.20':>8} {'of 1.20':>8} {'CPU us':>8}")
    for name, (one, sixteen, cpu) in report["rates"].items():
        real = REAL[name]
        print(f"{name:<20} {one:>8.0f} {sixteen:>8.0f} {one / real[0]:>7.1f}x {sixteen / real[1]:>7.1f}x {cpu:>8.0f}")
    get, create = report["rates"]["get ConfigMap"], report["rates"]["create ConfigMap"]
    post, commit = report["floor post"], report["floor commit"]
    print(f"get against the floor handler: {get[0] / report['floor get'][0]:.2f} {get[1] / report['floor get'][1]:.2f}")
    cpu = report["floor get"][2] / get[2], post[2] / create[2]
    print(f"the same by processor time, which other work on the machine does not touch: get {cpu[0]:.2f}, create {cpu[1]:.2f}")
    # One at a time a create costs a request and a commit, one after the other.
    both = 1 / (1 / post[0] + 1 / commit)
    print(
        f"create against the floors: {create[0] / both:.2f} (request then commit), {create[1] / post[1]:.2f} (requests, sixteen)"
    )
    for name, value in report.items():
        if name != "rates":
            print(f"{name}: {value}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/api", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each figure is measured (default 3)")
    parser.add_argument("--pods", type=int, default=10_000, help="how many pods are stored (default 10000)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kubelite-bench-") as folder:
        report = asyncio.run(run(Path(folder), arguments.seconds, arguments.pods))
    show(report)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
