"""python bench/cluster.py [--rounds N] [--idle SECONDS] [--json FILE]: how fast a whole cluster is.

Starts `kubelite up` on a new directory and again on the same one, then creates pods through the API
and watches them run, and looks at the processes while nothing happens. Beside the figures stand a
floor of the same run (Python with the libraries of a server; the same pod by the same engine
without a cluster) and a real Kubernetes 1.20 on a machine of this kind. Needs root; works in a
network namespace of its own.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clustering.report import BOOT_FLOOR, POD_FLOOR, as_json, as_table
from holding.home import Home

from kubelite.client.client import Client, Selection
from kubelite.client.errors import AlreadyExists
from kubelite.client.http import HttpTransport
from kubelite.client.informers import Informer, Informers
from kubelite.client.kubeconfig import load
from kubelite.client.resources import DEPLOYMENTS, PODS
from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.runtime.home import Home as StateRoot
from kubelite.objects.pod import codec
from kubelite.objects.pod.pod import Pod
from kubelite.objects.rules.pods import defaults
from kubelite.testing.netns import NetworkNamespace

API_PORT, KUBELET_PORT = 36443, 36250
LIBRARIES = "import aiohttp.web, asyncio, msgspec, sqlite3, ssl"
IDLE_PODS, PATIENCE = 10, 120.0
Labels = dict[str, str]


def spec() -> dict[str, Any]:
    container = {"name": "a", "image": "host", "command": ["sleep", "86400"]}
    return {"containers": [container], "terminationGracePeriodSeconds": 0}


def pod(name: str, group: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"group": group}}, "spec": spec()}


def deployment(replicas: int) -> dict[str, Any]:
    labels = {"group": "deployed"}
    template = {"metadata": {"labels": labels}, "spec": spec()}
    return {
        "metadata": {"name": "deployed"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


class Cluster:
    """A cluster in a home of its own."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.directory = Path(home.root) / "cluster" / "default"
        self.kubeconfig = str(self.directory / "kubeconfig")

    def up(self) -> dict[str, float]:
        """Milliseconds from the command's start until the API answers, the node is ready and a
        first pod runs.
        """
        ports = ["--port", str(API_PORT), "--kubelet-port", str(KUBELET_PORT), "--no-ingress"]
        command = [sys.executable, "-m", "kubelite", "up", "--allow-host-image", *ports]
        Path(self.kubeconfig).unlink(missing_ok=True)
        began = time.perf_counter()
        with subprocess.Popen(command, env=self.home.env, stdout=-3, stderr=-3) as process:
            _until(self._answers)
            figures = {"API ready": _since(began)}
            if process.wait():
                raise SystemExit("bench/cluster: the cluster does not come up")
        figures["node Ready"] = _since(began)
        asyncio.run(self.run_pods(["first"], "first"))
        figures["first pod Running"] = _since(began)
        return figures

    def down(self) -> None:
        self.home.kl("down")

    def _answers(self) -> bool:
        """Whether the server has said that it is ready, which writes its kubeconfig. A request at
        every look would take the processor from what is measured.
        """
        path = Path(self.kubeconfig)
        return path.exists() and path.stat().st_size > 0

    async def run_pods(self, names: list[str], group: str) -> float:
        """Milliseconds until all of these new pods run."""
        async with self._pods(group) as (client, informer):
            began = time.perf_counter()
            await asyncio.gather(*(self._create(client, name, group) for name in names))
            await _count(informer, len(names))
            return _since(began)

    async def _create(self, client: Client, name: str, group: str) -> None:
        """The account of a new namespace may not be there yet."""
        while True:
            try:
                await client.create(PODS, pod(name, group), "default")
            except AlreadyExists:
                return
            except Exception as error:
                if "serviceaccount" not in str(error):
                    raise
                await asyncio.sleep(0.005)
            else:
                return

    async def deploy(self, replicas: int) -> float:
        """Milliseconds until a new Deployment is available."""
        async with self._pods("deployed") as (client, informer):
            began = time.perf_counter()
            await client.create(DEPLOYMENTS, deployment(replicas), "default")
            await _count(informer, replicas)
            milliseconds = _since(began)
            await client.delete(DEPLOYMENTS, "deployed", "default")
            await _count(informer, 0)
            return milliseconds

    async def remove(self, group: str) -> None:
        """Deletes the pods of a group, and returns when they are gone."""
        async with self._pods(group) as (client, informer):
            await client.delete_collection(PODS, Selection("default", f"group={group}"))
            await _count(informer, 0)

    def _pods(self, group: str) -> "Watched":
        return Watched(self.kubeconfig, group)

    def processes(self) -> list[int]:
        """The pids of server and node."""
        record = json.loads((self.directory / "supervisor.json").read_text().splitlines()[0])
        return [int(child["pid"]) for child in record["children"]]


class Watched:
    """A client, and an informer of the pods of one group."""

    def __init__(self, kubeconfig: str, group: str) -> None:
        self._client = Client(HttpTransport(load(kubeconfig)))
        self._informers = Informers(self._client)
        self._selection = Selection("default", f"group={group}")

    async def __aenter__(self) -> tuple[Client, Informer]:
        informer = self._informers.of(PODS, self._selection)
        await informer.wait_synced()
        return self._client, informer

    async def __aexit__(self, *_: object) -> None:
        await self._informers.close()
        await self._client.close()


async def _count(informer: Informer, count: int) -> None:
    """Returns when exactly so many pods are there and all run."""
    changed = asyncio.Event()
    informer.add_handler(lambda old, new: changed.set())
    async with asyncio.timeout(PATIENCE):
        while True:
            phases = [(each.get("status") or {}).get("phase") for each in informer.list()]
            if len(phases) == count and set(phases) <= {"Running"}:
                return
            changed.clear()
            await changed.wait()


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit("bench/cluster: the API does not answer")
        time.sleep(0.005)


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


def library_floor() -> float:
    """Milliseconds of a Python that imports what any such server needs."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", LIBRARIES], check=True)
    return _since(began)


def pod_floor(home: Home, name: str) -> float:
    """Milliseconds of the engine for the same pod, without API and processes in between."""
    document = {"apiVersion": "v1", "kind": "Pod", **pod(name, "floor")}
    defaults.pod(document, "default")
    pods, typed = Pods(StateRoot(home.root)), codec.decode(Pod, document)
    began = time.perf_counter()
    pods.up(typed, report=lambda step: None)
    milliseconds = _since(began)
    pods.down("default", name, grace=0, report=lambda step: None)
    return milliseconds


def memory(pids: list[int]) -> float:
    """Megabytes: the proportional share of every page."""
    total = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def processor(pids: list[int]) -> float:
    """Seconds that the processes have worked."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def written(pids: list[int]) -> int:
    """Bytes that the processes have caused to be written to disks."""
    tables = (Path(f"/proc/{pid}/io").read_text() for pid in pids)
    return sum(int(text.split("\nwrite_bytes: ")[1].split()[0]) for text in tables)


def idle(cluster: Cluster, seconds: float) -> dict[str, float]:
    """What server and node use while nothing happens."""
    time.sleep(3)  # what the pods before have caused is over
    pids = cluster.processes()
    worked, bytes_before = processor(pids), written(pids)
    time.sleep(seconds)
    return {
        "memory of server and node, idle with 10 pods": memory(pids),
        "processor, idle with 10 pods": 100 * (processor(pids) - worked) / seconds,
        "written to disk, idle with 10 pods": float(written(pids) - bytes_before),
    }


def measure(rounds: int, seconds: float) -> dict[str, float]:
    home = Home()
    cluster = Cluster(home)
    boots, libraries = [], []
    try:
        figures = {"API ready, first start": cluster.up()["API ready"]}
        for _ in range(rounds):
            asyncio.run(cluster.remove("first"))
            cluster.down()
            libraries.append(library_floor())
            boots.append(cluster.up())
        figures |= {name: statistics.median(boot[name] for boot in boots) for name in boots[0]}
        figures[BOOT_FLOOR] = statistics.median(libraries)
        singles, floors = [], []
        for number in range(20):
            singles.append(asyncio.run(cluster.run_pods([f"one-{number}"], f"one-{number}")))
            floors.append(pod_floor(home, f"floor-{number}"))
            asyncio.run(cluster.remove(f"one-{number}"))
        figures["pod created to Running, median"] = statistics.median(singles)
        figures[POD_FLOOR] = statistics.median(floors)
        names = [f"many-{number}" for number in range(30)]
        figures["30 pods at once, all Running"] = asyncio.run(cluster.run_pods(names, "many"))
        asyncio.run(cluster.remove("many"))
        figures["Deployment of 20 Available"] = asyncio.run(cluster.deploy(20))
        asyncio.run(cluster.run_pods([f"idle-{number}" for number in range(IDLE_PODS - 1)], "idle"))
        return figures | idle(cluster, seconds)
    finally:
        home.kl("down", "--delete")
        home.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=float, default=60)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with NetworkNamespace() as space:
        space.enter()  # other clusters of this machine would ask this one's name server
        figures = measure(options.rounds, options.idle)
    print(as_table(figures))
    if options.json:
        options.json.write_text(json.dumps(as_json(figures), indent=2) + "\n")


if __name__ == "__main__":
    main()
