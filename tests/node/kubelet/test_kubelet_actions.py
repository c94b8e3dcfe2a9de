"""What is done next for a pod: examples from the kubelet's rules, with a clock set by hand."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from kubelite.node.kubelet.decide import restart_policy
from kubelite.node.kubelet.decide.actions import needs_care
from kubelite.node.kubelet.decide.restart_policy import SECOND
from kubelite.node.kubelet.decide.stopping import Kill, MarkStop, RunHook, Terminate, signal_number
from kubelite.objects.pod.pod import Pod
from tests.node.kubelet.podsim import Node


def pod(*mains: Any, inits: Any = (), policy: str = "Always", **spec: Any) -> Pod:
    def container(each: Any) -> dict[str, Any]:
        return each if isinstance(each, dict) else {"name": each}

    whole = {"restartPolicy": policy, "containers": [container(m) for m in mains], **spec}
    whole["initContainers"] = [container(i) for i in inits]
    return msgspec.convert({"metadata": {"name": "p"}, "spec": whole}, Pod)


SIDE = {"name": "s", "restartPolicy": "Always"}
PRE = {"preStop": {"exec": {"command": ["true"]}}}
POST = {"postStart": {"exec": {"command": ["true"]}}}


def crash(node: Node, name: str, times: int, code: int = 1, after: int = 1) -> None:
    """Lets a container run for ``after`` seconds and fail, again and again, as soon as it may
    start.
    """
    for _ in range(times):
        node.now += after * SECOND
        node.ends(name, code)
        decision = node.settle()
        if decision.wake is not None:
            node.now = max(node.now, decision.wake)
        node.settle()


def test_containers_start_together_once_the_init_containers_are_done() -> None:
    node = Node(pod("a", "b", inits=["i", "j"]))
    assert not node.settle().up
    assert node.running() == ["i"]
    node.ends("i", 0)
    node.settle()
    assert node.running() == ["j"]
    node.ends("j", 0)
    assert node.settle().up
    assert node.running() == ["a", "b"]


def test_a_rule_restarts_the_whole_pod_from_its_first_init_container() -> None:
    """RestartAllContainers: no hook, no grace, every container once more, the one that ended well
    too; the source backs off.
    """
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [88]}}
    source = {"name": "a", "restartPolicy": "Never", "restartPolicyRules": [rule]}
    node = Node(
        pod(source, {"name": "b", "lifecycle": PRE}, "done", inits=["i", SIDE], policy="Never")
    )
    node.settle()
    node.ends("i", 0)
    assert node.settle().up and node.running() == ["s", "a", "b", "done"]
    node.ends("done", 0)
    node.settle()
    for again in (1, 2):
        pause = node.sandbox.pause
        node.ends("a", 88)
        node.settle()
        assert node.running() == ["i"] and node.sandbox.pause == pause and not node.hooks
        node.now += SECOND
        node.ends("i", 0)
        decision = node.settle()
        assert node.running() == (["s", "a", "b", "done"] if again == 1 else ["s", "b", "done"])
    assert decision.waiting == "a" and decision.wake == node.now + 9 * SECOND
    node.now = decision.wake
    assert node.settle().up
    assert [node.containers[name].record.attempt for name in ("i", "s", "a", "b", "done")] == [
        2
    ] * 5
    node.ends("a", 1)
    node.settle()
    assert "a" not in node.running() and node.containers["b"].record.attempt == 2


def test_back_off_doubles_from_ten_seconds_to_five_minutes() -> None:
    node = Node(pod("a"))
    node.settle()
    crash(node, "a", 9)
    starts = node.started("a")
    waits = [later - earlier - 1 for earlier, later in pairwise(starts)]
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300, 300]


def test_back_off_is_forgotten_after_ten_minutes_of_running() -> None:
    node = Node(pod("a"))
    node.settle()
    crash(node, "a", 4)
    crash(node, "a", 1, after=601)
    assert node.started("a")[-1] - node.started("a")[-2] == 601
    crash(node, "a", 1)
    assert node.started("a")[-1] - node.started("a")[-2] == 11


@pytest.mark.parametrize(
    ("annotations", "node", "max_backoff"),
    [({}, 5, 5), ({restart_policy.CAP_ANNOTATION: "2"}, 300, 2)],
)
def test_the_cap_of_node_and_pod(annotations: dict[str, str], node: int, max_backoff: int) -> None:
    made = pod("a")
    made = msgspec.structs.replace(
        made, metadata=msgspec.structs.replace(made.metadata, annotations=annotations)
    )
    sim = Node(made, node * SECOND)
    sim.settle()
    crash(sim, "a", 5)
    starts = sim.started("a")
    assert max(later - earlier - 1 for earlier, later in pairwise(starts)) == max_backoff


@pytest.mark.parametrize(
    ("restart", "code", "again"),
    [
        ("Always", 0, True), ("Always", 1, True), ("OnFailure", 0, False), ("OnFailure", 1, True),
     ("Never", 0, False),
        ("Never", 1, False),
    ],
)  # fmt: skip
def test_restart_policies(restart: str, code: int, again: bool) -> None:
    node = Node(pod("a", policy=restart))
    node.settle()
    node.ends("a", code)
    node.settle()
    assert (node.running() == ["a"]) is again
    assert needs_care(node.pod, node.observed()) is again


def test_a_rule_on_exit_codes_goes_before_the_policy() -> None:
    rule = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}
    node = Node(
        pod({"name": "a", "restartPolicy": "Never", "restartPolicyRules": [rule]}, policy="Never")
    )
    node.settle()
    node.ends("a", 42)
    node.settle()
    assert node.running() == ["a"]
    node.ends("a", 1)
    node.settle()
    assert node.running() == []


@pytest.mark.parametrize(
    ("restart", "runs"), [("Always", ["i"]), ("OnFailure", ["i"]), ("Never", [])]
)
def test_a_failed_init_container(restart: str, runs: list[str]) -> None:
    node = Node(pod("a", inits=["i"], policy=restart))
    node.settle()
    node.ends("i", 1)
    node.settle()
    assert node.running() == runs
    assert node.started("a") == []


def test_a_sidecar_gates_on_its_startup_probe_and_outlives_nobody() -> None:
    side = {**SIDE, "startupProbe": {"exec": {"command": ["true"]}}}
    node = Node(pod("a", inits=[side, "i"], policy="Never"))
    node.settle()
    assert node.running() == ["s"]
    node.containers["s"].record.startup_ok = True
    node.settle()
    assert node.running() == ["s", "i"]
    node.ends("i", 0)
    node.settle()
    assert sorted(node.running()) == ["a", "s"]
    node.ends("s", 1)
    node.settle()
    assert sorted(node.running()) == ["a", "s"]
    node.ends("a", 0)
    node.settle()
    assert [type(action) for _, action in node.log[-2:]] == [MarkStop, Terminate]
    node.ends("s", 143)
    node.settle()
    assert node.running() == [] and restart_policy.is_finished(node.pod, node.observed())


def test_sidecars_end_last_and_in_reverse_order() -> None:
    inits = [{"name": name, "restartPolicy": "Always"} for name in ("s", "t")]
    node = Node(pod("a", "b", inits=inits))
    node.settle()
    node.delete()
    order = []
    while node.running():
        node.settle()
        signalled = [
            name for name in node.running() if node.containers[name].record.stop is not None
        ]
        order.append(sorted(signalled))
        for name in signalled:
            node.ends(name, 0)
    assert order == [["a", "b"], ["t"], ["s"]]


def test_termination_runs_the_hook_then_signals_then_kills() -> None:
    node = Node(pod({"name": "a", "lifecycle": PRE}, terminationGracePeriodSeconds=10))
    node.settle()
    node.delete()
    decision = node.settle()
    assert [type(action) for _, action in node.log[-2:]] == [MarkStop, RunHook]
    assert decision.wake == node.now + 10 * SECOND
    node.now += 4 * SECOND
    node.hook_ends()
    decision = node.settle()
    assert isinstance(node.log[-1][1], Terminate)
    assert decision.wake == node.now + 6 * SECOND
    node.now = decision.wake
    node.settle()
    assert isinstance(node.log[-1][1], Kill) and node.running() == []


def test_a_hook_that_uses_up_the_grace_leaves_two_seconds() -> None:
    node = Node(pod({"name": "a", "lifecycle": PRE}, terminationGracePeriodSeconds=3))
    node.settle()
    node.delete()
    node.now = node.settle().wake or 0
    decision = node.settle()
    assert isinstance(node.log[-1][1], Terminate)
    assert decision.wake == node.now + 2 * SECOND


def test_without_grace_there_is_neither_hook_nor_signal() -> None:
    node = Node(pod({"name": "a", "lifecycle": PRE}))
    node.settle()
    node.delete(grace=0)
    node.settle()
    assert [type(action) for _, action in node.log[-2:]] == [MarkStop, Kill]


def test_containers_wait_for_the_hook_of_the_one_before() -> None:
    node = Node(pod({"name": "a", "lifecycle": POST}, "b"))
    assert not node.settle().up
    assert node.running() == ["a"]
    node.hook_ends()
    assert node.settle().up
    assert node.running() == ["a", "b"]


def test_the_deadline_ends_the_pod() -> None:
    node = Node(pod("a", activeDeadlineSeconds=60, terminationGracePeriodSeconds=5))
    decision = node.settle()
    assert decision.wake == node.now + 60 * SECOND
    node.now = decision.wake
    node.settle()
    assert node.record.reason == "DeadlineExceeded"
    node.ends("a", 0)
    node.settle()
    assert node.running() == [] and not needs_care(node.pod, node.observed())


@pytest.mark.parametrize(
    ("restart", "again"), [("Always", True), ("OnFailure", True), ("Never", False)]
)
def test_a_dead_sandbox_is_made_again_where_something_is_to_run(restart: str, again: bool) -> None:
    node = Node(pod("a", inits=["i"], policy=restart))
    node.settle()
    node.ends("i", 0)
    node.settle()
    node.sandbox_dies()
    node.settle()
    assert node.running() == (["i"] if again else [])
    assert node.started("i") == [1, 1] if again else [1]


def test_with_everything_in_back_off_a_sandbox_is_not_made_in_vain() -> None:
    node = Node(pod("a"))
    node.settle()
    crash(node, "a", 1)
    node.sandbox_dies()
    decision = node.settle()
    assert not node.up and decision.wake == node.now + 10 * SECOND
    node.now = decision.wake
    node.settle()
    assert node.running() == ["a"]


def test_an_open_start_is_asked_for_again_under_its_id() -> None:
    node = Node(pod("a"))
    node.settle()
    observed = node.containers["a"]
    observed.record.pid = observed.record.ticks = 0
    node.containers["a"] = observed._replace(running=False)
    node.settle()
    assert node.running() == ["a"] and node.started("a") == [1]
    assert node.containers["a"].record.id == "a-0"


def test_a_restart_of_the_pod_forgets_back_offs_and_policies() -> None:
    node = Node(pod("a", "b", inits=["i"], policy="OnFailure"))
    node.settle()
    node.ends("i", 0)
    node.settle()
    crash(node, "a", 3)
    node.ends("b", 0)
    node.settle()
    node.ends("a", 1)
    assert node.settle().wake is not None
    node.record.goal = "restart"
    node.settle()
    assert sorted(node.running()) == ["a", "b"]
    assert len(node.started("i")) == 1


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("SIGTERM", 15),
        ("term", 15),
        ("9", 9),
        ("SIGRTMIN+3", 37),
        ("SIGRTMAX-1", 63),
        ("SIGRTMIN", 34),
        ("NONE", 0),
        ("0", 0),
    ],
)
def test_signals_by_name(text: str, number: int) -> None:
    assert signal_number(text) == number


def test_an_ephemeral_container_starts_once_beside_whatever_runs() -> None:
    shell = {"name": "e", "targetContainerName": "a"}
    node = Node(pod("a", inits=["i"], ephemeralContainers=[shell]))
    node.settle()
    assert sorted(node.running()) == ["e", "i"]  # it waits for no init container
    node.ends("e", 1)
    node.ends("i", 0)
    assert node.settle().up
    assert node.running() == ["a"]  # restartPolicy Always is not about it


def test_an_ephemeral_container_keeps_no_pod_from_its_end() -> None:
    node = Node(pod("a", policy="Never", ephemeralContainers=[{"name": "e"}]))
    node.settle()
    node.ends("a", 0)
    node.settle()
    assert MarkStop("e", 30 * SECOND) in [action for _, action in node.log]
