"""python bench/control.py [--nodes N ...] [--pods N] [--store memory|sqlite] [--json FILE]: how
fast a control plane places pods.

One process: API server, scheduler, and a client that creates pods, speaking only through the API
(no socket; authorisation, admission and events as ever). Two figures for each number of hollow
nodes: pods bound a second from a full queue, which is what the scheduler and the API can do, and
while they are being created, with the time from create to bound. Beside them, from the same run,
what the API alone can create and bind with nobody deciding anything: the floor. Since other work on
the machine slows all of that down, the last columns are pods a second of processor time. In the end
the control plane, all controllers included, is left alone for a while: what it costs at rest.
"""

import argparse
import asyncio
import gc
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from kubelite.client.client import Client
from kubelite.client.informers import Informers
from kubelite.client.local import LocalTransport
from kubelite.client.resources import NODES, PODS
from kubelite.client.transport import Identity
from kubelite.control.api.server.lifecycle import ApiServer, Options
from kubelite.control.controllers.registry import select
from kubelite.control.scheduler.loop.run import USER, run_scheduler
from kubelite.control.store.memory import Memory
from kubelite.control.store.sqlite import SQLite
from kubelite.up.control_plane import ControlPlane

ADMIN = Identity("kubernetes-admin", ("system:masters",))
IN_FLIGHT = 64
SETTLE_SECONDS, MAX_SETTLE, REST_SECONDS = 2.0, 45, 10.0
TARGET = 1500
REAL = {500: 260, 2000: 189}  # a real 1.36.2 with raised client limits on this kind of machine


class Figures(NamedTuple):
    """Pods a second, milliseconds from create to bound, pods a second of processor time; shares of
    a core and bytes at rest.
    """

    nodes: int
    created: float
    bound_alone: float
    from_queue: float
    pipeline: float
    p50: float
    p99: float
    queue_cpu: float
    pipeline_cpu: float
    rest_cpu: float
    rest_bytes: int


def node(number: int) -> dict[str, Any]:
    name = f"hollow-{number:05d}"
    labels = {
        "kubernetes.io/hostname": name,
        "topology.kubernetes.io/zone": f"zone-{number % 3}",
        "type": "hollow",
    }
    return {"metadata": {"name": name, "labels": labels}, "spec": {}}


NODE_STATUS = {
    "status": {
        "capacity": {"cpu": "32", "memory": "256Gi", "pods": "500"},
        "allocatable": {"cpu": "32", "memory": "256Gi", "pods": "500"},
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
    }
}


def pod(prefix: str, number: int) -> dict[str, Any]:
    resources = {"requests": {"cpu": "10m", "memory": "16Mi"}}
    container = {"name": "main", "image": "example.com/app:1", "resources": resources}
    name = f"{prefix}-{number:06d}"
    metadata = {"name": name, "namespace": "default", "labels": {"app": prefix}}
    return {"metadata": metadata, "spec": {"containers": [container]}}


async def spread(count: int, act: Any) -> float:
    """Does ``act(number)`` for all numbers, some at a time. Returns how many a second."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await act(number)
            await asyncio.sleep(0)

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return count / (time.perf_counter() - begun)


class Bench:
    """A control plane and its administrator."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self.server = server
        self._folder = folder
        self.admin = self.client(ADMIN)

    def size(self) -> int:
        """Bytes of the store's files."""
        return sum(path.stat().st_size for path in self._folder.glob("store.db*"))

    def client(self, identity: Identity) -> Client:
        return Client(LocalTransport(self.server.application, identity))

    async def measure(self, nodes: int, pods: int) -> Figures:
        await spread(nodes, self._add_node)
        created = await spread(pods, self._creator("alone"))
        bound_alone = await spread(pods, self._binder("alone", nodes))
        await self._clear("alone")
        await spread(pods, self._creator("queued"))
        informers = Informers(self.client(USER_IDENTITY))
        scheduler = asyncio.create_task(run_scheduler(self.client(USER_IDENTITY), informers))
        view = informers.of(PODS)
        begun, cpu = time.perf_counter(), time.process_time()
        last = await self._all_bound(view, "queued", pods)
        from_queue = pods / (last - begun)
        queue_cpu = pods / (time.process_time() - cpu)
        await asyncio.sleep(2)
        made: dict[str, float] = {}
        bound: dict[str, float] = {}
        done = asyncio.Event()

        def watch(old: Any, new: Any) -> None:
            if new is not None and new["spec"].get("nodeName"):
                name = new["metadata"]["name"]
                if name in made and name not in bound:
                    bound[name] = time.perf_counter()
                    if len(bound) == pods:
                        done.set()

        view.add_handler(watch)
        begun, cpu = time.perf_counter(), time.process_time()

        async def create(number: int) -> None:
            made[f"piped-{number:06d}"] = time.perf_counter()
            await self.admin.create(PODS, pod("piped", number))

        await spread(pods, create)
        await done.wait()
        pipeline = pods / (time.perf_counter() - begun)
        pipeline_cpu = pods / (time.process_time() - cpu)
        waits = sorted((bound[name] - made[name]) * 1000 for name in made)
        scheduler.cancel()
        await asyncio.gather(scheduler, return_exceptions=True)
        await informers.close()
        p99 = waits[len(waits) * 99 // 100]
        return Figures(
            nodes=nodes,
            created=created,
            bound_alone=bound_alone,
            from_queue=from_queue,
            pipeline=pipeline,
            p50=statistics.median(waits),
            p99=p99,
            queue_cpu=queue_cpu,
            pipeline_cpu=pipeline_cpu,
            **await self._at_rest(),
        )

    async def _at_rest(self) -> dict[str, Any]:
        """Scheduler and all controllers with nothing to do."""
        plane = ControlPlane(self.server.application, select(("*",)), scheduler=True)
        await plane.start()
        for _ in range(MAX_SETTLE):  # until what the pods have caused is done
            cpu = time.process_time()
            await asyncio.sleep(SETTLE_SECONDS)
            if time.process_time() - cpu < SETTLE_SECONDS / 100:
                break
        cpu, size = time.process_time(), self.size()
        await asyncio.sleep(REST_SECONDS)
        used = (time.process_time() - cpu) / REST_SECONDS
        written = self.size() - size
        await plane.close()
        return {"rest_cpu": used, "rest_bytes": written}

    async def _add_node(self, number: int) -> None:
        obj = node(number)
        await self.admin.create(NODES, obj)
        name = obj["metadata"]["name"]
        await self.admin.patch_status(NODES, name, NODE_STATUS, kind="strategic")
        await self.admin.patch(NODES, name, {"spec": {"taints": None}})

    def _creator(self, prefix: str) -> Any:
        async def create(number: int) -> None:
            await self.admin.create(PODS, pod(prefix, number))

        return create

    def _binder(self, prefix: str, nodes: int) -> Any:
        async def bind(number: int) -> None:
            name = f"{prefix}-{number:06d}"
            await self.admin.bind("default", name, f"hollow-{number % nodes:05d}")

        return bind

    async def _clear(self, prefix: str) -> None:
        for item in (await self.admin.list(PODS, "default")).items:
            await self.admin.delete(PODS, item["metadata"]["name"], "default", grace_seconds=0)

    async def _all_bound(self, view: Any, prefix: str, count: int) -> float:
        """When the last pod had a node."""
        waiting: set[str] = {f"{prefix}-{number:06d}" for number in range(count)}
        done = asyncio.Event()

        def watch(old: Any, new: Any) -> None:
            if new is not None and new["spec"].get("nodeName"):
                waiting.discard(new["metadata"]["name"])
                if not waiting:
                    done.set()

        view.add_handler(watch)
        await done.wait()
        view.remove_handler(watch)
        return time.perf_counter()


USER_IDENTITY = Identity(USER)


async def run(nodes: int, pods: int, store: str) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        backend = Memory() if store == "memory" else SQLite(f"{folder}/store.db")
        server = ApiServer(backend, Options(f"{folder}/pki", port=0))
        await server.start()
        gc.collect()
        gc.freeze()
        try:
            return await Bench(server, Path(folder)).measure(nodes, pods)
        finally:
            await server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--nodes", type=int, nargs="+", default=[500, 2000])
    parser.add_argument("--pods", type=int, default=3000)
    parser.add_argument("--store", choices=("memory", "sqlite"), default="sqlite")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    sys.setswitchinterval(0.0005)
    gc.set_threshold(20_000, 20, 100)
    rows = []
    print(f"{given.pods} pods, {given.store} store; pods a second, create to bound in ms")
    print(
        " nodes   create     bind  from queue  pipeline     p50     p99  real 1.36.2"
        "  queue/cpu  pipeline/cpu  rest"
    )
    for nodes in given.nodes:
        figures = asyncio.run(run(nodes, given.pods, given.store))
        rows.append(figures._asdict())
        print(
            f"{nodes:6} {figures.created:8.0f} {figures.bound_alone:8.0f}"
            f" {figures.from_queue:11.0f} {figures.pipeline:9.0f} {figures.p50:7.1f}"
            f" {figures.p99:7.1f} {REAL.get(nodes, '')!s:>12} {figures.queue_cpu:10.0f}"
            f" {figures.pipeline_cpu:13.0f}  {figures.rest_cpu:.2%}, {figures.rest_bytes} bytes",
            flush=True,
        )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
