"""Pods reach themselves, each other and the host; ports of the host lead into pods."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path
from typing import Any

from tests.e2e.world import SLEEP, World, eventually, pod

FETCH = (
    "import sys, urllib.request; "
    "print(urllib.request.urlopen(sys.argv[1], "
    "timeout=5).read().decode(), end='')"
)


def server(name: str, text: str, port: int, **spec: Any) -> dict[str, Any]:
    made = pod(
        f"mkdir /w && printf {text} > /w/index.html && "
        f"exec python3 -m http.server {port} --directory /w",
        name=name,
        spec=spec,
    )
    made["spec"]["containers"].append(
        {"name": "d", "image": "host", "command": ["sh", "-c", SLEEP]}
    )
    return made


def fetched(url: str) -> str:
    def attempt() -> str:
        try:
            return urllib.request.urlopen(url, timeout=5).read().decode()
        except OSError:
            return ""

    return eventually(attempt, f"{url} answers")


def from_pod(world: World, name: str, url: str, container: str = "d") -> str:
    command = ["pod", "exec", name, "-c", container, "--", "python3", "-c", FETCH, url]

    def attempt() -> str:
        return world.kl(*command, check=False).stdout

    return eventually(attempt, f"{url} answers to pod {name}")


def test_containers_reach_each_other_on_localhost_and_pods_each_other_and_the_host(
    world: World,
) -> None:
    world.up(server("a", "page-a", 8000))
    world.up(server("b", "page-b", 8000))
    a, b = (world.get(name)["status"]["podIP"] for name in ("a", "b"))
    assert a != b
    assert fetched(f"http://{a}:8000/") == "page-a"
    assert from_pod(world, "a", "http://127.0.0.1:8000/") == "page-a"
    assert from_pod(world, "a", f"http://{b}:8000/") == "page-b"
    host = world.get("a")["status"]["hostIP"]
    with socket.create_server((host, 0)) as listener:
        listener.settimeout(10)
        say = (
            f"import socket; socket.create_connection(('{host}', "
            f"{listener.getsockname()[1]})).send(b'hello')"
        )
        world.kl("pod", "exec", "a", "-c", "d", "--", "python3", "-c", say)
        connection, peer = listener.accept()
        with connection:
            assert (connection.recv(16), peer[0]) == (b"hello", a)


def test_a_host_port_leads_into_the_pod_from_the_host_and_from_localhost(world: World) -> None:
    spec = server("web", "through", 8000)
    spec["spec"]["containers"][0]["ports"] = [{"containerPort": 8000, "hostPort": 18080}]
    world.up(spec)
    assert fetched("http://127.0.0.1:18080/") == "through"
    host = world.get("web")["status"]["hostIP"]
    assert fetched(f"http://{host}:18080/") == "through"
    assert from_pod(world, "web", f"http://{host}:18080/") == "through"


def test_a_port_that_is_taken_is_refused_before_anything_is_made(world: World) -> None:
    with socket.create_server(("127.0.0.1", 18081)):
        spec = pod(SLEEP, ports=[{"containerPort": 80, "hostPort": 18081}])
        refused = world.up(spec, check=False)
    assert refused.returncode == 1 and "18081" in refused.stderr
    assert world.files() == set()
    world.up(pod(SLEEP, name="first", ports=[{"containerPort": 80, "hostPort": 18082}]))
    second = world.up(
        pod(SLEEP, name="second", ports=[{"containerPort": 80, "hostPort": 18082}]), check=False
    )
    assert second.returncode == 1 and "default/first" in second.stderr
    names = [p["metadata"]["name"] for p in _list(world)]
    assert names == ["first"]


def test_a_pod_uses_no_more_of_the_network_than_its_annotations_allow(world: World) -> None:
    spec = pod(SLEEP)
    spec["metadata"]["annotations"] = {"kubernetes.io/egress-bandwidth": "8M"}
    world.up(spec)
    seen = world.kl(
        "pod", "exec", spec["metadata"]["name"], "--", "tc", "qdisc", "show", "dev", "eth0"
    )
    assert "tbf" in seen.stdout and "rate 8Mbit" in seen.stdout
    spec = pod(SLEEP, name="wrong")
    spec["metadata"]["annotations"] = {"kubernetes.io/egress-bandwidth": "much"}
    refused = world.up(spec, check=False)
    assert refused.returncode == 1 and "kubernetes.io/egress-bandwidth" in refused.stderr


def _list(world: World) -> list[dict[str, Any]]:
    import json

    return json.loads(world.kl("pod", "ls", "-A", "-o", "json").stdout)["items"]


def test_no_helper_program_makes_the_network_or_the_mounts(world: World, tmp_path: Path) -> None:
    """Not ``ip``, ``mount``, ``nft`` or ``nsenter``: between the command and the pod's programs
    nothing is executed.
    """
    import subprocess
    import sys

    import yaml

    trace = tmp_path / "trace"
    manifest = tmp_path / "pod.yaml"
    manifest.write_text(
        yaml.safe_dump(pod("exec sleep 1000", ports=[{"containerPort": 80, "hostPort": 18083}]))
    )
    command = [
        "strace",
        "-f",
        "-e",
        "trace=execve,execveat",
        "-o",
        str(trace),
        sys.executable,
        "-m",
        "kubelite",
    ]
    traced = subprocess.Popen(
        [*command, "pod", "up", str(manifest)], env=world.env, stdout=subprocess.PIPE
    )
    assert traced.stdout is not None and b"is up" in traced.stdout.readline()
    world.down("p")
    traced.communicate(timeout=30)
    rows = [row for row in trace.read_text().splitlines() if "exec" in row and "= -1" not in row]
    executed = [row for row in rows if row.endswith("= 0")]
    assert any("sleep" in row for row in executed), "the trace sees the pod's program"
    for row in rows:
        assert not any(
            f'/{tool}"' in row
            for tool in ("ip", "mount", "nft", "nsenter", "umount", "iptables", "tc")
        )
    assert len(executed) <= 5, executed


def test_pods_have_addresses_of_both_families_where_the_node_says_so(world: World) -> None:
    world.root.mkdir()
    (world.root / "node.json").write_text('{"dualStack": true}')
    serve = "exec python3 -m http.server 8000 --bind :: --directory /etc"
    field = {"fieldRef": {"fieldPath": "status.podIPs"}}
    world.up(pod(serve, name="a", env=[{"name": "IPS", "valueFrom": field}]))
    world.up(pod(SLEEP, name="b"))
    status = world.get("a")["status"]
    first, second = (entry["ip"] for entry in status["podIPs"])
    assert (first, ":" in second) == (status["podIP"], True)
    assert (
        world.kl("pod", "exec", "a", "--", "sh", "-c", "echo $IPS").stdout == f"{first},{second}\n"
    )
    hosts = world.kl("pod", "exec", "a", "--", "cat", "/etc/hosts").stdout
    assert [f"{address}\ta" in hosts for address in (first, second)] == [True, True]
    for url in (f"http://{first}:8000/hostname", f"http://[{second}]:8000/hostname"):
        assert from_pod(world, "b", url, container="c") == "a\n"
        assert fetched(url) == "a\n"
