"""Server, node agent or both killed at random moments while pods come and go: what runs lives on,
and everything converges. ``make cluster-kills`` does it a hundred times.
"""

from __future__ import annotations

import asyncio
import collections
import json
import os
import random
import signal
import threading
import time
from typing import Any

from kubelite.client.client import Client
from kubelite.client.errors import ClientError, NotFound
from kubelite.client.http import HttpTransport
from kubelite.client.kubeconfig import load
from kubelite.client.resources import DEPLOYMENTS, NODES, PODS
from tests.cluster.world import Cluster, eventually

KILLS = int(os.environ.get("KUBELITE_CLUSTER_KILLS", "3"))
SEED = int(os.environ.get("KUBELITE_SEED", "1"))
RESTART_SECONDS, PAUSE_SECONDS = 60.0, 1.5
CONVERGED_SECONDS = 120.0
CALM_SHARE = 0.7
"""So many kills wait until the cluster serves again; the others meet it while it starts."""
KEPT = 3
Names = tuple[str, ...]


def pod(name: str, kind: str) -> dict[str, Any]:
    container = {"name": "a", "image": "host", "command": ["sleep", "86400"]}
    return {
        "metadata": {"name": name, "labels": {"kind": kind}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }


def deployment(replicas: int) -> dict[str, Any]:
    labels = {"kind": "deployed"}
    template = pod("", "deployed")
    del template["metadata"]["name"]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "deployed", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


class Churn:
    """Creates and deletes pods and scales a Deployment until it is told to stop; refusals and a
    server that is gone are part of it.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._access = load(cluster.kubeconfig)
        self._stop = threading.Event()
        self._random = random.Random(SEED)
        self.done: collections.Counter[str] = collections.Counter()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    @property
    def accepted(self) -> int:
        """How many steps the API server has carried out."""
        return sum(self.done[what] for what in ("create", "delete", "scale"))

    def __enter__(self) -> Churn:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _run(self) -> None:
        client = Client(HttpTransport(self._access))
        while not self._stop.is_set():
            try:
                self.done[await self._step(client)] += 1
            except (ClientError, OSError) as error:
                self.done[f"refused: {type(error).__name__}"] += 1
            await asyncio.sleep(0.1)
        await client.close()

    async def _step(self, client: Client) -> str:
        what = self._random.choice(("create", "create", "delete", "scale"))
        name = f"churn-{self._random.randrange(8)}"
        if what == "create":
            await client.create(PODS, pod(name, "churn"), "default")
        elif what == "delete":
            await client.delete(PODS, name, "default")
        else:
            body = deployment(self._random.randrange(1, 5))
            await client.apply(DEPLOYMENTS, body, field_manager="churn", force=True)
        return what


def kill(cluster: Cluster, names: Names) -> None:
    """Kills processes of the cluster, and returns when they have been started again."""
    before = {name: cluster.child(name) for name in names}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    eventually(
        lambda: all(cluster.child(name) not in (0, pid) for name, pid in before.items()),
        seconds=RESTART_SECONDS,
    )


def containers(cluster: Cluster) -> dict[str, tuple[str, int, str]]:
    """Of the pods that nobody touches: the container, its restarts, and its first process."""
    found = {}
    for item in cluster.get("pods", "-l", "kind=kept")["items"]:
        name = item["metadata"]["name"]
        status = item["status"]["containerStatuses"][0]
        (process,) = cluster.kl("pod", "top", name).stdout.splitlines()[1:]
        found[name] = status["containerID"], status["restartCount"], process.split()[1]
    return found


def is_settled(cluster: Cluster, wanted: int) -> bool:
    """Whether every pod runs that should, and no other is left."""
    items = cluster.get("pods")["items"]
    ready = cluster.get("deploy", "deployed")["status"].get("readyReplicas")
    return ready == wanted and all(
        item["status"]["phase"] == "Running" and not item["metadata"].get("deletionTimestamp")
        for item in items
    )


def test_server_and_agent_killed_at_random_under_churn(cluster):
    cluster.kubectl("taint", "nodes", "--all", "node.kubernetes.io/not-ready-", check=False)
    asyncio.run(_create_kept(cluster))
    eventually(lambda: len(containers(cluster)) == KEPT)
    before, chance = containers(cluster), random.Random(SEED)
    killed: collections.Counter[Names] = collections.Counter()
    with Churn(cluster) as churn:
        for _ in range(KILLS):
            names = chance.choice((("server",), ("node",), ("server", "node")))
            kill(cluster, names)
            killed[names] += 1
            if chance.random() < CALM_SHARE:
                done = churn.accepted
                eventually(lambda done=done: churn.accepted > done, seconds=RESTART_SECONDS)
            time.sleep(chance.random() * PAUSE_SECONDS)  # the moment of the next kill is arbitrary
    began = time.monotonic()
    eventually(lambda: cluster.kubectl("get", "nodes", check=False).returncode == 0)
    cluster.apply(_scaled(2))
    eventually(lambda: is_settled(cluster, 2), seconds=CONVERGED_SECONDS)
    print(f"killed {dict(killed)}, churn {dict(churn.done)}")
    print(f"converged {time.monotonic() - began:.1f} s after the last kill")
    assert containers(cluster) == before
    asyncio.run(_delete_all(cluster))
    eventually(lambda: not cluster.get("pods")["items"], seconds=CONVERGED_SECONDS)
    assert cluster.kl("pod", "ls", "-A", "-o", "name").stdout == ""
    leases = cluster.get("leases", "-n", "kube-node-lease")["items"]
    assert len(leases) == 1


def _scaled(replicas: int) -> str:
    return json.dumps(deployment(replicas))


async def _create_kept(cluster: Cluster) -> None:
    client = Client(HttpTransport(load(cluster.kubeconfig)))
    for number in range(KEPT):
        await client.create(PODS, pod(f"kept-{number}", "kept"), "default")
    await client.close()


async def _delete_all(cluster: Cluster) -> None:
    client = Client(HttpTransport(load(cluster.kubeconfig)))
    await client.delete(DEPLOYMENTS, "deployed", "default")
    for item in (await client.list(PODS)).items:
        try:
            await client.delete(PODS, item["metadata"]["name"], "default")
        except NotFound:
            continue
    assert (await client.list(NODES)).items
    await client.close()
