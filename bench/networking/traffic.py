"""Throughput and latency of TCP between two pods, through the bridge and through a Service, beside
two namespaces with nothing but a veth pair between them.
"""

import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kubelite.node.network import nftables
from kubelite.node.network.pod import PodNetwork
from kubelite.node.proxy.proxy import ServiceProxy
from kubelite.node.proxy.services import Endpoint, Frontend
from kubelite.testing.netns import NetworkNamespace

_PORT, _VIP = 8080, "10.96.200.2"
_BLOCK = bytes(1 << 20)
_SERVER, _CLIENT = "198.18.0.1", "198.18.0.2"


def measure(work: Path, rounds: int, seconds: float) -> dict[str, float]:
    """Medians of rounds in which every way has its turn."""
    with tempfile.TemporaryDirectory(dir=work) as run:
        network = PodNetwork(run, "0ebe1c03", f"{run}/lock")
        proxy = ServiceProxy("kubelite-bench-traffic", nftables.run)
        near, far = NetworkNamespace(loopback=False), NetworkNamespace(loopback=False)
        leases = [network.prepare(name, f"bench/{name}") for name in ("near", "far")]
        for lease, space in zip(leases, (near, far), strict=True):
            network.attach(lease, space.fd)
        endpoint = Endpoint(leases[1].address, _PORT)
        proxy.apply({("bench", "far"): [Frontend(_VIP, "tcp", 80, (endpoint,))]}, ())
        pair = _veth_pair()
        servers = [_serve(space) for space in (far, pair[1])]
        ways = {
            "through the bridge": (near, leases[1].address, _PORT),
            "through a Service": (near, _VIP, 80),
            "floor: through a veth pair": (pair[0], _SERVER, _PORT),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        trips: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                rates[name].append(_in_turn(way, lambda s: _throughput(s, seconds)))
                trips[name].append(_in_turn(way, lambda s: _round_trip(s, seconds)))
        for server in servers:
            os.kill(server, signal.SIGKILL)
            os.waitpid(server, 0)
        proxy.stop()
        network.remove_all()
    figures = {f"{name}, MB/s": statistics.median(samples) for name, samples in rates.items()}
    for name, samples in trips.items():
        floor = name.startswith("floor")
        title = "floor: round trip of a veth pair" if floor else f"round trip {name}"
        figures[f"{title}, us"] = statistics.median(samples)
    return figures


def _veth_pair() -> tuple[NetworkNamespace, NetworkNamespace]:
    spaces = NetworkNamespace(), NetworkNamespace()
    peer = f"/proc/{os.getpid()}/fd/{spaces[1].fd}"
    with spaces[0].inside():
        _ip("link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", peer)
    ends = (("v0", _CLIENT), ("v1", _SERVER))
    for space, (name, address) in zip(spaces, ends, strict=True):
        with space.inside():
            _ip("address", "add", f"{address}/30", "dev", name)
            _ip("link", "set", name, "up")
    return spaces


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _serve(space: NetworkNamespace) -> int:
    """The pid of a process that swallows what begins with S, and echoes what begins with E."""
    with space.inside():
        server = socket.create_server(("", _PORT))
    child = os.fork()
    if child:
        server.close()
        return child
    buffer = bytearray(1 << 20)
    while True:
        connection, _ = server.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            echoes = connection.recv(1) == b"E"
            try:
                while count := connection.recv_into(buffer):
                    if echoes:
                        connection.sendall(memoryview(buffer)[:count])
            except OSError:
                pass


def _in_turn(
    way: tuple[NetworkNamespace, str, int], work: Callable[[socket.socket], float]
) -> float:
    space, address, port = way
    with space.inside(), socket.create_connection((address, port), 5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return work(connection)


def _throughput(connection: socket.socket, seconds: float) -> float:
    connection.sendall(b"S")
    sent, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        connection.sendall(_BLOCK)
        sent += len(_BLOCK)
    return sent / took / 1e6


def _round_trip(connection: socket.socket, seconds: float) -> float:
    connection.sendall(b"E")
    trips, ends = [], time.perf_counter() + seconds
    while (began := time.perf_counter()) < ends:
        connection.sendall(b"x")
        connection.recv(1)
        trips.append((time.perf_counter() - began) * 1e6)
    return statistics.median(trips)
