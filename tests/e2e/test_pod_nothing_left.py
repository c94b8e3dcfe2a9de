"""After ``pod down``, and after every way in which ``pod up`` can fail, the host is as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubelite.testing.host import difference, snapshot
from tests.e2e.world import SLEEP, World, eventually, pod

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "web.yaml"
FULL = pod(
    SLEEP,
    spec={
        "terminationGracePeriodSeconds": 1,
        "initContainers": [{"name": "i", "image": "host", "command": ["true"]}],
        "volumes": [{"name": "d", "emptyDir": {}}, {"name": "m", "emptyDir": {"medium": "Memory"}}],
    },
    ports=[{"containerPort": 80, "hostPort": 18090}],
    volumeMounts=[
        {"name": "d", "mountPath": "/d", "subPath": "below"},
        {"name": "m", "mountPath": "/m"},
    ],
    resources={"limits": {"cpu": "1", "memory": "64Mi"}},
)

STEPS = """
import os, signal, sys
from kubelite.cli.common import manifest
from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.runtime.home import Home

root, path, verb, wanted = sys.argv[1:5]
count = 0

def trace(step):
    global count
    count += 1
    if wanted == "list":
        print(step, flush=True)
    elif count == int(wanted):
        os.kill(os.getpid(), signal.SIGKILL)

pods = Pods(Home(root), trace=trace)
quiet = lambda step: None
if verb == "up":
    pods.up(manifest.load(path, namespace=None, lenient=False).pods[0], report=quiet)
else:
    pods.down("default", "p", grace=0, report=quiet)
"""


def stepped(
    world: World, manifest: Path, verb: str, wanted: str
) -> subprocess.CompletedProcess[str]:
    """Runs one verb in a process of its own that kills itself just before act number ``wanted``, or
    lists all acts.
    """
    command = [sys.executable, "-c", STEPS, str(world.root), str(manifest), verb, wanted]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=world.env, check=False
    )


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "pod.yaml"
    path.write_text(yaml.safe_dump(FULL))
    return path


def test_the_example_leaves_nothing(world: World) -> None:
    before = snapshot(world.root)
    world.kl("pod", "up", str(EXAMPLE))
    assert difference(before, snapshot(world.root)) != []
    world.kl("pod", "down", str(EXAMPLE), "--grace-period", "1")
    assert difference(before, snapshot(world.root)) == []
    assert world.files() == set()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"image": "nowhere/to:be-found"}, "nowhere/to:be-found"),
        ({"command": ["/not/there"]}, "/not/there"),
        ({"command": ["not-in-the-path"]}, "not-in-the-path"),
        ({"command": ["/etc/passwd"]}, "/etc/passwd"),
        ({"volumeMounts": [{"name": "h", "mountPath": "/v", "subPath": "f/below"}]}, "f/below"),
        ({"volumeMounts": [{"name": "h", "mountPath": "/etc/passwd/below"}]}, "/etc/passwd/below"),
        ({"workingDir": "/etc/passwd"}, "/etc/passwd"),
        ({"securityContext": {"runAsUser": 4294967295}}, "4294967295"),
    ],
)
def test_a_failed_start_leaves_nothing(
    world: World, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "f").touch()
    spec = pod(
        SLEEP, spec={"volumes": [{"name": "h", "hostPath": {"path": str(tmp_path / "data")}}]}
    )
    spec["spec"]["containers"].append({**spec["spec"]["containers"][0], "name": "bad", **change})
    before = snapshot(world.root)
    refused = world.up(spec, check=False)
    assert refused.returncode == 1
    assert says in refused.stderr and "Traceback" not in refused.stderr
    assert world.files() == set()
    assert difference(before, snapshot(world.root)) == []


def test_ctrl_c_before_the_pod_is_up_leaves_nothing(world: World, tmp_path: Path) -> None:
    spec = pod(
        SLEEP,
        spec={"initContainers": [{"name": "i", "image": "host", "command": ["sleep", "1000"]}]},
    )
    path = tmp_path / "pod.yaml"
    path.write_text(yaml.safe_dump(spec))
    before = snapshot(world.root)
    up = world.start("pod", "up", str(path), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    eventually(lambda: "Init:0/1" in world.kl("pod", "ls").stdout, "the init container runs")
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=30)
    assert up.returncode == 130
    assert world.files() == set()
    assert difference(before, snapshot(world.root)) == []


def test_a_kill_at_any_act_of_up_is_undone_by_down(world: World, manifest: Path) -> None:
    before = snapshot(world.root)
    acts = stepped(world, manifest, "up", "list").stdout.splitlines()
    world.kl("pod", "down", "p", "--grace-period", "0")
    assert {
        "launch shim",
        "start pause",
        "attach network",
        "start container c",
        "lease address",
    } <= set(acts)
    for number, act in enumerate(acts, 1):
        killed = stepped(world, manifest, "up", str(number))
        assert killed.returncode == -signal.SIGKILL, f"{act}: {killed.stderr}"
        world.kl("pod", "down", "p", "--grace-period", "0", "--ignore-not-found")
        assert world.files() == set(), act
        assert difference(before, snapshot(world.root)) == [], act


def test_a_kill_at_any_act_of_down_is_finished_by_down(world: World, manifest: Path) -> None:
    before = snapshot(world.root)
    world.kl("pod", "up", str(manifest))
    acts = stepped(world, manifest, "down", "list").stdout.splitlines()
    assert {"end shim", "remove network", "remove cgroups", "remove files"} <= set(acts)
    for number, act in enumerate(acts, 1):
        world.kl("pod", "up", str(manifest))
        killed = stepped(world, manifest, "down", str(number))
        assert killed.returncode == -signal.SIGKILL, f"{act}: {killed.stderr}"
        world.kl("pod", "down", "p", "--grace-period", "0", "--ignore-not-found")
        assert world.files() == set(), act
        assert difference(before, snapshot(world.root)) == [], act


def test_a_killed_up_can_simply_be_repeated(world: World, manifest: Path) -> None:
    acts = stepped(world, manifest, "up", "list").stdout.splitlines()
    world.kl("pod", "down", "p", "--grace-period", "0")
    stepped(world, manifest, "up", str(acts.index("start container c") + 1))
    world.kl("pod", "up", str(manifest))
    assert world.get("p")["status"]["phase"] == "Running"


def test_reset_leaves_nothing_even_of_a_torn_record(world: World) -> None:
    before = snapshot(world.root)
    world.up(pod(SLEEP, name="whole"))
    world.up(pod(SLEEP, name="torn"))
    uid = world.get("torn")["metadata"]["uid"]
    record = world.root / "pods" / uid / "pod.json"
    record.write_bytes(record.read_bytes()[:-20])
    listed = world.kl("pod", "ls")
    assert "whole" in listed.stdout and "torn" not in listed.stdout
    assert "pod.json" in listed.stderr
    world.kl("system", "reset", "--yes")
    assert not world.root.exists() or os.listdir(world.root) == []
    assert difference(before, snapshot(world.root)) == []
