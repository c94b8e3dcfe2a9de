"""Two machines, which are network namespaces here: one has the cluster, the other joins it. They
are on one wire, or have a router between them that knows nothing of pods.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kubelite.testing.host import difference, snapshot
from kubelite.testing.netns import NetworkNamespace
from tests.cluster.world import PATIENCE, Cluster, eventually

FIRST, SECOND = "192.0.2.1", "192.0.2.2"
FAR, GATEWAYS = "198.51.100.2", ("192.0.2.254", "198.51.100.254")
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: kubernetes.io/hostname
        whenUnsatisfiable: %s
        labelSelector: {matchLabels: {app: web}}
      tolerations:
      - key: node.kubernetes.io/unreachable
        operator: Exists
        effect: NoExecute
        tolerationSeconds: 1
      containers:
      - name: a
        image: host
        command:
        - sh
        - -c
        - mkdir -p /w && cd /w && hostname > index.html && exec python3 -m http.server 8080
        readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""
CALL = """
import sys, urllib.request
for _ in range(int(sys.argv[2])):
    print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode(), end="")
"""

DUAL_STACK = """
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: ipv6}
spec: {cidrs: ["fd00:10:96::/112"]}
---
"""
WEB_OF_BOTH_FAMILIES = (
    WEB.replace("http.server 8080", "http.server 8080 --bind '::'")
    .replace("> index.html", "> index.html && head -c 200000 /dev/zero > large")
    .replace(
        "{selector: {app: web}, ports",
        "{ipFamilyPolicy: RequireDualStack, selector: {app: web}, ports",
    )
)
CALL_EACH = """
import sys, urllib.request
for address in sys.argv[1:]:
    is_service = address.startswith(("10.96.", "fd00:"))
    host = f"[{address}]" if ":" in address else address
    url = f"http://{host}:{80 if is_service else 8080}"
    for _ in range(10 if is_service else 1):
        assert len(urllib.request.urlopen(url + "/large", timeout=5).read()) == 200000
        print(urllib.request.urlopen(url, timeout=5).read().decode())
"""


class Machine(Cluster):
    """A root whose processes all run in a network namespace of their own."""

    def __init__(self, root: Path, space: NetworkNamespace) -> None:
        super().__init__(root)
        self.space = space

    def kl(self, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
        with self.space.inside():
            return super().kl(*args, **options)

    def kubectl(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        with self.space.inside():
            return super().kubectl(*words, **options)

    def ip(self, *words: str) -> str:
        """Runs ip(8)."""
        with self.space.inside():
            done = subprocess.run(["ip", *words], capture_output=True, text=True, check=True)
        return done.stdout


class TwoMachines:
    """The first machine with a cluster, and the second, connected by a wire."""

    def __init__(self, first: Machine, second: Machine) -> None:
        self.first, self.second = first, second
        self.kubelet: subprocess.Popen[bytes] | None = None

    def join(self, *options: str) -> None:
        """The second machine joins; its agent runs until :meth:`leave`."""
        log = open(self.second.root / "node.log", "ab")  # noqa: SIM115
        command = [sys.executable, "-m", "kubelite", "node", "join", "--allow-host-image", *options]
        with self.second.space.inside(), log:
            self.kubelet = subprocess.Popen(
                command, env=self.second.env, stdout=log, stderr=log, cwd="/"
            )

    def leave(self, number: int = signal.SIGTERM) -> None:
        """Ends the agent of the second machine."""
        if self.kubelet is not None:
            self.kubelet.send_signal(number)
            self.kubelet.wait(20)
            self.kubelet = None

    def joined(self) -> None:
        """Joins with a token, and waits until both nodes are ready."""
        token = self.first.kl("token", "create").stdout.strip()
        server = f"https://{FIRST}:{self.first.ports[0]}"
        self.join("--server", server, "--token", token, "--node-name", "second")
        eventually(lambda: ready(self.first) == {"first", "second"})
        self.first.kubectl("taint", "nodes", "--all", "node.kubernetes.io/not-ready-", check=False)


def ready(cluster: Cluster) -> set[str]:
    nodes = cluster.get("nodes")["items"]
    return {
        node["metadata"]["name"]
        for node in nodes
        if any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])
    }


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[TwoMachines]:
    """Two machines on one wire."""
    with _two_machines(tmp_path, _wire) as both:
        yield both


@pytest.fixture
def machines_apart(tmp_path: Path) -> Iterator[TwoMachines]:
    """Two machines with a router between them."""
    with NetworkNamespace() as router, _two_machines(tmp_path, partial(_route, router)) as both:
        yield both


@contextmanager
def _two_machines(
    tmp_path: Path, connect: Callable[[Machine, Machine], None]
) -> Iterator[TwoMachines]:
    """Afterwards nothing of them is left."""
    if os.geteuid() != 0:
        pytest.skip("pods need root")
    before = snapshot(str(tmp_path))
    with ExitStack() as stack:
        spaces = [stack.enter_context(NetworkNamespace()) for _ in range(2)]
        first, second = (
            Machine(tmp_path / name, space)
            for name, space in zip(("first", "second"), spaces, strict=True)
        )
        second.root.mkdir(exist_ok=True)
        connect(first, second)
        both = TwoMachines(first, second)
        try:
            first.up("--bind", "0.0.0.0", "--node-name", "first")
            yield both
        except BaseException:
            print(first.logs_of_processes(), (second.root / "node.log").read_text()[-3000:])
            raise
        finally:
            both.leave()
            first.kl("down", check=False)
            for machine in (second, first):
                machine.kl("system", "reset", "--yes", check=False)
        for machine in (first, second):
            assert "kl-" not in machine.ip("link")
            assert "10.2" not in machine.ip("route")
    assert difference(before, snapshot(str(tmp_path))) == []


def _wire(first: Machine, second: Machine) -> None:
    """An Ethernet wire; each machine's default route leads to the other."""
    path = f"/proc/{os.getpid()}/fd/{second.space.fd}"
    first.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", path)
    for machine, own, other in ((first, FIRST, SECOND), (second, SECOND, FIRST)):
        machine.ip("address", "add", f"{own}/24", "dev", "eth0")
        machine.ip("link", "set", "eth0", "up")
        machine.ip("route", "add", "default", "via", other)


def _route(router: NetworkNamespace, first: Machine, second: Machine) -> None:
    """A router with an address on a wire to each machine, which has its default route there."""
    path = f"/proc/{os.getpid()}/fd/{router.fd}"
    ends = zip((first, second), (FIRST, FAR), GATEWAYS, strict=True)
    for number, (machine, own, gateway) in enumerate(ends):
        port = f"wire{number}"
        machine.ip("link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", path)
        machine.ip("address", "add", f"{own}/24", "dev", "eth0")
        machine.ip("link", "set", "eth0", "up")
        with router.inside():
            subprocess.run(["ip", "address", "add", f"{gateway}/24", "dev", port], check=True)
            subprocess.run(["ip", "link", "set", port, "up"], check=True)
        machine.ip("route", "add", "default", "via", gateway)
    with router.inside():
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def pods(cluster: Cluster) -> dict[str, Any]:
    """The running pods of the deployment by their node."""
    items = cluster.get("pods", "-l", "app=web")["items"]
    live = (pod for pod in items if not pod["metadata"].get("deletionTimestamp"))
    return {
        pod["spec"]["nodeName"]: pod
        for pod in live
        if any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"]["conditions"])
    }


def test_pods_of_two_machines_reach_each_other(machines):
    machines.joined()
    cluster = machines.first
    cluster.apply(WEB % "DoNotSchedule")
    eventually(lambda: pods(cluster).keys() == {"first", "second"})
    found = pods(cluster)
    ranges = {n["metadata"]["name"]: n["spec"]["podCIDR"] for n in cluster.get("nodes")["items"]}
    assert ranges["first"] != ranges["second"]
    machines.first.ip("link", "set", "eth0", "down")
    assert ranges["second"] not in machines.first.ip("route")
    machines.first.ip("link", "set", "eth0", "up")
    machines.first.ip("route", "add", "default", "via", SECOND)
    eventually(lambda: ranges["second"] in machines.first.ip("route"))
    for here, there in (("first", "second"), ("second", "first")):
        name, address = found[here]["metadata"]["name"], found[there]["status"]["podIP"]
        assert address.rpartition(".")[0] == ranges[there].rpartition(".")[0]
        call = ["exec", name, "--", "python3", "-c", CALL]
        answer = cluster.kubectl(*call, f"http://{address}:8080/", "1").stdout.strip()
        assert answer == found[there]["metadata"]["name"]
        answers = set(cluster.kubectl(*call, "http://web.default/", "20").stdout.split())
        assert answers == {pod["metadata"]["name"] for pod in found.values()}
    log = cluster.kubectl("logs", found["second"]["metadata"]["name"]).stdout
    assert found["first"]["status"]["podIP"] in log  # not the node's address
    machines.leave()
    machines.first.kl("down")
    assert ranges["second"] not in machines.first.ip("route")


def test_pods_behind_a_router_reach_each_other_before_and_after_an_agent_was_killed(machines_apart):
    machines, cluster = machines_apart, machines_apart.first
    for machine in (machines.first, machines.second):
        (machine.root / "node.json").write_text('{"dualStack": true}')
    machines.joined()
    cluster.apply(DUAL_STACK + WEB_OF_BOTH_FAMILIES % "DoNotSchedule")
    eventually(lambda: pods(cluster).keys() == {"first", "second"})
    _everybody_reaches_everybody(cluster)
    assert "1 vxlan" in cluster.kl("status").stdout
    shown = cluster.kl("system", "check").stdout
    assert f"of node second ({FAR}): vxlan by kl-" in shown
    machines.leave(signal.SIGKILL)
    for machine in (machines.first, machines.second):
        machine.ip("link", "del", _vxlan_interface(machine))
    machines.join()
    for machine in (machines.first, machines.second):
        eventually(lambda machine=machine: _vxlan_interface(machine))
    eventually(lambda: ready(cluster) == {"first", "second"})
    _everybody_reaches_everybody(cluster)
    machines.leave()
    cluster.kl("down")
    assert _vxlan_interface(cluster) == ""


def _vxlan_interface(machine: Machine) -> str:
    listed = machine.ip("-o", "link", "show", "type", "vxlan").split()
    return listed[1].rstrip(":") if listed else ""


def _everybody_reaches_everybody(cluster: Cluster) -> None:
    """Each pod gets a file as large as many packets from every pod, by its addresses and those of
    the Service.
    """
    live = pods(cluster)
    names = {pod["metadata"]["name"] for pod in live.values()}
    services = cluster.get("service", "web")["spec"]["clusterIPs"]
    own = [entry["ip"] for pod in live.values() for entry in pod["status"]["podIPs"]]
    assert len(services) == 2
    assert len(own) == 4
    for name in names:
        call = ("exec", name, "--", "python3", "-c", CALL_EACH, *own, *services)
        eventually(lambda call=call: set(cluster.kubectl(*call).stdout.split()) == names)


def test_a_token_of_another_cluster_is_refused_before_it_is_sent(machines):
    token = machines.first.kl("token", "create").stdout.strip()
    server = f"https://{FIRST}:{machines.first.ports[0]}"
    wrong = token[:-4] + ("0000" if not token.endswith("0000") else "1111")
    done = machines.second.kl("node", "join", "--server", server, "--token", wrong, check=False)
    assert done.returncode == 1
    assert "belongs to another cluster than the token" in done.stderr
    unknown = "abcdef.0123456789abcdef@" + token.partition("@")[2]
    done = machines.second.kl("node", "join", "--server", server, "--token", unknown, check=False)
    assert (done.returncode, "has not joined" in done.stderr) == (1, True)
    assert not (machines.second.root / "node" / "client.crt").exists()


def test_certificates_are_renewed_before_they_end(machines):
    machines.joined()
    machines.leave()
    directory = machines.second.root / "node"
    pki = machines.first.root / "cluster" / "default" / "server" / "pki"
    before = {}
    for name in ("client", "serving"):
        path = directory / f"{name}.crt"
        path.write_bytes(_aged(path.read_bytes(), pki))
        before[name] = path.read_bytes()
    machines.join()
    for name, old in before.items():
        eventually(lambda name=name, old=old: (directory / f"{name}.crt").read_bytes() != old)
        new = x509.load_pem_x509_certificate((directory / f"{name}.crt").read_bytes())
        assert new.not_valid_after_utc > datetime.now(UTC) + timedelta(days=30)
    cluster = machines.first
    eventually(lambda: ready(cluster) == {"first", "second"})
    raw = ["get", "--raw", "/api/v1/nodes/second/proxy/healthz"]
    assert cluster.kubectl(*raw).stdout == "ok"
    with machines.first.space.inside():
        shown = subprocess.run(
            ["openssl", "s_client", "-connect", f"{SECOND}:10250"],
            capture_output=True,
            input=b"",
            timeout=PATIENCE,
        ).stdout
    pem = (directory / "serving.crt").read_text().strip()
    assert pem.splitlines()[1] in shown.decode()


def _aged(certificate: bytes, pki: Path) -> bytes:
    """The same certificate, nine tenths of whose time are over."""
    old = x509.load_pem_x509_certificate(certificate)
    signer = load_pem_private_key((pki / "ca.key").read_bytes(), None)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(old.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + timedelta(days=1))
    )
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    from cryptography.hazmat.primitives.serialization import Encoding

    return builder.sign(signer, SHA256()).public_bytes(Encoding.PEM)
