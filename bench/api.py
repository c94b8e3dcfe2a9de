"""python bench/api.py [--seconds S] [--pods N] [--json FILE]: how fast the API server answers.

Starts `kubelite server` on a new directory and asks it over TLS with a client certificate, one
request at a time and sixteen at once, beside a floor of the same run: an aiohttp handler that
returns the same bytes, for a create when as many bytes are on disk. Prints requests a second, the
factor to a real kube-apiserver 1.20 with etcd 3.4 on a machine of this kind, and which targets were
reached.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

from serving.client import Connection, context_of
from serving.floor import insert, open_log
from serving.report import Rates, as_json, as_table

ROOT = Path(__file__).resolve().parents[1]
SPACE = "/api/v1/namespaces/default"
LISTED = "/api/v1/namespaces/kube-public/configmaps"
Work = Callable[[Connection, int], Awaitable[None]]


def config_map(name: str) -> bytes:
    data = {f"key-{number}": "value " * 10 for number in range(10)}
    return json.dumps(
        {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": data}
    ).encode()


def pod(name: str) -> bytes:
    resources = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    environment = [{"name": f"VARIABLE_{number}", "value": "some value"} for number in range(10)]
    container = {
        "name": "main",
        "image": "example.com/app:1.2.3",
        "resources": resources,
        "env": environment,
    }
    metadata = {"name": name, "labels": {"app": "bench", "tier": "web"}}
    spec = {"containers": [container], "automountServiceAccountToken": True}
    return json.dumps(
        {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec}
    ).encode()


def expect(answer: tuple[int, bytes], code: int) -> bytes:
    if answer[0] != code:
        raise SystemExit(f"bench/api: wanted {code}, got {answer[0]}: {answer[1][:300]!r}")
    return answer[1]


class Server:
    """A kubelite server in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._config = folder / "config"
        command = [
            sys.executable,
            "-m",
            "kubelite",
            "server",
            "--no-node",
            "--no-scheduler",
            "--controllers=-*",
            "--port",
            "0",
            "--data-dir",
            str(folder / "data"),
        ]
        started = time.perf_counter()
        self.process = subprocess.Popen(
            [*command, "--kubeconfig", str(self._config)], cwd=ROOT, stderr=subprocess.DEVNULL
        )
        while not self._config.exists():
            if self.process.poll() is not None:
                raise SystemExit("bench/api: the server has ended")
            time.sleep(0.002)
        self.boot = time.perf_counter() - started
        line = next(each for each in self._config.read_text().splitlines() if "server:" in each)
        self.port = int(line.rsplit(":", 1)[1])
        keys = folder / "data" / "pki"
        self.context = context_of(
            str(keys / "ca.crt"), str(keys / "admin.crt"), str(keys / "admin.key")
        )

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


async def rate(
    port: int, context: Any, work: Work, workers: int, seconds: float, first: int = 0
) -> tuple[float, int]:
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
        port_file, body_file, keys = (
            folder / "floor.port",
            folder / "floor.body",
            folder / "data" / "pki",
        )
        body_file.write_bytes(body)
        files = [
            port_file,
            body_file,
            folder / "floor.db",
            keys / "server.crt",
            keys / "server.key",
            keys / "ca.crt",
        ]
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "bench" / "serving" / "floor.py"), *map(str, files)]
        )
        while not port_file.exists() or not port_file.read_text():
            if self.process.poll() is not None:
                raise SystemExit("bench/api: the floor has ended")
            time.sleep(0.01)
        self.port = int(port_file.read_text())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def bare_commits(folder: Path, size: int, seconds: float) -> float:
    """Commits a second of one row of so many bytes, with nothing around them."""
    db = open_log(str(folder / "bare.db"))
    value, done, started = b"x" * size, 0, time.perf_counter()
    while time.perf_counter() < started + seconds:
        insert(db, [value])
        done += 1
    db.close()
    return done / (time.perf_counter() - started)


def at_rest(server: Server, seconds: float) -> float:
    """Megabytes a minute that the server has written while nobody asked for anything."""

    def written() -> int:
        lines = Path(f"/proc/{server.process.pid}/io").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("write_bytes")).split()[1])

    before = written()
    time.sleep(seconds)
    return (written() - before) / seconds * 60 / 1e6


class Ask(NamedTuple):
    """One request, and the code of its answer."""

    method: str
    path: str
    body: bytes = b""
    content_type: str = "application/json"
    code: int = 200


def _patch(tag: str, number: int) -> Ask:
    body = json.dumps({"data": {"key-1": f"{tag} {number}"}}).encode()
    return Ask(
        "PATCH", f"{SPACE}/configmaps/w1-{number % 50}", body, "application/merge-patch+json"
    )


# What is asked, in order: the first fifty ConfigMaps of w1 stay for get and patch. The floor
# answers everything alike.
ROWS: dict[str, Callable[[str, int], Ask]] = {
    "floor create": lambda tag, number: Ask("POST", "/", config_map("w16-0000")),
    "create ConfigMap": lambda tag, number: Ask(
        "POST", f"{SPACE}/configmaps", config_map(f"{tag}-{number}"), code=201
    ),
    "floor get": lambda tag, number: Ask("GET", "/"),
    "get ConfigMap": lambda tag, number: Ask("GET", f"{SPACE}/configmaps/w1-{number % 50}"),
    "patch ConfigMap": _patch,
    "list 300": lambda tag, number: Ask("GET", LISTED),
    "create Pod": lambda tag, number: Ask(
        "POST", f"{SPACE}/pods", pod(f"{tag}-{number}"), code=201
    ),
    "delete ConfigMap": lambda tag, number: Ask(
        "DELETE", f"{SPACE}/configmaps/{tag}-{number + 50}"
    ),
}


def asking(ask: Callable[[str, int], Ask], tag: str) -> Work:
    """The work of one row. A deletion may have come to the end of what there is."""

    async def work(connection: Connection, number: int) -> None:
        method, path, body, content_type, code = ask(tag, number)
        answer = await connection.ask(method, path, body, content_type)
        if method != "DELETE" or answer[0] != 404:
            expect(answer, code)

    return work


async def measure(server: Server, floor: Floor, seconds: float) -> dict[str, Rates]:
    """The rates of each kind of work, with what the floor does beside it."""
    rates: dict[str, Rates] = {}
    async with Connection(server.port, server.context) as connection:
        for number in range(300):
            expect(await connection.ask("POST", LISTED, config_map(f"c{number}")), 201)
    for name, ask in ROWS.items():
        at = floor if name.startswith("floor") else server
        one, _ = await rate(at.port, server.context, asking(ask, "w1"), 1, seconds)
        used = processor(at.process.pid)
        sixteen, done = await rate(at.port, server.context, asking(ask, "w16"), 16, seconds)
        rates[name] = Rates(one, sixteen, (processor(at.process.pid) - used) / done * 1e6)
        print(f"  {name:<20} {one:>8.0f} {sixteen:>8.0f}", file=sys.stderr)
    return rates


async def fan_out(server: Server, watchers: int, events: int) -> tuple[float, float]:
    """Milliseconds from sending a create to the last of so many watchers having its event: median
    and p99.
    """
    times = []

    async def see(reader: asyncio.StreamReader, name: bytes) -> None:
        while name not in (line := await reader.readline()):
            if not line:
                raise SystemExit("bench/api: a watch has ended")

    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(Connection(server.port, server.context))
            for _ in range(watchers + 1)
        ]
        writer = connections.pop()
        for connection in connections:
            connection.send(
                "GET", f"{SPACE}/secrets?watch=1&fieldSelector=metadata.namespace%3Ddefault"
            )
        readers = [await connection.lines() for connection in connections]
        for number in range(events):
            name = f"event-{watchers}-{number:04}"
            waiting = [asyncio.create_task(see(reader, name.encode())) for reader in readers]
            await asyncio.sleep(0)
            started = time.perf_counter()
            content = json.dumps(
                {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": name}}
            ).encode()
            expect(await writer.ask("POST", f"{SPACE}/secrets", content), 201)
            await asyncio.gather(*waiting)
            times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times), sorted(times)[int(len(times) * 0.99)]


async def many_pods(server: Server, count: int) -> dict[str, float]:
    """What so many pods cost: memory, and the time to list them all."""
    async with Connection(server.port, server.context) as first:
        expect(await first.ask("POST", "/api/v1/namespaces", b'{"metadata":{"name":"many"}}'), 201)
        # No controller runs that would make it.
        accounts, account = (
            "/api/v1/namespaces/many/serviceaccounts",
            b'{"metadata":{"name":"default"}}',
        )
        expect(await first.ask("POST", accounts, account), 201)
    numbers = iter(range(count))

    async def fill() -> None:
        async with Connection(server.port, server.context) as connection:
            for number in numbers:
                expect(
                    await connection.ask(
                        "POST", "/api/v1/namespaces/many/pods", pod(f"p{number:05}")
                    ),
                    201,
                )

    before, started = server.resident(), time.perf_counter()
    await asyncio.gather(*(fill() for _ in range(16)))
    filled = time.perf_counter() - started
    async with Connection(server.port, server.context) as connection:
        started = time.perf_counter()
        body = expect(await connection.ask("GET", "/api/v1/pods"), 200)
        listed = time.perf_counter() - started
    return {
        f"{count} pods: created a second": count / filled,
        f"{count} pods: seconds to list them": listed,
        f"{count} pods: list, MB": len(body) / 1e6,
        f"{count} pods: memory before, MB": before / 1e6,
        f"{count} pods: memory with them, MB": server.resident() / 1e6,
    }


async def run(folder: Path, seconds: float, pods: int) -> tuple[dict[str, Rates], dict[str, float]]:
    """Rates and other figures."""
    server = Server(folder)
    figures: dict[str, float] = {"boot with new keys, seconds": server.boot}
    server.stop()
    server = Server(folder)
    figures |= {"boot warm, seconds": server.boot, "memory at rest, MB": server.resident() / 1e6}
    figures["written at rest, MB a minute"] = at_rest(server, seconds)
    try:
        async with Connection(server.port, server.context) as connection:
            body = expect(
                await connection.ask("POST", f"{SPACE}/configmaps", config_map("w16-0000")), 201
            )
        floor = Floor(folder, body)
        try:
            print("requests a second       one   sixteen", file=sys.stderr)
            rates = await measure(server, floor, seconds)
        finally:
            floor.stop()
        figures["bare commits a second"] = bare_commits(folder, len(body), seconds)
        for watchers, events in ((1, 100), (100, 50)):
            name = f"watch, {watchers} watcher{'s' if watchers > 1 else ''}: create to event"
            median, late = await fan_out(server, watchers, events)
            figures |= {f"{name}, median ms": median, f"{name}, p99 ms": late}
        figures |= await many_pods(server, pods)
    finally:
        server.stop()
    return rates, figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/api", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="how long each figure is measured (default 3)"
    )
    parser.add_argument(
        "--pods", type=int, default=10_000, help="how many pods are stored (default 10000)"
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kubelite-bench-") as folder:
        rates, figures = asyncio.run(run(Path(folder), arguments.seconds, arguments.pods))
    print(as_table(rates, figures))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(as_json(rates, figures), indent=2) + "\n")


if __name__ == "__main__":
    main()
