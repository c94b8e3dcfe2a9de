"""Restarts, back-off, order and ends, as a person sees them from outside."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import SLEEP, World, eventually, pod

LOOPED = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
FAST = '{"crashLoopBackOff": {"maxContainerRestartPeriod": "1s"}}'


def always(script: str, **more: Any) -> dict[str, Any]:
    spec = {"restartPolicy": "Always", "terminationGracePeriodSeconds": 2, **more.pop("spec", {})}
    return pod(script, spec=spec, **more)


def container(world: World, name: str = "c") -> dict[str, Any]:
    status = world.get("p")["status"]
    every = [*status.get("initContainerStatuses", []), *status["containerStatuses"]]
    return next(each for each in every if each["name"] == name)


def agent(world: World) -> dict[str, Any] | None:
    return json.loads(world.kl("system", "info", "-o", "json").stdout)["agent"]


def test_a_container_that_ends_is_started_again_and_then_backs_off(world: World) -> None:
    world.up(always("echo said > /dev/termination-log; exit 3"))
    waiting = eventually(
        lambda: (c := container(world))["state"].get("waiting") and c["restartCount"] == 1 and c,
        "the second attempt backs off",
    )
    assert waiting["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert waiting["state"]["waiting"]["message"].startswith(
        "back-off 10s restarting failed container=c pod=p_default("
    )
    last = waiting["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"], last["message"]) == (3, "Error", "said\n")
    assert world.get("p")["status"]["phase"] == "Running"
    assert "CrashLoopBackOff" in world.kl("pod", "ls").stdout
    reasons = [event["reason"] for event in events(world)]
    assert reasons[:4] == ["Scheduled", "Pulled", "Created", "Started"] and "BackOff" in reasons


def events(world: World) -> list[dict[str, Any]]:
    state = Path(world.inspect("p")["paths"]["state"])
    return [json.loads(line) for line in (state / "events").read_text().splitlines()]


def test_a_restart_forgets_the_back_off(world: World) -> None:
    world.up(always("exit 1"))
    eventually(lambda: container(world)["state"].get("waiting"), "it backs off")
    before = container(world)["restartCount"]
    world.kl("pod", "restart", "p")
    eventually(lambda: container(world)["restartCount"] >= before + 1, "it was started at once", 5)


@pytest.mark.parametrize(
    ("policy", "code", "phase", "restarts"),
    [("OnFailure", 0, "Succeeded", 0), ("Never", 1, "Failed", 0), ("Never", 0, "Succeeded", 0)],
)
def test_policies_that_come_to_an_end(
    world: World, policy: str, code: int, phase: str, restarts: int
) -> None:
    world.up(pod(f"exit {code}", spec={"restartPolicy": policy}))
    eventually(lambda: world.get("p")["status"]["phase"] == phase, phase)
    assert container(world)["restartCount"] == restarts


def test_the_nodes_cap_of_the_back_off(world: World) -> None:
    world.root.mkdir()
    (world.root / "node.json").write_text(FAST)
    world.up(always("exit 1"))
    began = time.monotonic()
    eventually(lambda: container(world)["restartCount"] >= 4, "four restarts at one a second")
    assert time.monotonic() - began > 2


def test_an_agent_is_there_while_it_is_needed(world: World) -> None:
    world.up(pod(SLEEP, name="never"))
    assert agent(world) is None
    world.up(always(LOOPED))
    there = eventually(lambda: agent(world), "an agent was started")
    assert Path(f"/proc/{there['pid']}").exists() and there["started"].endswith("Z")
    world.kl("pod", "down", "p")
    eventually(lambda: agent(world) is None, "it has ended by itself")
    world.down("never")


def test_sidecars_start_in_order_and_end_last(world: World) -> None:
    def side(name: str) -> dict[str, Any]:
        return {
            "name": name,
            "image": "host",
            "restartPolicy": "Always",
            "command": ["sh", "-c", LOOPED],
        }

    inits = [side("one"), {"name": "init", "image": "host", "command": ["true"]}, side("two")]
    world.up(pod("sleep 0.5", spec={"restartPolicy": "OnFailure", "initContainers": inits}))
    began = [container(world, name) for name in ("one", "init", "two", "c")]
    assert all(each["state"] for each in began)
    eventually(
        lambda: world.get("p")["status"]["phase"] == "Succeeded", "sidecars do not hold the pod up"
    )
    eventually(
        lambda: not any("running" in container(world, name)["state"] for name in ("one", "two")),
        "they have ended",
    )
    order = [event["object"] for event in events(world) if event["reason"] == "Started"]
    assert [name.partition("{")[2] for name in order] == ["one}", "init}", "two}", "c}"]
    killed = [event["object"] for event in events(world) if event["reason"] == "Killing"]
    assert killed == ["spec.initContainers{two}", "spec.initContainers{one}"]
    assert container(world, "two")["state"]["terminated"]["exitCode"] == 0


def test_a_rule_restarts_all_containers_in_their_place(world: World) -> None:
    """Address, volumes and neighbours' images stay; init containers run once more, without hooks
    and without grace.
    """
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [88]}}
    mounts = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    source = "if [ $(wc -l < /v/inits) = 1 ]; then echo said > /v/kept; exit 88; fi; " + LOOPED
    deaf = "trap '' TERM; while :; do sleep 0.05; done"
    spec = {
        "terminationGracePeriodSeconds": 30,
        "volumes": [{"name": "v", "emptyDir": {}}],
        "initContainers": [{"name": "i", "image": "host",
                            "command": ["sh", "-c", "echo init >> /v/inits"], **mounts}],
        "containers": [
            {"name": "c", "image": "host", "command": ["sh", "-c", source],
             "restartPolicy": "Never",
             "restartPolicyRules": [rule], **mounts},
            {"name": "deaf", "image": "host", "command": ["sh", "-c", deaf],
             "lifecycle": {"preStop": {"exec": {"command": ["touch", "/v/hooked"]}}}, **mounts},
        ],
    }  # fmt: skip
    world.up(pod(spec=spec))
    address = world.get("p")["status"]["podIP"]
    eventually(
        lambda: container(world)["restartCount"] == 1 and container(world, "deaf")["ready"],
        "all run again",
    )
    assert [container(world, name)["restartCount"] for name in ("i", "c", "deaf")] == [1, 1, 1]
    assert container(world)["lastState"]["terminated"]["exitCode"] == 88
    assert container(world, "deaf")["lastState"]["terminated"]["exitCode"] == 137
    status = world.get("p")["status"]
    assert status["podIP"] == address and status["phase"] == "Running"
    told = next(each for each in status["conditions"] if each["type"] == "AllContainersRestarting")
    assert (told["status"], told["reason"]) == ("False", "ContainerExited")
    assert told["message"] == "Container c exited with code 88, triggering pod restart"
    assert world.exec("p", "cat /v/inits /v/kept; ls /v") == "init\ninit\nsaid\ninits\nkept\n"


def test_the_deadline_fails_the_pod(world: World) -> None:
    world.up(always(LOOPED, spec={"activeDeadlineSeconds": 1}))
    eventually(lambda: world.get("p")["status"]["phase"] == "Failed", "the deadline")
    status = world.get("p")["status"]
    assert status["reason"] == "DeadlineExceeded"
    assert status["message"] == "Pod was active on the node longer than the specified deadline"
    eventually(lambda: "terminated" in container(world)["state"], "its container has ended")


def test_a_pod_that_is_taken_down_says_until_when(world: World) -> None:
    world.up(always("trap '' TERM; echo ready; while :; do sleep 0.05; done"))
    eventually(lambda: world.logs("p") == "ready\n", "the trap is set")
    asked = time.time()
    with world.start("pod", "down", "p", "--grace-period", "3", stdout=subprocess.DEVNULL) as going:
        meta = eventually(
            lambda: (m := world.get("p")["metadata"]).get("deletionTimestamp") and m,
            "it is on its way",
        )
        until = datetime.fromisoformat(meta["deletionTimestamp"]).timestamp()
        assert asked + 2 <= until <= time.time() + 3 and meta["deletionGracePeriodSeconds"] == 3
        assert "Terminating" in world.kl("pod", "ls").stdout
        assert going.wait(timeout=20) == 0


def test_the_stop_signal_is_the_manifests(world: World) -> None:
    script = "trap 'echo got USR1; exit 7' USR1; echo ready; while :; do sleep 0.05; done"
    world.up(pod(script, lifecycle={"stopSignal": "SIGUSR1"}))
    eventually(lambda: world.logs("p") == "ready\n", "the trap is set")
    world.kl("pod", "stop", "p")
    assert container(world)["state"]["terminated"]["exitCode"] == 7


def test_the_end_of_the_log_stands_in_for_a_message(world: World) -> None:
    world.up(
        pod(
            "echo one; echo two; exit 1",
            terminationMessagePolicy="FallbackToLogsOnError",
            spec={"restartPolicy": "OnFailure"},
        )
    )
    eventually(lambda: container(world).get("lastState"), "it has failed")
    assert container(world)["lastState"]["terminated"]["message"] == "one\ntwo\n"


def test_stop_start_pause_and_kill(world: World) -> None:
    world.up(always(LOOPED))
    eventually(lambda: world.logs("p") == "ready\n", "the trap is set")
    address = world.get("p")["status"]["podIP"]
    world.kl("pod", "pause", "p")
    assert "Paused" in world.kl("pod", "ls").stdout
    pid = world.inspect("p")["containers"]["c"]["pid"]
    assert Path(f"/proc/{pid}/stat").read_text().split()[2] in "DST"
    world.kl("pod", "unpause", "p")
    world.kl("pod", "stop", "p")
    assert container(world)["state"]["terminated"]["exitCode"] == 0
    assert "Stopped" in world.kl("pod", "ls").stdout
    world.kl("pod", "start", "p")
    assert container(world)["restartCount"] == 1
    assert world.get("p")["status"]["podIP"] == address
    world.kl("pod", "kill", "p")
    killed = eventually(
        lambda: container(world).get("lastState", {}).get("terminated", {}).get("exitCode") == 137,
        "137",
    )
    assert killed
    assert world.kl("pod", "kill", "p", "--signal", "NONE", check=False).returncode == 2
