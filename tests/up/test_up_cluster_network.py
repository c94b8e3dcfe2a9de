"""The network of a node beside a real API server; only nft(8) is replaced, to let it fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kubelite.client.client import Client
from kubelite.client.resources import GroupVersionResource
from kubelite.node.network import nftables
from kubelite.node.network.errors import FirewallRefused
from kubelite.node.network.pod import PodNetwork
from kubelite.node.proxy.services import Node
from kubelite.up import cluster_network
from kubelite.up.cluster_network import ClusterNetwork
from tests.client.servers import served

POLICIES = GroupVersionResource("networking.k8s.io", "v1", "networkpolicies")
DENY_ALL = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny", "namespace": "default"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "default"},
    "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]},
}
PODS = GroupVersionResource("", "v1", "pods")


class Kernel:
    """Takes transactions of nft(8), and refuses the next ``refusals`` that name ``table``."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.refusals = 0
        self.accepted: list[str] = []

    def run(self, commands: str) -> str:
        if self.refusals and self.table in commands:
            self.refusals -= 1
            raise FirewallRefused("planted")
        self.accepted.append(commands)
        return '{"nftables": []}'


@asynccontextmanager
async def network(
    client: Client, kernel: Kernel, path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ClusterNetwork]:
    monkeypatch.setattr(nftables, "run", kernel.run)
    monkeypatch.setattr(cluster_network, "RETRY_SECONDS", 0.05)
    pods = PodNetwork(str(path), "0a1b2c3e", str(path / "lock"))
    made = ClusterNetwork(client, Node("n", ""), pods, "cluster.local")
    await made.start()
    work = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        work.cancel()
        await made.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_policy_that_the_kernel_refused_is_applied_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel("kubelite-0a1b2c3e-policies")
    async with served(tmp_path) as world, network(world.client, kernel, tmp_path, monkeypatch):
        await world.client.create(PODS, POD)
        status = {"phase": "Running", "podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}]}
        await world.client.patch_status(PODS, "p", {"status": status}, "default")
        kernel.refusals = 2
        await world.client.create(POLICIES, DENY_ALL)
        await until(lambda: any("10.1.2.3" in commands for commands in kernel.accepted))
        assert kernel.refusals == 0
