"""python bench/controllers.py [--pods N] [--objects N] [--nodes N --pods-kept N] [--json FILE]: how
fast controllers do what they are asked for, and what a large cluster takes in memory.

One process: API server over a file, scheduler, all controllers, and a client, speaking only through
the API. A Deployment until all its pods are created, and until all are bound; a namespace with
these pods until it is gone; dependents of an owner until they are collected; and the cluster that
the pytest plug-in gives each test until it is ready. Each beside what a real 1.36.2 takes on this
kind of machine, and in processor time, which other work on the machine
does not change. ``--nodes`` and ``--pods-kept`` measure memory instead: hollow nodes, and pods
bound to them.
"""

import argparse
import asyncio
import gc
import json
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from control import ADMIN, NODE_STATUS, node, pod, spread

from kubelite.client.client import Client, Selection
from kubelite.client.local import LocalTransport
from kubelite.client.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    NAMESPACES,
    NODES,
    PODS,
    GroupVersionResource,
)
from kubelite.control.api.server.lifecycle import ApiServer, Options
from kubelite.control.controllers.registry import select
from kubelite.control.store.sqlite import SQLite
from kubelite.testing.cluster import run_cluster
from kubelite.up.control_plane import ControlPlane

SPACE = "bench"
HOLLOW = 50
REAL = {"created": 24.6, "namespace": 9.2}
TARGET = {"created": 1.0, "namespace": 1.0, "test": 0.06}
TEST_CLUSTERS = 11


class Took(NamedTuple):
    """Seconds by the clock, and of processor time."""

    what: str
    seconds: float
    cpu: float


class Stopwatch:
    """Since when something is going on."""

    def __init__(self) -> None:
        self._begun, self._cpu = time.perf_counter(), time.process_time()

    def read(self, what: str) -> Took:
        now, cpu = time.perf_counter(), time.process_time()
        return Took(what, now - self._begun, cpu - self._cpu)


def test_clusters() -> Took:
    """Until a test's cluster is ready: the median of some after the first, which makes the keys."""
    took = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(TEST_CLUSTERS + 1):
            watch = Stopwatch()
            with run_cluster(Path(folder)):
                took.append(watch.read("test"))
    seconds, cpu = zip(*((one.seconds, one.cpu) for one in took[1:]), strict=True)
    return Took("test", statistics.median(seconds), statistics.median(cpu))


def deployment(replicas: int) -> dict[str, Any]:
    labels = {"app": "queued"}
    template = pod("queued", 0)
    template["metadata"] = {"labels": labels}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": "web", "namespace": SPACE}, "spec": spec}


class Bench:
    """A control plane, its administrator, and a view of what there is."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self.admin = Client(LocalTransport(server.application, ADMIN))
        self.plane = ControlPlane(server.application, select(("*",)), scheduler=True)

    async def add_nodes(self, count: int) -> None:
        async def add(number: int) -> None:
            body = node(number)
            await self.admin.create(NODES, body)
            name = body["metadata"]["name"]
            await self.admin.patch_status(NODES, name, NODE_STATUS, kind="strategic")

        await spread(count, add)

    async def workloads(self, pods: int) -> list[Took]:
        """A Deployment, and the end of its namespace."""
        await self.admin.create(NAMESPACES, {"metadata": {"name": SPACE}})
        watch, took = Stopwatch(), []
        following = asyncio.create_task(self._follow(watch, pods))
        await asyncio.sleep(0)
        await self.admin.create(DEPLOYMENTS, deployment(pods))
        took += await following
        watch = Stopwatch()
        ending = asyncio.create_task(self._ended(NAMESPACES, SPACE))
        await asyncio.sleep(0)
        await self.admin.delete(NAMESPACES, SPACE)
        for item in (await self.admin.list(PODS, SPACE)).items:  # as kubelets do
            await self.admin.delete(PODS, item["metadata"]["name"], SPACE, grace_seconds=0)
        await ending
        return [*took, watch.read("namespace")]

    async def _ended(self, resource: GroupVersionResource, *names: str) -> None:
        """Returns when the last of these objects of the cluster, or of ``default``, is gone."""
        left = set(names)
        async with self.admin.watch(resource, initial_events=True) as batches:
            async for batch in batches:
                left -= {e.object["metadata"]["name"] for e in batch if e.type == "DELETED"}
                if not left:
                    return

    async def _follow(self, watch: Stopwatch, count: int) -> list[Took]:
        """When all pods were created, and when all had nodes."""
        created: set[str] = set()
        bound: set[str] = set()
        took: list[Took] = []
        async with self.admin.watch(PODS, Selection(SPACE), initial_events=True) as batches:
            async for batch in batches:
                for event in batch:
                    if event.type == "BOOKMARK":
                        continue
                    created.add(event.object["metadata"]["name"])
                    if event.object["spec"].get("nodeName"):
                        bound.add(event.object["metadata"]["name"])
                if len(created) == count and not took:
                    took.append(watch.read("created"))
                if len(bound) == count:
                    return [*took, watch.read("bound")]
        return took

    async def collection(self, count: int) -> Took:
        """Dependents of an owner that is deleted."""
        space = "default"
        owner = {"metadata": {"name": "owner", "namespace": space}}
        uid = (await self.admin.create(CONFIG_MAPS, owner))["metadata"]["uid"]
        ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}

        async def create(number: int) -> None:
            metadata = {"name": f"d{number}", "namespace": space, "ownerReferences": [ref]}
            await self.admin.create(CONFIG_MAPS, {"metadata": metadata})

        await spread(count, create)
        watch = Stopwatch()
        ending = asyncio.create_task(self._ended(CONFIG_MAPS, *(f"d{n}" for n in range(count))))
        await asyncio.sleep(0)
        await self.admin.delete(CONFIG_MAPS, "owner", space, propagation="Background")
        await ending
        return watch.read("collected")

    async def fill(self, nodes: int, pods: int) -> None:
        """Hollow nodes and pods that are bound to them."""
        await self.add_nodes(nodes)

        async def create(number: int) -> None:
            body = pod("kept", number)
            body["spec"]["nodeName"] = f"hollow-{number % nodes:05d}"
            await self.admin.create(PODS, body)

        await spread(pods, create)


def resident() -> int:
    """MiB that this process occupies."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20


async def run(given: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        server = ApiServer(SQLite(f"{folder}/store.db"), Options(f"{folder}/pki", port=0))
        await server.start()
        bench = Bench(server)
        await bench.plane.start()
        gc.collect()
        gc.freeze()
        try:
            if given.nodes:
                before = resident()
                await bench.fill(given.nodes, given.pods_kept)
                gc.collect()
                return {"before": before, "filled": resident()}
            await bench.add_nodes(HOLLOW)
            took = [*await bench.workloads(given.pods), await bench.collection(given.objects)]
            return {what: {"seconds": seconds, "cpu": cpu} for what, seconds, cpu in took}
        finally:
            await bench.plane.close()
            await server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--pods", type=int, default=500)
    parser.add_argument("--objects", type=int, default=5000)
    parser.add_argument("--nodes", type=int, default=0)
    parser.add_argument("--pods-kept", type=int, default=50_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    sys.setswitchinterval(0.0005)
    gc.set_threshold(20_000, 20, 100)
    figures = asyncio.run(run(given))
    if not given.nodes:
        _, seconds, cpu = test_clusters()
        figures["test"] = {"seconds": seconds, "cpu": cpu}
    if given.nodes:
        print(
            f"MiB: {figures['before']} before, {figures['filled']} with {given.nodes} nodes "
            f"and {given.pods_kept} pods"
        )
    else:
        print(f"{given.pods} pods, {given.objects} dependents; seconds")
        print("            took  processor  target  real 1.36.2")
        for what, took in figures.items():
            print(
                f"{what:10}{took['seconds']:7.2f} {took['cpu']:10.2f} "
                f"{TARGET.get(what, ''):>7} {REAL.get(what, ''):>12}"
            )
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
