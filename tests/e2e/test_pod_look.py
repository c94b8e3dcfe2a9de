"""``pod top``, ``stats``, ``diff`` and ``prune``."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.e2e.world import SLEEP, World, eventually, pod


def test_top_shows_the_processes_of_the_pod_and_no_others(world: World) -> None:
    made = pod("sleep 1001 & sleep 1002 & wait", securityContext={"runAsUser": 1234})
    made["spec"]["containers"].append({"name": "d", "image": "host", "command": ["sleep", "1003"]})
    world.up(made)

    def commands() -> list[str]:
        found = json.loads(world.kl("pod", "top", "p", "-o", "json").stdout)
        return sorted(f"{each['container']} {each['user']} {each['command']}" for each in found)

    wanted = sorted(
        [
            "c 1234 sh -c sleep 1001 & sleep 1002 & wait",
            "c 1234 sleep 1001",
            "c 1234 sleep 1002",
            "d 0 sleep 1003",
        ]
    )
    eventually(lambda: commands() == wanted, "all of them run")
    lines = world.kl("pod", "top", "p").stdout.splitlines()
    assert (
        lines[0].split() == ["CONTAINER", "PID", "USER", "STATE", "CPU", "MEMORY", "COMMAND"]
        and len(lines) == 5
    )


def test_stats_count_cpu_memory_tasks_and_network(world: World) -> None:
    busy = "python3 -c 'x = bytearray(50 << 20)\nwhile True: pass'"
    made = pod(busy, resources={"limits": {"memory": "256Mi"}})
    made["spec"]["containers"].append(
        {"name": "idle", "image": "host", "command": ["sleep", "1000"]}
    )
    world.up(made)

    def found() -> dict[str, dict[str, float]]:
        rows = json.loads(world.kl("pod", "stats", "p", "--no-stream", "-o", "json").stdout)
        return {each["container"]: each for each in rows}

    rows = eventually(
        lambda: rows if (rows := found())["c"]["memory"] > 50 << 20 else None,
        "the memory is counted",
    )
    assert rows["c"]["cpu"] > 0.1 > rows["idle"]["cpu"]
    assert (rows["c"]["limit"], rows["idle"]["limit"]) == (256 << 20, None)
    assert rows["c"]["tasks"] >= 1 and rows["idle"]["tasks"] == 1
    assert rows["c"]["received"] >= 0 and rows["c"]["received"] == rows["idle"]["received"]
    table = world.kl("pod", "stats", "--no-stream").stdout.splitlines()
    assert table[0].split()[:3] == ["POD", "CONTAINER", "CPU"] and len(table) == 3


def test_diff_names_what_was_added_changed_and_deleted(world: World) -> None:
    world.up(pod(SLEEP))
    before = set(world.kl("pod", "diff", "p", check=False).stdout.splitlines())
    world.exec(
        "p",
        "mkdir /new; echo 1 > /new/file; echo more >> /etc/profile; "
        "rm /etc/issue.net /etc/debian_version",
    )
    done = world.kl("pod", "diff", "p", check=False)
    assert done.returncode == 1
    found = set(done.stdout.splitlines()) - before
    assert (
        found
        >= {
            "A /new",
            "A /new/file",
            "C /etc",
            "C /etc/profile",
            "D /etc/issue.net",
            "D /etc/debian_version",
        }
        - before
    )
    removed = sorted(os.listdir("/etc/init.d"))[0]
    world.exec("p", "rm -r /etc/init.d; mkdir /etc/init.d; echo > /etc/init.d/mine")
    lines = world.kl("pod", "diff", "p", check=False).stdout.splitlines()
    assert {"C /etc/init.d", "A /etc/init.d/mine", f"D /etc/init.d/{removed}"} <= set(lines)
    assert world.kl("pod", "diff", "nobody", check=False).returncode == 2


def test_prune_removes_what_has_ended_and_asks_first(world: World) -> None:
    world.up(pod("true", name="done"))
    world.up(pod("exit 3", name="failed"), check=False)
    world.up(pod(SLEEP, name="runs"))
    for name in ("done", "failed"):
        world.kl("pod", "wait", name, "--for=exited")
    refused = world.kl("pod", "prune", check=False)
    assert (
        refused.returncode == 2 and "--yes" in refused.stderr and "default/failed" in refused.stderr
    )
    assert world.kl("pod", "prune", "--yes").stdout == "done removed\nfailed removed\n"
    assert world.kl("pod", "ls", "-o", "name").stdout == "pod/runs\n"
    assert "nothing to do" in world.kl("pod", "prune").stderr


def test_stats_go_on_until_they_are_interrupted(world: World) -> None:
    world.up(pod(SLEEP))
    command = [sys.executable, "-m", "kubelite", "pod", "stats"]
    with subprocess.Popen(command, env=world.env, stdout=subprocess.PIPE) as streaming:
        assert streaming.stdout is not None
        lines = [streaming.stdout.readline().split()[0] for _ in range(4)]
        streaming.send_signal(2)
        assert streaming.wait(10) == 130
    assert lines == [b"POD", b"p", b"POD", b"p"]
