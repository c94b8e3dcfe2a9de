"""kill -9 of servers with all their controllers while a Deployment changes: it always comes to the
pods that it asks for, and of two servers over one etcd exactly one acts at a time.

KUBELITE_LEADER_KILLS says how often; ``make leader-kills`` does it a hundred times.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from kubelite.client.client import Client
from kubelite.client.errors import ClientError
from kubelite.client.http import HttpTransport
from kubelite.client.kubeconfig import load
from kubelite.client.resources import DEPLOYMENTS, LEASES, NODES, PODS
from kubelite.control.controllers.shared.meta import format_time
from kubelite.control.controllers.shared.pod_state import is_active
from tests.control.api.server.test_api_crash import Process
from tests.control.debian import etcd_server

KILLS = int(os.environ.get("KUBELITE_LEADER_KILLS", "1"))
CONVERGED_SECONDS = 90.0
LEASE_OF = {"kube-controller-manager": ":kube-system:", "kube-scheduler": "kube-scheduler"}
"""The Leases, and by what the users are known who may write only under them."""
WRITES = ("create", "update", "patch", "delete")


class Server(Process):
    """A server with everything, its audit log, and when it was killed."""

    def __init__(self, folder: Path, name: str, *more: str) -> None:
        self.log = folder / f"audit-{name}"
        audit = ("--audit-log", str(self.log))
        super().__init__(folder, *more, *audit, parts=("--no-node",))
        self.name = name
        self.kubeconfig = folder / f"config-{self.port}"
        self.killed: list[float] = []

    def kill(self) -> None:
        super().kill()
        self.killed.append(time.time())

    def client(self) -> Client:
        return Client(HttpTransport(load(str(self.kubeconfig))))


class Request(NamedTuple):
    """A line of an audit log. ``process`` tells apart what is killed and what is started after."""

    time: float
    process: str
    user: str
    verb: str
    resource: str
    name: str


def requests(server: Server) -> Iterator[Request]:
    """What the log of a server says was carried out."""
    for line in server.log.read_text().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # the line at which the server was killed
        begun = datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp()
        if event.get("responseStatus", {}).get("code", 500) >= 300:
            continue
        life = sum(killed < begun for killed in server.killed)
        place = event.get("objectRef", {})
        yield Request(
            begun,
            f"{server.name}{life}",
            event["user"]["username"],
            event["verb"],
            place.get("resource", ""),
            place.get("name", ""),
        )


def is_claim(request: Request, lease: str) -> bool:
    """Whether this takes the Lease, or keeps it."""
    is_write = request.verb in WRITES and request.resource == "leases"
    return is_write and request.user == f"system:{lease}"


def without_lease(log: Sequence[Request], lease: str) -> list[Request]:
    """The writes that were made by a process that did not hold the Lease."""
    holder, wrong = "", []
    for request in sorted(log):
        if is_claim(request, lease):
            holder = request.process
        elif (
            request.verb in WRITES and LEASE_OF[lease] in request.user and request.process != holder
        ):
            wrong.append(request)
    return wrong


def test_a_write_of_one_that_does_not_lead_is_noticed() -> None:
    lease, user = "kube-controller-manager", "system:serviceaccount:kube-system:job-controller"
    log = [
        Request(1, "s0", f"system:{lease}", "create", "leases", ""),
        Request(2, "s0", user, "create", "pods", ""),
        Request(3, "t0", f"system:{lease}", "update", "leases", lease),
        Request(4, "t0", user, "delete", "pods", "p"),
        Request(5, "s0", user, "list", "pods", ""),
    ]
    assert without_lease(log, lease) == []
    late = Request(6, "s0", user, "delete", "pods", "p")
    assert without_lease([late, *log], lease) == [late]


async def eventually(check: Any) -> None:
    ends = time.monotonic() + CONVERGED_SECONDS
    while True:
        try:
            if await check():
                return
        except ClientError:
            pass
        assert time.monotonic() < ends, f"never true: {check}"
        await asyncio.sleep(0.1)


async def report_nodes(client: Client) -> None:
    """What two kubelets say of themselves."""
    for name in ("a", "b"):
        stamp = format_time(time.time())
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        ready |= {"lastHeartbeatTime": stamp, "lastTransitionTime": stamp}
        amounts = {"cpu": "64", "memory": "64Gi", "pods": "500"}
        status = {"conditions": [ready], "capacity": amounts, "allocatable": amounts}
        await client.patch_status(NODES, name, {"status": status}, kind="strategic")


def deployment(replicas: int, image: int) -> dict[str, Any]:
    labels = {"app": "web"}
    containers = [{"name": "c", "image": f"img:{image}"}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "Recreate"},
            "template": template,
        },
    }


async def has_converged(client: Client, replicas: int, image: int) -> bool:
    """Whether there are these pods and no others, all with a node. Pods go as kubelets let them."""
    await report_nodes(client)
    pods = (await client.list(PODS, "default")).items
    for pod in pods:
        if not is_active(pod):
            await client.delete(PODS, pod["metadata"]["name"], "default", grace_seconds=0)
    images = [pod["spec"]["containers"][0]["image"] for pod in pods]
    return images == [f"img:{image}"] * replicas and all(p["spec"].get("nodeName") for p in pods)


async def kill_under_churn(servers: Sequence[Server], kills: int) -> None:
    """Kills a server in the middle of each change, and waits for what the change asks for."""
    chance = random.Random(1)
    client = servers[0].client()
    for name in ("a", "b"):
        await client.create(NODES, {"metadata": {"name": name}})
    await client.close()
    for number in range(kills):
        victim = servers[0] if number == 0 else chance.choice(servers)
        wanted = chance.randrange(1, 30), number
        client = servers[-1].client() if victim is servers[0] else servers[0].client()
        await client.apply(DEPLOYMENTS, deployment(*wanted), field_manager="user", force=True)
        await asyncio.sleep(chance.random() * 0.2)
        victim.kill()
        victim.start()
        await eventually(lambda client=client, wanted=wanted: has_converged(client, *wanted))
        await client.close()


async def test_killed_with_its_controllers_over_a_file(tmp_path: Path) -> None:
    server = Server(tmp_path, "s")
    server.start()
    try:
        await kill_under_churn([server], KILLS)
    finally:
        server.stop()


async def test_of_two_servers_that_are_killed_one_acts(tmp_path: Path) -> None:
    with etcd_server(tmp_path) as etcd:
        servers = [Server(tmp_path, name, "--etcd", etcd.url) for name in ("s", "t")]
        try:
            servers[0].start()
            client = servers[0].client()

            async def is_led() -> bool:
                return all([await client.get(LEASES, name, "kube-system") for name in LEASE_OF])

            await eventually(is_led)
            servers[1].start()
            await client.close()
            await kill_under_churn(servers, KILLS)
        finally:
            for server in servers:
                server.stop()
        log = [request for server in servers for request in requests(server)]
        for lease in LEASE_OF:
            holders = {r.process for r in log if is_claim(r, lease)}
            assert len(holders) > 1, "nobody took over"
            assert without_lease(log, lease) == []


SECONDS = 120 + 2 * CONVERGED_SECONDS * KILLS
test_killed_with_its_controllers_over_a_file.seconds = SECONDS  # type: ignore[attr-defined]
test_of_two_servers_that_are_killed_one_acts.seconds = SECONDS  # type: ignore[attr-defined]
