"""How many questions a second the name server answers, beside an echo of the same bytes."""

import asyncio
import itertools
import math
import multiprocessing
import socket
import statistics
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from dnslib import DNSRecord

from kubelite.node.dns.server import DnsServer, Options

_AT_ONCE = 32
_NAMES = 1000


class Directory:
    """Many Services."""

    changes = 0

    def __init__(self) -> None:
        self._services = {
            f"s{number}": {
                "metadata": {"name": f"s{number}", "namespace": "default"},
                "spec": {
                    "clusterIP": f"10.96.{number // 250}.{number % 250}",
                    "clusterIPs": [f"10.96.{number // 250}.{number % 250}"],
                    "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
                },
            }
            for number in range(_NAMES)
        }

    def service(self, namespace: str, name: str) -> Any:
        return self._services.get(name)

    def slices(self, namespace: str, name: str) -> Sequence[Any]:
        return ()

    def has_namespace(self, name: str) -> bool:
        return name == "default"

    def service_at(self, address: str) -> Any:
        return None

    def endpoints_at(self, address: str) -> Sequence[tuple[Any, Any]]:
        return ()


class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, peer: Any) -> None:
        self._transport.sendto(data, peer)


class Pace(NamedTuple):
    """Questions a second, each for the first time and then, and the 99th percentile of the time of
    one.
    """

    first: float
    later: float
    p99: float


def measure(rounds: int, seconds: float) -> dict[str, float]:
    """Medians with 32 questions under way."""
    results: dict[str, list[Pace]] = {"DNS": [], "floor: echo": []}
    for _ in range(rounds):
        for name, samples in results.items():
            samples.append(_with_server(name == "DNS", seconds))
    figures = {}
    for name, samples in results.items():
        first, later, p99 = (statistics.median(column) for column in zip(*samples, strict=True))
        figures[f"{name}, questions/s"] = later
        figures[f"{name}, questions/s, each for the first time"] = first
        figures[f"{name}, p99 with {_AT_ONCE} at once, ms"] = p99
    return figures


def _with_server(is_dns: bool, seconds: float) -> Pace:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(is_dns, theirs), daemon=True)
    process.start()
    try:
        port = ours.recv()
        first, _ = _ask(port, math.inf, _NAMES)
        return Pace(first, *_ask(port, seconds, sys.maxsize))
    finally:
        process.kill()
        process.join()


def _serve(is_dns: bool, pipe: Connection) -> None:
    async def run() -> None:
        if is_dns:
            port = await DnsServer(Directory(), Options("cluster.local", ())).start("127.0.0.1", 0)
        else:
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_datagram_endpoint(_Echo, ("127.0.0.1", 0))
            port = transport.get_extra_info("sockname")[1]
        pipe.send(port)
        await asyncio.Event().wait()

    asyncio.run(run())


def _ask(port: int, seconds: float, count: int) -> tuple[float, float]:
    """Asks for so long, or so often; returns questions a second and the 99th percentile."""
    questions = itertools.cycle(
        DNSRecord.question(f"s{n}.default.svc.cluster.local").pack() for n in range(_NAMES)
    )
    took = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.connect(("127.0.0.1", port))
        asker.settimeout(5)
        asked: list[float] = [0.0] * _AT_ONCE
        began = time.perf_counter()
        for slot in range(_AT_ONCE):
            asked[slot] = time.perf_counter()
            asker.send(slot.to_bytes(2, "big") + next(questions)[2:])
        while (now := time.perf_counter()) - began < seconds and len(took) < count:
            slot = int.from_bytes(asker.recv(4096)[:2], "big")
            now = time.perf_counter()
            took.append((now - asked[slot]) * 1e3)
            asked[slot] = now
            asker.send(slot.to_bytes(2, "big") + next(questions)[2:])
    return len(took) / (now - began), sorted(took)[int(len(took) * 0.99)]
