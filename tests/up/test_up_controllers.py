"""Controllers beside a real API server: in its process, and in a process of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kubelite.client import kubeconfig
from kubelite.client.client import Client
from kubelite.client.http import HttpTransport
from kubelite.client.resources import (
    DEPLOYMENTS,
    EVENTS,
    JOBS,
    LEASES,
    NODES,
    PODS,
    REPLICA_SETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    STATEFUL_SETS,
)
from kubelite.control.api.server.lifecycle import ApiServer, Options
from kubelite.control.controllers.controller import DEFAULTS, Settings
from kubelite.control.controllers.registry import FOR_OWN_NODES, select
from kubelite.control.controllers.shared.address_pool import parse
from kubelite.control.store.memory import Memory
from kubelite.objects.facts.load_balancers import ANNOUNCED_BY
from kubelite.up.control_plane import ControlPlane
from tests.client.servers import client_of

POD = {"containers": [{"name": "c", "image": "img:1"}]}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": POD}


def workload(kind: str, name: str = "web", **spec: Any) -> dict[str, Any]:
    body = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE, **spec}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": body,
    }


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.02)


async def pods_of(client: Client) -> list[dict[str, Any]]:
    return (await client.list(PODS, "default")).items


async def make_ready(client: Client) -> None:
    """What a kubelet says of pods that run."""
    for each in await pods_of(client):
        status = {
            "phase": "Running",
            "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
            ],
        }
        await client.patch_status(PODS, each["metadata"]["name"], {"status": status}, "default")


class Running:
    def __init__(self, client: Client, plane: ControlPlane, server: ApiServer) -> None:
        self.client, self.plane, self.server = client, plane, server

    async def idle(self) -> None:
        """Until no controller has had anything to do for a moment."""
        quiet = 0
        async with asyncio.timeout(30):
            while quiet < 10:
                await asyncio.sleep(0.01)
                quiet = quiet + 1 if self.plane.controllers.is_idle else 0


@asynccontextmanager
async def running(path: Path, *names: str, settings: Settings = DEFAULTS) -> AsyncIterator[Running]:
    server = ApiServer(Memory(), Options(str(path / "pki"), port=0))
    await server.start()
    plane = ControlPlane(server.application, select(names or ("*",)), settings=settings)
    await plane.start()
    client = client_of(server, "local")
    try:
        yield Running(client, plane, server)
    finally:
        await client.close()
        await plane.close()
        await server.close()


async def test_a_deployment_gets_pods_as_many_as_it_asks_for(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.client.create(DEPLOYMENTS, workload("Deployment", replicas=3))
        await world.idle()
        assert len(await pods_of(world.client)) == 3
        await make_ready(world.client)
        await world.idle()
        status = (await world.client.get(DEPLOYMENTS, "web", "default"))["status"]
        assert status["availableReplicas"] == 3
        assert status["observedGeneration"] == 1
        await world.client.scale(DEPLOYMENTS, "web", 1, "default")
        await world.idle()
        assert len(await pods_of(world.client)) == 1


async def test_load_balancers_made_at_once_get_addresses_of_their_own(tmp_path: Path) -> None:
    told = Settings(parse("198.51.100.0/24"))
    async with running(tmp_path, *FOR_OWN_NODES, settings=told) as world:
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
        await world.client.create(NODES, node)
        ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        await world.client.patch_status(NODES, "n", ready)
        spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
        bodies = [
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"s{i}"}, "spec": spec}
            for i in range(20)
        ]
        create = world.client.create
        await asyncio.gather(*(create(SERVICES, body, "default") for body in bodies))
        await world.idle()
        services = [await world.client.get(SERVICES, f"s{i}", "default") for i in range(20)]
        given = [s["status"]["loadBalancer"]["ingress"][0]["ip"] for s in services]
        assert len(set(given)) == 20
        assert {s["metadata"]["annotations"][ANNOUNCED_BY] for s in services} == {"n"}


async def test_at_rest_nothing_is_written(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.client.create(DEPLOYMENTS, workload("Deployment", replicas=5))
        await world.client.create(STATEFUL_SETS, workload("StatefulSet", "db", replicas=2))
        for _ in range(3):
            await world.idle()
            await make_ready(world.client)
        await world.idle()

        async def revision() -> int:
            page = await world.client.list(PODS)
            return int(page.resource_version)

        await asyncio.sleep(0.5)  # events come last
        before = await revision()
        await asyncio.sleep(1.5)
        assert await revision() == before


async def test_each_controller_is_its_own_user(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.client.create(DEPLOYMENTS, workload("Deployment", replicas=1))
        await world.idle()

        async def sources() -> bool:
            listed = (await world.client.list(EVENTS, "default")).items
            found = {each["source"]["component"] for each in listed}
            return found >= {"deployment-controller", "replicaset-controller"}

        await until(sources)


async def test_a_rollout_ends_with_new_pods_only(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        client = world.client
        await client.create(DEPLOYMENTS, workload("Deployment", replicas=4))
        await world.idle()
        await make_ready(client)
        await world.idle()
        new = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "img:2"}]}}}}
        await client.patch(DEPLOYMENTS, "web", new, "default", kind="strategic")
        for _ in range(10):
            await world.idle()
            await make_ready(client)
        images = [each["spec"]["containers"][0]["image"] for each in await pods_of(client)]
        assert images == ["img:2"] * 4
        sets = (await client.list(REPLICA_SETS, "default")).items
        assert sorted(each["spec"]["replicas"] for each in sets) == [0, 4]


async def test_a_job_is_complete_and_its_pods_are_let_go(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        client = world.client
        body = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "job", "namespace": "default"},
            "spec": {
                "completions": 2,
                "parallelism": 2,
                "template": {"spec": {**POD, "restartPolicy": "Never"}},
            },
        }
        await client.create(JOBS, body)
        await world.idle()
        for each in await pods_of(client):
            assert each["metadata"]["finalizers"] == ["batch.kubernetes.io/job-tracking"]
            name = each["metadata"]["name"]
            await client.patch_status(PODS, name, {"status": {"phase": "Succeeded"}}, "default")
        await world.idle()
        status = (await client.get(JOBS, "job", "default"))["status"]
        assert status["succeeded"] == 2
        assert "Complete" in {each["type"] for each in status["conditions"]}
        assert not any(each["metadata"].get("finalizers") for each in await pods_of(client))


async def test_a_new_set_of_controllers_goes_on_where_the_old_one_was_cut(tmp_path: Path) -> None:
    """Ended at any moment of a creation, never a pod too many."""
    async with running(tmp_path, "-*") as world:
        client = world.client
        await client.create(DEPLOYMENTS, workload("Deployment", replicas=30))
        for number in range(12):
            plane = ControlPlane(world.server.application, select(("*",)))
            await plane.start()
            await asyncio.sleep(0.002 * number)
            for loop in plane.controllers.loops:  # as a kill would: nothing is finished
                for task in loop._workers.values():
                    task.cancel()
            await plane.close()
            assert len(await pods_of(client)) <= 30
        world.plane = ControlPlane(world.server.application, select(("*",)))
        await world.plane.start()
        await world.idle()
        assert len(await pods_of(client)) == 30
        assert len((await client.list(REPLICA_SETS, "default")).items) == 1


async def test_only_chosen_controllers_run(tmp_path: Path) -> None:
    async with running(tmp_path, "*", "-replicaset-controller") as world:
        await world.client.create(DEPLOYMENTS, workload("Deployment", replicas=2))
        await world.idle()
        assert len((await world.client.list(REPLICA_SETS, "default")).items) == 1
        assert await pods_of(world.client) == []


async def test_of_two_servers_over_one_store_one_acts(tmp_path: Path) -> None:
    async with running(tmp_path, "-*") as world:
        client = world.client
        planes = [
            ControlPlane(world.server.application, select(("*",)), elect=True) for _ in range(2)
        ]

        def leading() -> list[ControlPlane]:
            return [plane for plane in planes if plane.controllers.loops]

        async def has(count: int) -> bool:
            return len(await pods_of(client)) == count

        async def is_led() -> bool:
            return bool(leading())

        await planes[0].start()
        await until(is_led)
        await planes[1].start()
        await client.create(DEPLOYMENTS, workload("Deployment", replicas=2))
        await until(lambda: has(2))
        assert leading() == [planes[0]]
        await planes[0].close()
        await client.scale(DEPLOYMENTS, "web", 5, "default")
        await until(lambda: has(5))
        assert leading() == [planes[1]]
        await planes[1].close()


# In a process of their own


@contextmanager
def process(*words: str) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, "-m", "kubelite", *words], stderr=subprocess.PIPE, text=True
    )
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=20)
        assert "Traceback" not in errors, errors


@pytest.mark.parametrize("flag", ["", "--use-service-account-credentials"])
async def test_controllers_over_https_and_their_successor(tmp_path: Path, flag: str) -> None:
    config = str(tmp_path / "config")
    where = ("--data-dir", str(tmp_path / "data"), "--port", "0", "--kubeconfig", config)
    words = ("controllers", "--kubeconfig", config, *([flag] if flag else []))
    with process("server", "--no-scheduler", "--controllers=-*", *where):
        await until(lambda: asyncio.to_thread(os.path.exists, config))
        client = Client(HttpTransport(kubeconfig.load(config)))
        try:
            await client.create(DEPLOYMENTS, workload("Deployment", replicas=2))

            async def has(count: int) -> bool:
                return len(await pods_of(client)) == count

            with process(*words):
                await until(lambda: has(2))
                lease = await client.get(LEASES, "kube-controller-manager", "kube-system")
                assert lease["spec"]["holderIdentity"]
                with process(*words) as second:
                    await asyncio.sleep(0.5)
                    await client.scale(DEPLOYMENTS, "web", 4, "default")
                    await until(lambda: has(4))
                    assert second.poll() is None
            accounts = await client.list(
                SERVICE_ACCOUNTS,
                "kube-system",
                field_selector="metadata.name=replicaset-controller",
            )
            assert bool(accounts.items) is bool(flag)
        finally:
            await client.close()


def test_unknown_controllers_and_bad_files_are_one_sentence(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    for words, sentence in (
        (("controllers", "--kubeconfig", missing), f"cannot read {missing}"),
        (("controllers", "--controllers", "x", "--kubeconfig", missing), '"x" is no controller'),
        (("server", "--controllers", "x"), '"x" is no controller'),
    ):
        answer = subprocess.run(
            [sys.executable, "-m", "kubelite", *words],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert answer.returncode != 0
        assert sentence in answer.stderr
        assert "Traceback" not in answer.stderr
