"""What a change of one Service costs among many, and how soon it is felt."""

import asyncio
import itertools
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from kubelite.client.client import Client
from kubelite.client.local import LocalTransport
from kubelite.client.resources import ENDPOINT_SLICES, SERVICES
from kubelite.client.transport import Identity
from kubelite.control.api.server.lifecycle import ApiServer, Options
from kubelite.control.store.memory import Memory
from kubelite.node.network import nftables
from kubelite.node.network.pod import PodNetwork
from kubelite.node.proxy.proxy import ServiceProxy
from kubelite.node.proxy.services import Endpoint, Frontend, Node
from kubelite.testing.netns import NetworkNamespace
from kubelite.up.cluster_network import ClusterNetwork, remove_network

_KEY = "0ebe1c02"
_ADDRESS, _PORT = "10.96.200.1", 80
_ADMIN = Identity("kubernetes-admin", ("system:masters",))


def measure_updates(count: int, rounds: int) -> dict[str, float]:
    """Milliseconds for one Service to lose one of its three endpoints and get another."""
    proxy = ServiceProxy("kubelite-bench-services", nftables.run)
    names = list(itertools.islice(_addresses(), count))
    for start in range(0, count, 1000):
        part = names[start : start + 1000]
        proxy.apply({("bench", name): _frontends(name, 0) for name in part}, ())
    took = []
    for number in range(1, rounds + 1):
        name = names[number * 7919 % count]
        began = time.perf_counter()
        proxy.apply({("bench", name): _frontends(name, number)}, ())
        took.append((time.perf_counter() - began) * 1e3)
    proxy.stop()
    ninety_nine = sorted(took)[int(len(took) * 0.99)]
    return {
        f"change of one among {count} Services, ms": statistics.median(took),
        f"the same, p99 of {rounds}, ms, {count}": ninety_nine,
    }


def _addresses() -> Iterator[str]:
    return (f"10.{96 + a}.{b}.{c}" for a in range(8) for b in range(250) for c in range(250))


def _frontends(address: str, number: int) -> list[Frontend]:
    endpoints = tuple(
        sorted(Endpoint(f"10.208.{(number + i) % 250}.{i + 2}", 8080) for i in range(3))
    )
    return [Frontend(address, "tcp", 80, endpoints)]


# -- from the API to a packet ----------------------------------------------------------------------


def measure_first_packet(work: Path, rounds: int) -> dict[str, float]:
    """Milliseconds from the write of an EndpointSlice to the first answer of the new endpoint."""
    took = asyncio.run(_follow(work, rounds))
    return {"endpoint change to first packet, ms": statistics.median(took)}


async def _follow(work: Path, rounds: int) -> list[float]:
    server = ApiServer(Memory(), Options(str(work / "pki"), port=0))
    await server.start()
    client = Client(LocalTransport(server.application, _ADMIN))
    pods = PodNetwork(str(work), _KEY, str(work / "lock"))
    spaces = [NetworkNamespace(loopback=False) for _ in range(3)]
    addresses = []
    for number, space in enumerate(spaces):
        lease = pods.prepare(f"p{number}", f"bench/p{number}")
        pods.attach(lease, space.fd)
        addresses.append(lease.address)
        _serve(space, str(number))
    network = ClusterNetwork(client, Node("bench"), pods, "cluster.local")
    slices = await _create(client, addresses[0])
    await network.start()
    following = asyncio.create_task(network.run())
    took = []
    for number in range(rounds):
        wanted = str(number % 2)
        slices = {**slices, "endpoints": [_endpoint(addresses[number % 2])]}
        began = time.perf_counter()
        slices = await client.update(ENDPOINT_SLICES, slices)
        await asyncio.to_thread(_until_answered, spaces[2], wanted)
        took.append((time.perf_counter() - began) * 1e3)
    following.cancel()
    await network.close()
    await client.close()
    await server.close()
    remove_network(_KEY)
    pods.remove_all()
    return took[1:]


async def _create(client: Client, address: str) -> dict:
    metadata = {"name": "bench", "namespace": "default"}
    spec = {"clusterIP": _ADDRESS, "ports": [{"port": _PORT}]}
    await client.create(SERVICES, {"metadata": metadata, "spec": spec})
    body = {
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": "bench"}},
        "addressType": "IPv4",
        "ports": [{"name": "", "protocol": "TCP", "port": 8080}],
        "endpoints": [_endpoint(address)],
    }
    return dict(await client.create(ENDPOINT_SLICES, body))


def _endpoint(address: str) -> dict:
    return {"addresses": [address], "conditions": {"ready": True}}


def _serve(space: NetworkNamespace, name: str) -> None:
    """Answers each connection with a name, until the process ends."""
    with space.inside():
        server = socket.create_server(("", 8080), backlog=256)

    def answer() -> None:
        while True:
            connection, _ = server.accept()
            with connection:
                connection.sendall(name.encode())

    threading.Thread(target=answer, daemon=True).start()


def _until_answered(space: NetworkNamespace, wanted: str) -> None:
    with space.inside():
        while True:
            with socket.create_connection((_ADDRESS, _PORT), 5) as connection:
                if connection.recv(10).decode() == wanted:
                    return
