"""Our verbs on pods that run: logs, programs, terminals, ports, files, figures."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.terminal import Terminal
from tests.cluster.world import Cluster, cluster_that_is_up, eventually

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: server
        image: host
        command: [python3, -m, http.server, "8080", --directory, /etc]
        ports: [{containerPort: 8080, name: http}]
      - {name: side, image: host, command: [sh, -c, "echo hello; echo again; exec sleep 600"]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster_that_is_up(tmp_path_factory.mktemp("cluster") / "root") as up:
        up.kl("apply", "-f", "-", input=WEB)
        up.kl("rollout", "status", "deploy/web", "--timeout", "60s")
        yield up
        up.kl("delete", "-f", "-", input=WEB)


def test_the_cluster_of_this_machine_needs_no_kubeconfig(world: Cluster) -> None:
    assert re.search(r"^\S+ +Ready ", world.kl("get", "nodes").stdout, re.MULTILINE)


def test_logs(world: Cluster) -> None:
    assert world.kl("logs", "deploy/web", "-c", "side").stdout == "hello\nagain\n"
    assert world.kl("logs", "-l", "app=web", "-c", "side", "--tail", "1").stdout == "again\n"
    shown = world.kl("logs", "deploy/web", "--all-containers", "--prefix").stdout
    assert re.search(r"^\[pod/web-\S+/side\] hello$", shown, re.MULTILINE)
    refused = world.kl("logs", "nothing", check=False)
    assert (refused.returncode, refused.stderr) == (
        1,
        'Error from server (NotFound): pods "nothing" not found\n',
    )


def test_programs(world: Cluster) -> None:
    script = "echo out; echo err >&2; exit 3"
    done = world.kl("exec", "deploy/web", "-c", "side", "--", "sh", "-c", script, check=False)
    assert (done.returncode, done.stdout) == (3, "out\n")
    assert done.stderr == "err\ncommand terminated with exit code 3\n"
    large = "x" * 300_000
    assert world.kl("exec", "-i", "deploy/web", "--", "cat", input=large).stdout == large


def test_a_terminal(world: Cluster) -> None:
    words = world.command("exec", "-it", "deploy/web", "-c", "side", "--", "sh")
    with Terminal(words, world.env) as terminal:
        terminal.type("stty size; echo ready-$((40 + 2))\n")
        terminal.expect("24 80")
        terminal.expect("ready-42")
        terminal.type("exit 5\n")
        assert terminal.wait() == 5


def test_files(world: Cluster, tmp_path: Path) -> None:
    name = "jsonpath={.items[0].metadata.name}"
    pod = world.kl("get", "pods", "-l", "app=web", "-o", name).stdout
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner" / "file").write_text("content")
    world.kl("cp", str(tree), f"{pod}:/tmp", "-c", "side")
    copied = world.kl("exec", pod, "-c", "side", "--", "cat", "/tmp/tree/inner/file").stdout
    assert copied == "content"
    world.kl("cp", f"{pod}:/tmp/tree", str(tmp_path / "back"), "-c", "side")
    assert (tmp_path / "back" / "inner" / "file").read_text() == "content"
    refused = world.kl("cp", f"{pod}:/nothing", str(tmp_path / "x"), "-c", "side", check=False)
    assert refused.returncode == 1 and "No such file" in refused.stderr
    assert not (tmp_path / "x").exists()


def test_a_port(world: Cluster) -> None:
    forward = world.start("port-forward", "svc/web", ":80", stdout=subprocess.PIPE)
    try:
        assert forward.stdout is not None
        line = forward.stdout.readline().decode()
        match = re.fullmatch(r"Forwarding from 127\.0\.0\.1:(\d+) -> 8080\n", line)
        assert match is not None, line
        with socket.create_connection(("127.0.0.1", int(match[1])), timeout=30) as connection:
            connection.sendall(b"GET /hostname HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        assert b"200 OK" in answer.splitlines()[0]
    finally:
        forward.terminate()
        forward.wait(30)


def test_a_pod_that_runs_once(world: Cluster) -> None:
    line = ["run", "once", "--image", "host", "--restart", "Never", "--rm", "-i", "--command"]
    script = "read word; echo got $word; exit 4"
    done = world.kl(*line, "--", "sh", "-c", script, input="it\n", check=False)
    assert done.returncode == 4, done.stderr
    assert "got it" in done.stdout and 'pod "once" deleted' in done.stdout
    assert world.kl("get", "pod", "once", check=False).returncode == 1


READS = """
apiVersion: v1
kind: Pod
metadata: {name: reads}
spec:
  restartPolicy: Never
  containers:
  - {name: c, image: host, stdin: true, command: [sh, -c, 'read word; echo got $word']}
"""


def test_an_attached_process(world: Cluster) -> None:
    world.kl("apply", "-f", "-", input=READS)
    world.kl("wait", "pod/reads", "--for=condition=Ready", "--timeout=60s")
    assert world.kl("attach", "-i", "reads", input="it\n").stdout == "got it\n"
    world.kl("delete", "pod", "reads")


def test_figures_and_events(world: Cluster) -> None:
    def figures() -> bool:
        nodes, pods = world.kl("top", "nodes").stdout, world.kl("top", "pods").stdout
        return bool(
            re.search(r"^\S+ +\d+m +\d+% +\d+Mi +\d+%$", nodes, re.MULTILINE)
            and re.search(r"^web-\S+ +\d+m +\d+Mi$", pods, re.MULTILINE)
        )

    eventually(figures)
    assert re.search(r"Normal +Started +Pod/web-\S+ ", world.kl("events").stdout)
    described = world.kl("describe", "pod", "-l", "app=web").stdout
    assert re.search(r"^ +Normal +Started +\S+ +kubelet ", described, re.MULTILINE)
