"""A scheduler at work on a real API server over the memory store, in the test's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from kubelite.client.client import Client
from kubelite.client.informers import Informer, Informers
from kubelite.client.local import LocalTransport
from kubelite.client.resources import EVENTS, NODES, PODS
from kubelite.client.transport import Identity
from kubelite.control.api.server.lifecycle import ApiServer, Options
from kubelite.control.scheduler.loop.run import USER, run_scheduler
from kubelite.control.store.memory import Memory

Object = dict[str, Any]
ADMIN = Identity("kubernetes-admin", ("system:masters",))


class Live(NamedTuple):
    """The administrator's client, and a view of the pods."""

    client: Client
    pods: Informer

    async def until(self, name: str, condition: Callable[[Object], Any]) -> Object:
        """The pod once something holds of it."""
        async with asyncio.timeout(10):
            while True:
                pod = self.pods.get("default", name)
                if pod is not None and condition(pod):
                    return pod
                await self.pods.at_least(self.pods.revision + 1)

    async def bound(self, name: str) -> str:
        pod = await self.until(name, node_of)
        return node_of(pod)

    async def refused(self, name: str) -> Object:
        """The PodScheduled condition of a pod that has no node."""
        pod = await self.until(name, lambda pod: scheduled(pod).get("status") == "False")
        return scheduled(pod)

    async def events(self, reason: str) -> list[Object]:
        for _ in range(300):
            items = (await self.client.list(EVENTS, "default")).items
            found = [event for event in items if event["reason"] == reason]
            if found:
                return found
            await asyncio.sleep(0.01)
        raise AssertionError(f"no event {reason}")


def node_of(pod: Object) -> str:
    return pod["spec"].get("nodeName") or ""


def scheduled(pod: Object) -> Object:
    conditions = pod.get("status", {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == "PodScheduled"), {})


@asynccontextmanager
async def scheduling(path: Path, **options: Any) -> AsyncIterator[Live]:
    server = ApiServer(Memory(), Options(str(path / "pki"), port=0))
    await server.start()
    admin = Client(LocalTransport(server.application, ADMIN))
    own = Client(LocalTransport(server.application, Identity(USER)))
    task = asyncio.create_task(run_scheduler(own, seed=0, **options))
    try:
        async with Informers(admin, check_shared=True) as informers:
            pods = informers.of(PODS)
            await pods.wait_synced()
            yield Live(admin, pods)
            assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.close()


async def add_node(client: Client, name: str, **given: Any) -> None:
    amounts = {"cpu": "4", "memory": "8Gi", "pods": "110", **given.pop("amounts", {})}
    obj = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": given,
    }
    await client.create(NODES, obj)
    status = {"status": {"capacity": amounts, "allocatable": amounts}}
    await client.patch_status(NODES, name, status, kind="strategic")
    # The taint of a node that is not ready is there from the start.
    await client.patch(NODES, name, {"spec": {"taints": None}})


def pod(name: str, cpu: str = "", **spec: Any) -> Object:
    container: Object = {"name": "c", "image": "example/app"}
    if cpu:
        container["resources"] = {"requests": {"cpu": cpu}}
    spec.setdefault("containers", [container])
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
