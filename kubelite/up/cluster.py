"""A whole cluster on this machine: started, looked at, and taken down again."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from kubelite.client.client import Client
from kubelite.client.errors import ClientError
from kubelite.client.http import HttpTransport
from kubelite.client.kubeconfig import load
from kubelite.client.resources import NODES, PODS
from kubelite.control.api.auth.pki import Pki
from kubelite.control.controllers.registry import FOR_OWN_NODES
from kubelite.lib.files import write_atomic
from kubelite.node.kubelet.act import facts
from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.network.between.ways import RoutingMode
from kubelite.node.network.cni import Directories, name_server
from kubelite.node.network.pod import PodNetwork
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.records import API
from kubelite.node.volume.removal import remove_tree
from kubelite.up import supervisor
from kubelite.up.cluster_network import remove_network
from kubelite.up.supervisor import ClusterRecord, Directory

READY_SECONDS = 60.0
POLL_SECONDS = 0.02

Report = Callable[[str, str, float], None]
"""Told a step, a detail and its milliseconds."""


class UpOptions(NamedTuple):
    """How a cluster is to be."""

    name: str = "default"
    port: int = 6443
    kubelet_port: int = 10250
    node_name: str = ""
    bind: str = "127.0.0.1"
    allow_host_image: bool = False
    load_balancer_pool: str = ""
    ingress_ports: tuple[int, int] | None = (80, 443)
    routing_mode: RoutingMode = RoutingMode.auto
    cni: Directories | None = None


class NotUp(Exception):
    """A part of the cluster did not come up; the message says which, and where its log is."""


def directory_of(home: Home, name: str) -> Directory:
    """Where the cluster ``name`` of a state root keeps its files."""
    return Directory(os.path.join(home.root, "cluster", name))


def up(home: Home, options: UpOptions, report: Report) -> Directory:
    """Brings the cluster up and returns when its node is ready; one that is up is left as it is.

    Raises NotUp, OSError.
    """
    directory = directory_of(home, options.name)
    began = time.perf_counter()
    is_new = supervisor.read_cluster(directory) is None
    if is_new:
        home.make()
        data = f"{directory.path}/server"
        os.makedirs(data, 0o700, exist_ok=True)
        Pki(f"{data}/pki")  # the directory: whoever of server and node is first makes the keys
        if os.path.exists(directory.kubeconfig):
            os.unlink(directory.kubeconfig)
        supervisor.start_supervisor(
            directory, options.port, process_commands(home, directory, options)
        )
    deadline = time.monotonic() + READY_SECONDS
    while not _has_kubeconfig(directory):
        _wait(directory, "server", deadline)
    report("server", "API ready", _milliseconds(began))
    asyncio.run(_until_ready(directory, options.node_name or facts.node_name(), deadline))
    report("node", "Ready", _milliseconds(began))
    if is_new:
        write_atomic(directory.boot, f"{_milliseconds(began):.1f}".encode(), durable=False)
    return directory


def down(home: Home, name: str, report: Report, *, keep_pods: bool, delete: bool) -> bool:
    """Ends the cluster's processes and removes its pods and tables from this machine; with
    ``delete`` its objects, keys and volumes too. False where there is nothing of it. Raises NotUp.
    """
    directory = directory_of(home, name)
    began = time.perf_counter()
    try:
        was_up = supervisor.stop_cluster(directory)
    except TimeoutError as error:
        raise NotUp(str(error)) from error
    if was_up:
        report("processes", "ended", _milliseconds(began))
    if not keep_pods:
        count = _remove_pods(home)
        name_server.leave(home.run)
        remove_network(home.key)
        PodNetwork(home.run, home.key, home.lock).leave()
        report("pods", f"{count} removed", _milliseconds(began))
    existed = os.path.isdir(directory.path)
    if delete and existed:
        shutil.rmtree(directory.path)
        if left := remove_tree(home.volumes):
            raise NotUp(str(left[0]))
        report("objects", "deleted", _milliseconds(began))
    return was_up or (delete and existed)


class Status(NamedTuple):
    """What runs of a cluster; ``nodes`` and ``pods`` are counts, or -1 without an answer. ``ways``
    counts the other nodes by how packets travel to their pods.
    """

    record: ClusterRecord | None
    is_ready: bool
    ready_nodes: int
    nodes: int
    pods: Mapping[str, int]
    problems: tuple[str, ...]
    ways: Mapping[str, int] = {}


def status(home: Home, name: str) -> Status:
    """Looks at the processes, and asks the API server."""
    directory = directory_of(home, name)
    record = supervisor.read_cluster(directory)
    if record is None:
        return Status(None, False, 0, 0, {}, ())
    problems = [
        f"{child.name} is not running; its log is {directory.log(child.name)}"
        for child in record.children
        if not supervisor.is_alive(child.pid, child.ticks)
    ]
    try:
        nodes, pods = asyncio.run(_ask(directory))
    except (ClientError, OSError, TimeoutError) as error:
        return Status(record, False, 0, 0, {}, (*problems, f"the API server: {error}"))
    ready = sum(map(is_ready, nodes))
    phases: dict[str, int] = {}
    for pod in pods:
        phase = (pod.get("status") or {}).get("phase", "Unknown")
        phases[phase] = phases.get(phase, 0) + 1
    ways = Counter(
        str(way.kind) for way in PodNetwork(home.run, home.key, home.lock).ways().ways.values()
    )
    return Status(record, True, ready, len(nodes), phases, tuple(problems), ways)


def is_ready(node: Mapping[str, Any]) -> bool:
    """Whether a Node's Ready condition is True."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def process_commands(home: Home, directory: Directory, options: UpOptions) -> dict[str, list[str]]:
    """The command lines of a cluster's processes, in the order in which they are started."""
    kubelite = [sys.executable, "-m", "kubelite", "--root", home.root]
    data = f"{directory.path}/server"
    server = ["server", "--data-dir", data, "--port", str(options.port), "--bind", options.bind]
    server += ["--kubeconfig", directory.kubeconfig, "--metrics"]
    server += ["--controllers", ",".join(FOR_OWN_NODES)]
    if options.load_balancer_pool:
        server += ["--load-balancer-pool", options.load_balancer_pool]
    node = ["node", "run", "--data-dir", data, "--port", str(options.kubelet_port)]
    node += ["--server", f"https://127.0.0.1:{options.port}"]
    if options.node_name:
        node += ["--node-name", options.node_name]
    if options.allow_host_image:
        node.append("--allow-host-image")
    if options.routing_mode is not RoutingMode.auto:
        node += ["--routing-mode", options.routing_mode]
    if options.cni is not None:
        node += ["--cni-conf-dir", options.cni.conf, "--cni-bin-dir", options.cni.bin]
    if options.ingress_ports is None:
        server.append("--no-ingress")
        node.append("--no-ingress")
    else:
        port, tls_port = map(str, options.ingress_ports)
        node += ["--ingress-port", port, "--ingress-tls-port", tls_port]
    return {"server": [*kubelite, *server], supervisor.NODE: [*kubelite, *node]}


def _has_kubeconfig(directory: Directory) -> bool:
    try:
        return os.path.getsize(directory.kubeconfig) > 0
    except FileNotFoundError:
        return False


async def _until_ready(directory: Directory, name: str, deadline: float) -> None:
    client = Client(HttpTransport(load(directory.kubeconfig)))
    try:
        while True:
            try:
                if is_ready(await client.get(NODES, name)):
                    return
            except (ClientError, OSError):
                pass  # not registered yet
            _wait(directory, "node", deadline, seconds=0)
            await asyncio.sleep(POLL_SECONDS)
    finally:
        await client.close()


async def _ask(directory: Directory) -> tuple[list[Any], list[Any]]:
    client = Client(HttpTransport(load(directory.kubeconfig)))
    try:
        async with asyncio.timeout(5):
            nodes = await client.list(NODES)
            pods = await client.list(PODS)
    finally:
        await client.close()
    return nodes.items, pods.items


def _wait(directory: Directory, part: str, deadline: float, seconds: float = POLL_SECONDS) -> None:
    """Waits a moment. Raises NotUp when a part has ended three times, or takes too long."""
    record = supervisor.read_cluster(directory)
    failed = [child for child in record.children if child.restarts > 2] if record else []
    if failed or time.monotonic() > deadline:
        name = failed[0].name if failed else part
        raise NotUp(f"the {name} does not come up: {_last_line(directory.log(name))}")
    time.sleep(seconds)


def _last_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
    except OSError:
        lines = []
    return f"{lines[-1] if lines else 'no message'} (log: {path})"


def _remove_pods(home: Home) -> int:
    """Removes the pods that came through the API, without waiting for their grace."""
    pods, records = Pods(home), Ledger(home).pods()
    of_cluster = [record for record in records if record.origin == API]
    for record in of_cluster:
        pods.down(record.namespace, record.name, grace=0, report=lambda step: None)
    return len(of_cluster)


def _milliseconds(began: float) -> float:
    return (time.perf_counter() - began) * 1000
