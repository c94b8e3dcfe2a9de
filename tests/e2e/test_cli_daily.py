"""What people who know kubectl and podman do all day: several pods at once, files and directories,
waiting, watching, running one container, archives through pipes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import yaml

from tests.e2e.world import SLEEP, World, eventually, pod, world

__all__ = ["world"]


def labelled(name: str, app: str) -> dict:
    made = pod(SLEEP, name=name)
    made["metadata"]["labels"] = {"app": app}
    made["spec"]["terminationGracePeriodSeconds"] = 0
    return made


def test_a_directory_of_manifests_selectors_and_several_names(world: World, tmp_path: Path) -> None:
    directory = tmp_path / "manifests"
    directory.mkdir()
    for name, app in (("a", "web"), ("b", "web"), ("c", "db")):
        (directory / f"{name}.yaml").write_text(yaml.safe_dump(labelled(name, app)))
    world.kl("pod", "up", "-f", str(directory))
    listed = world.kl("get", "pods", "-l", "app=web", "-o", "name").stdout
    assert listed == "pod/a\npod/b\n"
    assert world.kl("pod", "wait", "a", "pod/b", "--for=ready").stdout.count("is ready") == 2
    assert "a paused\nb paused\n" in world.kl("pod", "pause", "-l", "app=web").stdout
    world.kl("pod", "unpause", "a", "b")
    assert "Started" in world.kl("pod", "events").stdout
    world.kl("delete", "-f", str(directory / "c.yaml"))
    down = world.kl("rm", "-l", "app=web").stdout
    assert "a is down" in down and "b is down" in down
    assert world.kl("pod", "ls").stdout == ""


def test_all_that_is_missing_is_said_before_anything_is_created(world: World) -> None:
    specs = [pod(SLEEP, name="a", image=name, imagePullPolicy="Never") for name in ("x:1", "y:1")]
    specs[1]["metadata"]["name"] = "b"
    text = yaml.safe_dump_all([pod(SLEEP, name="good"), *specs])
    refused = world.up(text, check=False)
    assert refused.returncode == 1
    assert '"x:1"' in refused.stderr and '"y:1"' in refused.stderr
    assert world.kl("pod", "ls").stdout == ""


def test_an_init_container_that_is_restarted_is_named_and_the_next_pod_still_comes_up(
    world: World,
) -> None:
    broken = pod(
        SLEEP,
        name="broken",
        spec={
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 0,
            "initContainers": [{"name": "i", "image": "host", "command": ["sh", "-c", "exit 7"]}],
        },
    )
    refused = world.up(yaml.safe_dump_all([broken, labelled("good", "x")]), check=False)
    assert refused.returncode == 1
    assert 'init container "i" exited with code 7 and is being restarted' in refused.stderr
    assert "broken is up" not in refused.stdout and "good is up" in refused.stdout


def test_logs_of_all_containers_begin_with_the_init_containers(world: World) -> None:
    spec = {
        "initContainers": [
            {"name": "one", "image": "host", "command": ["echo", "first"]},
            {"name": "two", "image": "host", "command": ["sh", "-c", "echo second; exit 1"]},
        ]
    }
    world.up(pod(SLEEP, spec=spec), check=False)
    shown = world.kl("pod", "logs", "p", "--all-containers", "--prefix")
    assert shown.stdout == "[pod/p/one] first\n[pod/p/two] second\n"
    assert 'container "c" in pod "p" is waiting to start' in shown.stderr


def test_logs_since_a_time(world: World) -> None:
    world.up(
        pod("echo early; sleep 2; echo late; sleep 600", spec={"terminationGracePeriodSeconds": 0})
    )
    eventually(lambda: "late" in world.logs("p"), "both lines are there")
    stamped = world.kl("pod", "logs", "p", "--timestamps").stdout.splitlines()
    late = stamped[1].split()[0]
    assert world.kl("pod", "logs", "p", "--since-time", late).stdout == "late\n"
    assert world.kl("pod", "logs", "p", "--since-time", "2999-01-01T00:00:00Z").stdout == ""


def test_watching_prints_what_changes(world: World) -> None:
    world.up(labelled("a", "x"))
    watch = world.start("pod", "ls", "-w", stdout=subprocess.PIPE)
    assert watch.stdout is not None
    assert watch.stdout.readline().startswith(b"NAME")
    assert watch.stdout.readline().split()[:3] == [b"a", b"1/1", b"Running"]
    world.kl("pod", "pause", "a")
    assert watch.stdout.readline().split()[:3] == [b"a", b"1/1", b"Paused"]
    watch.send_signal(signal.SIGINT)
    assert watch.wait(10) == 130
    world.kl("pod", "unpause", "a")


def test_run_returns_the_containers_exit_code_and_removes_the_pod(world: World) -> None:
    done = world.kl(
        "run", "--rm", "host", "--name", "once", "-e", "A=b", "--", "sh", "-c", "echo $A; exit 3",
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (3, "b\n", "")
    assert world.kl("pod", "ls").stdout == ""
    piped = world.kl("run", "--rm", "-i", "host", "--name", "once", "--", "cat", input="data\n")
    assert piped.stdout == "data\n"


def test_the_manifest_of_run_brings_the_same_pod_up(world: World) -> None:
    manifest = world.kl("pod", "run", "host", "--name", "x", "--dry-run", "--", "true").stdout
    assert yaml.safe_load(manifest)["spec"]["containers"][0]["command"] == ["true"]
    world.kl("pod", "up", "-", input=manifest)
    refused = world.kl("pod", "run", "host", "--name", "x", check=False)
    assert refused.returncode == 125 and 'pod "x" already exists' in refused.stderr


def test_a_pod_is_described_with_its_containers_and_events(world: World) -> None:
    world.up(labelled("a", "x"))
    text = world.kl("describe", "pod", "a").stdout
    for expected in (
        "Labels:          app=x",
        "State:          Running since",
        "Started container c",
    ):
        assert expected in text


def test_volumes_are_described_for_people(world: World) -> None:
    labels = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    key = {"key": "a", "path": "x/a", "mode": 0o440}
    missing = {"name": "missing", "optional": True}
    described = labelled("a", "x")
    described["spec"]["volumes"] = [
        {"name": "all", "projected": {"defaultMode": 0o400, "sources": [
            {"configMap": {**missing, "items": [key]}}, {"downwardAPI": {"items": [labels]}}]}},
        {"name": "one", "secret": {"secretName": "missing", "optional": True}},
        {"name": "dir", "emptyDir": {}},
    ]  # fmt: skip
    world.up(described)
    shown = [line.strip() for line in world.kl("pod", "describe", "a").stdout.splitlines()]
    at = shown.index("NAME   SOURCE")
    assert shown[at + 1 : at + 6] == [
        "all    projected defaultMode=0400",
        "configMap items=[x/a <- a (0440)], name=missing, optional=true",
        "downwardAPI items=[labels <- metadata.labels]",
        "one    secret defaultMode=0644, optional=true, secretName=missing",
        "dir    emptyDir",
    ]


def test_interrupted_up_says_what_becomes_of_the_pod(world: World) -> None:
    slow = pod(
        SLEEP, spec={"initContainers": [{"name": "i", "image": "host", "command": ["sleep", "30"]}]}
    )
    up = world.start("pod", "up", "-", stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert up.stdin is not None and up.stderr is not None
    up.stdin.write(yaml.safe_dump(slow).encode())
    up.stdin.close()
    eventually(lambda: (world.root / "pods").exists() and os.listdir(world.root / "pods"), "begun")
    time.sleep(0.5)
    up.send_signal(signal.SIGINT)
    said = up.stderr.read().decode()
    assert up.wait(20) == 130
    assert "interrupted: p was not up yet and has been removed" in said
    assert world.kl("pod", "ls").stdout == ""


def test_closed_streams_end_in_silence_or_one_sentence(world: World) -> None:
    world.up(labelled("a", "x"))
    for redirect in (">&-", "2>&-", "<&-", ">&- 2>&- <&-", ">/dev/full"):
        command = f"{' '.join(world.command('pod', 'ls'))} {redirect}"
        done = subprocess.run(
            ["sh", "-c", command], env=world.env, capture_output=True, text=True, timeout=30
        )
        assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) <= 2, redirect


def test_archives_come_through_pipes_and_names_are_not_moved_silently(
    world: World, tmp_path: Path
) -> None:
    archive = tmp_path / "root.tar"
    (tmp_path / "file").write_text("x")
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "file", "file")
    world.kl("image", "import", "small", "-", input=archive.read_bytes())
    again = world.kl("image", "import", "small", str(archive), check=False)
    assert again.returncode == 1 and "--replace" in again.stderr
    world.kl("image", "import", "small", str(archive), "--replace")
    world.kl("image", "tag", "small", "other")
    image = json.loads(world.kl("image", "inspect", "other").stdout)
    assert len(image["names"]) == 2
    asked = world.kl("image", "rm", image["id"], check=False)
    assert asked.returncode == 2 and "needs confirmation" in asked.stderr
    assert "freed" in world.kl("image", "prune", "--all", "--yes").stdout
    assert world.kl("image", "ls", "-o", "name").stdout == ""


def test_completion_offers_pods_and_containers(world: World) -> None:
    world.up(labelled("alpha", "x"))
    assert world.kl("__complete", "pod", "logs", "al").stdout == "alpha\n"
    assert world.kl("__complete", "pod", "exec", "alpha", "-c", "").stdout == "c\n"


def test_a_directory_that_is_gone_is_named(world: World, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    for args in (("image", "import", "x", "."), ("--root", "here", "pod", "ls")):
        command = f"cd {tmp_path}/gone; rmdir {tmp_path}/gone; {' '.join(world.command(*args))}"
        done = subprocess.run(["sh", "-c", command], env=world.env, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith("error: the current directory does not exist any more\n")
        (tmp_path / "gone").mkdir(exist_ok=True)


def test_an_argument_that_is_too_long_is_named(world: World) -> None:
    refused = world.up(
        pod(env=[{"name": "A", "value": "x" * 140_000}], command=["true"]), check=False
    )
    assert "Argument list too long" in refused.stderr and "128 KiB" in refused.stderr
