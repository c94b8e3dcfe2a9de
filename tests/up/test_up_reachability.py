"""Who reaches whom, by packets: one node beside a real API server, in a network namespace of its
own, with a neighbour on its uplink. The same table of ways is tried after everything that may
happen to the node's kernel objects.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kubelite.client.client import Client
from kubelite.client.resources import ENDPOINT_SLICES, SERVICES, GroupVersionResource
from kubelite.core import native
from kubelite.node.network import ipam, names, nftables
from kubelite.node.network.pod import PodNetwork
from kubelite.node.network.ports import HostPort
from kubelite.node.proxy.services import Node
from kubelite.objects.facts.load_balancers import ANNOUNCED_BY
from kubelite.testing.netns import NetworkNamespace
from kubelite.up.cluster_network import ClusterNetwork, remove_network
from tests.client.servers import Served, served
from tests.testing.uplink import NEIGHBOUR, UPLINK, UPPER, make_host, make_neighbour, outer
from tests.up import sctp

if os.geteuid() != 0:
    pytest.skip("network namespaces need root", allow_module_level=True)

UPLINK6, NEIGHBOUR6 = outer(UPLINK), outer(NEIGHBOUR)
POOL, POOL6 = "192.0.2.77", "2001:db8:77::77"
VIP, VIP6 = "10.96.0.77", "fd00:10:96::77"
KEY = "0b1c2d3e"
SERVICE_CIDRS = GroupVersionResource("networking.k8s.io", "v1", "servicecidrs")
PROTOCOLS = ("tcp", "udp", "sctp")
FAMILIES = ("IPv4", "IPv6")
PORT, HOST_PORT, NODE_PORT, SERVICE_PORT = 8080, 9000, 30077, 80
PATIENCE = 20.0
WAYS = [
    (caller, target)
    for target in ("pod", "cluster ip", "host port", "node port", "load balancer")
    for caller in ("other", "self", "host", "outside")
    if (caller, target) not in {("outside", "pod"), ("outside", "cluster ip")}
] + [("self", "host"), ("other", "other"), ("self", "neighbour")]
"""Callers and targets. ``self`` is the only endpoint of the Service, and holds the host port."""


class Speaker:
    """A network namespace whose servers answer with their name and the caller's address."""

    def __init__(self, name: str, space: NetworkNamespace) -> None:
        self.name, self.space = name, space
        with space.inside():
            both = {"family": socket.AF_INET6, "dualstack_ipv6": True}
            self._tcp = socket.create_server(("::", PORT), **both, backlog=256)
            self._udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            self._udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self._udp.bind(("::", PORT))
            families = (socket.AF_INET, socket.AF_INET6)
            self._sctp = [sctp.Server(PORT, name, family) for family in families]
            serving = [server.serve for server in self._sctp]
            for serve in (self._serve_tcp, self._serve_udp, *serving):
                threading.Thread(target=serve, daemon=True).start()

    def _serve_tcp(self) -> None:
        while True:
            try:
                connection, peer = self._tcp.accept()
            except OSError:
                return
            with connection:
                connection.sendall(f"{self.name} {peer[0]}".encode())

    def _serve_udp(self) -> None:
        while True:
            try:
                _, peer = self._udp.recvfrom(100)
                self._udp.sendto(f"{self.name} {peer[0]}".encode(), peer)
            except OSError:
                return

    def ask(self, protocol: str, address: str, port: int, timeout: float) -> str:
        """The name of whoever answers there; "" for nobody."""
        with self.space.inside():
            try:
                if protocol == "sctp":
                    said = sctp.ask(address, port, timeout)
                elif protocol == "udp":
                    family = socket.AF_INET6 if ":" in address else socket.AF_INET
                    with socket.socket(family, socket.SOCK_DGRAM) as sender:
                        sender.settimeout(timeout)
                        sender.sendto(b"?", (address, port))
                        said = sender.recv(100).decode()
                else:
                    with socket.create_connection((address, port), timeout) as connection:
                        said = connection.recv(100).decode()
            except OSError:
                return ""
        return said.partition(" ")[0]

    def close(self) -> None:
        self._tcp.shutdown(socket.SHUT_RDWR)
        for server in (self._tcp, self._udp, *self._sctp):
            server.close()


class Machine:
    """A node with two pods, its neighbour, and the API server that its network follows."""

    def __init__(self, pods: PodNetwork, api: Served) -> None:
        self.pods, self.server, self.client = pods, api.server, api.client
        self.speakers: dict[str, Speaker] = {}
        self.addresses: dict[str, dict[str, str]] = {}
        self._stop: Callable[[], Any] | None = None

    def add_pod(self, name: str, *ports: HostPort) -> None:
        space = NetworkNamespace(loopback=False)
        lease = self.pods.prepare(name, f"default/{name}", ports, dual_stack=True)
        self.pods.attach(lease, space.fd)
        self.add(name, space, *lease.addresses)

    def add(self, name: str, space: NetworkNamespace, *addresses: str) -> None:
        self.speakers[name] = Speaker(name, space)
        self.addresses[name] = dict(zip(FAMILIES, addresses, strict=True))

    async def start_network(self) -> None:
        network = ClusterNetwork(self.client, Node("here"), self.pods, "cluster.local")
        await network.start()
        work = asyncio.create_task(network.run())

        async def stop() -> None:
            work.cancel()
            await network.close()

        self._stop = stop

    async def stop_network(self) -> None:
        if self._stop is not None:
            await self._stop()
            self._stop = None

    async def unreachable(self, timeout: float = 2.0) -> list[str]:
        """The ways on which nobody, or the wrong one, answers."""
        tries = [
            (
                f"{caller} to {target} by {protocol} over {family}",
                self._try(caller, target, protocol, family, timeout),
            )
            for caller, target in WAYS
            for protocol in PROTOCOLS
            for family in FAMILIES
        ]
        results = await asyncio.gather(*(attempt for _, attempt in tries))
        return [way for (way, _), is_right in zip(tries, results, strict=True) if not is_right]

    async def _try(
        self, caller: str, target: str, protocol: str, family: str, timeout: float
    ) -> bool:
        is_4 = family == "IPv4"
        uplink = UPLINK if is_4 else UPLINK6
        ways = {
            "pod": (self.addresses["self"][family], PORT),
            "cluster ip": (VIP if is_4 else VIP6, SERVICE_PORT),
            "host port": (uplink, HOST_PORT),
            "node port": (uplink, NODE_PORT),
            "load balancer": (POOL if is_4 else POOL6, SERVICE_PORT),
        }
        address, port = ways.get(target) or (self.addresses[target][family], PORT)
        wanted = "self" if target in ways else target
        speaker = self.speakers[caller]
        answer = await asyncio.to_thread(speaker.ask, protocol, address, port, timeout)
        return answer == wanted

    async def heals(self) -> list[str]:
        """What is still unreachable when nothing gets better for long."""
        ends = asyncio.get_running_loop().time() + PATIENCE
        while left := await self.unreachable():
            if asyncio.get_running_loop().time() > ends:
                return left
        return []


@pytest.fixture
def host() -> Iterator[NetworkNamespace]:
    with make_host(NEIGHBOUR, NEIGHBOUR6, upper=UPPER) as space:
        yield space


@pytest.fixture
def outside(host: NetworkNamespace) -> Iterator[NetworkNamespace]:
    with make_neighbour(upper=UPPER) as space:
        yield space


@asynccontextmanager
async def machine(
    path: Path, host: NetworkNamespace, outside: NetworkNamespace
) -> AsyncIterator[Machine]:
    pods = PodNetwork(str(path), KEY, str(path / "lock"))
    asyncio.get_running_loop().set_default_executor(
        ThreadPoolExecutor(len(WAYS) * len(PROTOCOLS) * len(FAMILIES) + 8)
    )
    async with served(path) as world:
        node = Machine(pods, world)
        try:
            node.add("host", host, UPLINK, UPLINK6)
            node.add("neighbour", outside, NEIGHBOUR, NEIGHBOUR6)
            node.speakers["outside"] = node.speakers["neighbour"]
            node.add_pod("other")
            host_ports = [
                HostPort(host_port=HOST_PORT, container_port=PORT, protocol=protocol.upper())
                for protocol in PROTOCOLS
            ]
            node.add_pod("self", *host_ports)
            await create_objects(world.client, node.addresses["self"])
            await node.start_network()
            yield node
        finally:
            await node.stop_network()
            for speaker in {id(s): s for s in node.speakers.values()}.values():
                speaker.close()
            remove_network(KEY)
            pods.remove_all()


async def create_objects(client: Client, addresses: dict[str, str]) -> None:
    """A Service of type LoadBalancer and of both families, with one endpoint."""
    metadata, ranges = {"name": "ipv6"}, {"cidrs": ["fd00:10:96::/112"]}
    await client.create(SERVICE_CIDRS, {"metadata": metadata, "spec": ranges})
    metadata = {"name": "web", "namespace": "default"}
    ports = [
        {
            "name": protocol,
            "protocol": protocol.upper(),
            "port": SERVICE_PORT,
            "nodePort": NODE_PORT,
        }
        for protocol in PROTOCOLS
    ]
    spec = {"type": "LoadBalancer", "clusterIP": VIP, "clusterIPs": [VIP, VIP6], "ports": ports}
    spec["ipFamilyPolicy"] = "RequireDualStack"
    await client.create(SERVICES, {"metadata": metadata, "spec": spec})
    said = {"metadata": {"annotations": {ANNOUNCED_BY: "here"}}}
    ingress = [{"ip": address, "ipMode": "VIP"} for address in (POOL, POOL6)]
    said["status"] = {"loadBalancer": {"ingress": ingress}}
    await client.patch(SERVICES, "web", said, "default", kind="merge", sub="status")
    labels = {"kubernetes.io/service-name": "web"}
    for family, address in addresses.items():
        endpoint = {"addresses": [address], "nodeName": "here", "conditions": {"ready": True}}
        body = {
            "metadata": {"name": f"web-{family.lower()}", "namespace": "default", "labels": labels},
            "addressType": family,
            "ports": [{"name": p, "protocol": p.upper(), "port": PORT} for p in PROTOCOLS],
            "endpoints": [endpoint],
        }
        await client.create(ENDPOINT_SLICES, body)


async def restart_agent(node: Machine) -> None:
    await node.stop_network()
    assert await node.unreachable() == []
    await node.start_network()


async def delete_bridge(node: Machine) -> None:
    native.net_delete(names.bridge(KEY))


async def flush_ruleset(node: Machine) -> None:
    nftables.run("flush ruleset\n")


async def delete_announcer(node: Machine) -> None:
    native.net_delete(names.announcer(KEY, ipam.number(POOL)))


async def delete_everything_while_the_agent_is_gone(node: Machine) -> None:
    await node.stop_network()
    await delete_bridge(node)
    await flush_ruleset(node)
    assert "host to pod by tcp over IPv6" in await node.unreachable(0.2)
    await node.start_network()


HAPPENINGS = [
    restart_agent,
    delete_bridge,
    flush_ruleset,
    delete_announcer,
    delete_everything_while_the_agent_is_gone,
]


async def test_everybody_reaches_everybody_whatever_happens(
    tmp_path: Path, host: NetworkNamespace, outside: NetworkNamespace
) -> None:
    async with machine(tmp_path, host, outside) as node:
        assert await node.heals() == []
        for happening in HAPPENINGS:
            await happening(node)
            assert await node.heals() == [], happening.__name__
