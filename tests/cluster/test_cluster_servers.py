"""Three machines, which are network namespaces here, with two API servers over one etcd. All nodes,
and kubectl, reach the servers by one name that has both addresses.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from kubelite.control.controllers.registry import FOR_OWN_NODES
from kubelite.testing.host import difference, snapshot
from kubelite.testing.netns import NetworkNamespace
from tests.cluster.test_cluster_nodes import WEB, Machine, pods, ready
from tests.cluster.world import eventually
from tests.control.debian import EtcdServer

NAME, PORT = "api.kubelite.test", 6443
SWITCH = "192.0.2.254"
NODES = {"first": "192.0.2.1", "second": "192.0.2.2", "third": "192.0.2.3"}
SERVERS = ("first", "second")
HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'
CALL_ALL = """
import sys, urllib.request
for url in sys.argv[1:]:
    print(urllib.request.urlopen(url, timeout=5).read().decode(), end="")
"""
SPREAD = "        labelSelector: {matchLabels: {app: web}}\n"
THREE = (
    (WEB % "ScheduleAnyway")
    .replace("replicas: 2", "replicas: 3")
    .replace(SPREAD, SPREAD + "        matchLabelKeys: [pod-template-hash]\n")
)
LEASE = "kube-controller-manager"


class Cloud:
    """The machines at a switch, on which etcd listens as well."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.switch = stack.enter_context(NetworkNamespace())
        self.machines: dict[str, Machine] = {}
        self.servers: dict[str, subprocess.Popen[bytes]] = {}
        self.agents: dict[str, subprocess.Popen[bytes]] = {}
        self._hosts = folder / "hosts"
        lines = [f"{NODES[name]} {NAME}\n" for name in SERVERS]
        self._hosts.write_text("127.0.0.1 localhost\n" + "".join(lines))
        for name in NODES:
            machine = Machine(folder / name, stack.enter_context(NetworkNamespace()))
            machine.root.mkdir()
            self.machines[name] = machine
        self._wire()
        with self.switch.inside():
            self.etcd = EtcdServer(folder, host=SWITCH)
            self.etcd.start()
        stack.callback(self.etcd.kill)

    def _wire(self) -> None:
        self._switch("link", "add", "switch", "type", "bridge")
        self._switch("address", "add", f"{SWITCH}/24", "dev", "switch")
        self._switch("link", "set", "switch", "up")
        for name, address in NODES.items():
            machine = self.machines[name]
            path = f"/proc/{os.getpid()}/fd/{machine.space.fd}"
            peer = ["type", "veth", "peer", "name", "eth0", "netns", path]
            self._switch("link", "add", name, *peer)
            self._switch("link", "set", name, "master", "switch")
            self._switch("link", "set", name, "up")
            machine.ip("address", "add", f"{address}/24", "dev", "eth0")
            machine.ip("link", "set", "eth0", "up")
            machine.ip("route", "add", "default", "via", SWITCH)

    def _switch(self, *words: str) -> None:
        with self.switch.inside():
            subprocess.run(["ip", *words], check=True)

    def cut(self, name: str) -> None:
        """Pulls a machine's wire out of the switch."""
        self._switch("link", "set", name, "down")

    def mend(self, name: str) -> None:
        """Puts it back."""
        self._switch("link", "set", name, "up")

    def known(self, command: list[str]) -> list[str]:
        """A command that knows the servers' name."""
        space = ["unshare", "--mount", "--propagation", "private"]
        return [*space, "sh", "-c", HOSTS, str(self._hosts), *command]

    def serve(self, name: str) -> None:
        """Starts the API server of a machine. All have the keys of the first."""
        machine = self.machines[name]
        data, config = machine.root / "server", machine.root / "config"
        if name != SERVERS[0] and not data.exists():
            keys = ["cp", "-r", str(self.machines[SERVERS[0]].root / "server"), str(data)]
            subprocess.run(keys, check=True)
        config.unlink(missing_ok=True)
        words = ["--data-dir", str(data), "--bind", "0.0.0.0", "--port", str(PORT)]
        words += ["--name", NAME, "--etcd", self.etcd.url, "--kubeconfig", str(config)]
        words += ["--controllers", ",".join(FOR_OWN_NODES)]
        self.servers[name] = self._start(name, ["server", *words])
        eventually(config.exists)

    def join(self, name: str, token: str) -> None:
        """Starts the agent of a machine. Where a server is, it has the server's keys."""
        words = ["--server", f"https://{NAME}:{PORT}", "--node-name", name, "--allow-host-image"]
        if name in SERVERS:
            data = str(self.machines[name].root / "server")
            words = ["run", "--data-dir", data, "--no-ingress", *words]
        else:
            words = ["join", "--token", token, *words]
        self.agents[name] = self._start(name, ["node", *words])

    def _start(self, name: str, words: list[str]) -> subprocess.Popen[bytes]:
        machine = self.machines[name]
        command = self.known([sys.executable, "-m", "kubelite", *words])
        with machine.space.inside(), open(machine.root / f"{words[0]}.log", "ab") as log:
            return subprocess.Popen(command, env=machine.env, stdout=log, stderr=log, cwd="/")

    def kubeconfig(self) -> Path:
        """The one kubeconfig, which leads to both servers."""
        own = self.machines[SERVERS[0]].root / "config"
        common = own.with_name("common")
        common.write_text(own.read_text().replace(NODES[SERVERS[0]], NAME))
        return common

    def logs(self) -> str:
        """The end of what each process has logged."""
        paths = [path for machine in self.machines.values() for path in machine.root.glob("*.log")]
        return "".join(f"--- {path}\n{path.read_text()[-2000:]}" for path in paths)

    def stop(self) -> None:
        """Ends every process, agents first."""
        for process in (*self.agents.values(), *self.servers.values()):
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        for machine in self.machines.values():
            machine.kl("system", "reset", "--yes", check=False)


class Admin(Machine):
    """A machine's root, with a kubectl that knows both servers by their name."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        machine = cloud.machines[name]
        super().__init__(machine.root, machine.space)
        self._kubectl = cloud.known(self._kubectl)
        self._env["KUBECONFIG"] = str(cloud.kubeconfig())


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """Two servers and three nodes; afterwards nothing of them is left."""
    before = snapshot(str(tmp_path))
    with ExitStack() as stack:
        made = Cloud(tmp_path, stack)
        try:
            for name in SERVERS:
                made.serve(name)
            config = made.machines["first"].root / "config"
            token = made.machines["first"].kl("token", "create", "--kubeconfig", str(config))
            for name in NODES:
                made.join(name, token.stdout.strip())
            yield made
        except BaseException:
            print(made.logs())
            raise
        finally:
            made.stop()
    assert difference(before, snapshot(str(tmp_path))) == []


def addresses(cluster: Admin) -> set[str]:
    """Those of the Service ``kubernetes``."""
    subsets = cluster.get("endpoints", "kubernetes")["subsets"]
    return {address["ip"] for subset in subsets for address in subset["addresses"]}


def tainted(cluster: Admin) -> bool:
    return any(node["spec"].get("taints") for node in cluster.get("nodes")["items"])


def leader(cloud: Cloud, cluster: Admin) -> str:
    """The machine whose server runs the controllers."""
    lease = cluster.get("lease", LEASE, "-n", "kube-system")
    pid = int(lease["spec"]["holderIdentity"].split("_")[1])
    return next(name for name, process in cloud.servers.items() if process.pid == pid)


def released(cluster: Admin, release: str) -> dict[str, Any]:
    """The ready pods of a release, by their node."""
    found = pods(cluster)
    env = {node: pod["spec"]["containers"][0].get("env") for node, pod in found.items()}
    return {node: pod for node, pod in found.items() if env[node] == release_env(release)}


def release_env(release: str) -> list[dict[str, str]] | None:
    return [{"name": "RELEASE", "value": release}] if release else None


def test_a_server_is_killed_in_a_rollout_and_a_machine_is_lost_and_comes_back(cloud: Cloud) -> None:
    cluster = Admin(cloud, "first")
    eventually(lambda: ready(cluster) == set(NODES) and not tainted(cluster))
    cluster.apply(THREE)
    eventually(lambda: released(cluster, "").keys() == set(NODES))
    everybody_answers(cluster)
    assert addresses(cluster) == {NODES[name] for name in SERVERS}

    killed = leader(cloud, cluster)
    cluster.kubectl("set", "env", "deploy/web", "RELEASE=2")
    cloud.servers[killed].kill()
    cloud.servers[killed].wait()
    eventually(lambda: len(released(cluster, "2")) > 0 and done(cluster), seconds=90)
    assert ready(cluster) == set(NODES)
    everybody_answers(cluster)

    cloud.cut("third")
    eventually(lambda: ready(cluster) == set(NODES) - {"third"}, seconds=90)
    eventually(lambda: released(cluster, "2").keys() == {"first", "second"} and done(cluster))
    assert addresses(cluster) == {NODES[name] for name in SERVERS if name != killed}
    cloud.serve(killed)
    cloud.mend("third")
    eventually(lambda: ready(cluster) == set(NODES), seconds=120)
    eventually(lambda: len(cluster.get("pods")["items"]) == 3 and not tainted(cluster))
    eventually(lambda: addresses(cluster) == {NODES[name] for name in SERVERS})
    cluster.kubectl("drain", "second", "--ignore-daemonsets", "--timeout=30s")
    assert "second" not in pods(cluster)


def done(cluster: Admin) -> bool:
    """Whether the Deployment is where it should be."""
    deployment = cluster.get("deploy", "web")
    status = deployment["status"]
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return seen and counts == [3, 3, 3]


def everybody_answers(cluster: Admin) -> None:
    """From every node each pod is reached, by its address and through the Service."""
    found = pods(cluster)
    names = {pod["metadata"]["name"] for pod in found.values()}
    urls = [f"http://{pod['status']['podIP']}:8080/" for pod in found.values()]
    for pod in found.values():
        call = ["exec", pod["metadata"]["name"], "--", "python3", "-c", CALL_ALL]
        told = cluster.kubectl(*call, *urls, *["http://web.default/"] * 20).stdout.split()
        assert set(told[: len(urls)]) == names
        assert set(told) == names
