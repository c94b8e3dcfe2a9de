"""Any mix of init containers, sidecars, hooks, probes and failures, run on a simulated node with a
clock set by hand.

The rules are stated here once more, from what was seen to happen, and not from the functions that
decide.
"""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelite.node.kubelet.decide.actions import RestartAll, StartContainer, needs_care
from kubelite.node.kubelet.decide.restart_policy import SECOND
from kubelite.node.kubelet.decide.stopping import Kill
from kubelite.objects.pod.pod import Pod
from tests.node.kubelet.podsim import ANEW, Node

HOOK = {"exec": {"command": ["true"]}}
FIRST, MOST = 10, 300
ALL = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [ANEW]}}


@st.composite
def containers(draw: Any, prefix: str, init: bool) -> list[dict[str, Any]]:
    made = []
    for number in range(draw(st.integers(0 if init else 1, 3))):
        each: dict[str, Any] = {"name": f"{prefix}{number}", "lifecycle": {}}
        sidecar = init and draw(st.booleans())
        if sidecar:
            each["restartPolicy"] = "Always"
        if sidecar or not init:
            if draw(st.booleans()):
                each["lifecycle"]["preStop"] = HOOK
            if draw(st.booleans()):
                each["lifecycle"]["postStart"] = HOOK
            if draw(st.booleans()):
                each["startupProbe"] = HOOK
        if draw(st.integers(0, 3)) == 0:
            each["restartPolicyRules"] = [ALL]
        made.append(each)
    return made


@st.composite
def pods(draw: Any) -> Pod:
    spec: dict[str, Any] = {
        "restartPolicy": draw(st.sampled_from(["Always", "OnFailure", "Never"])),
        "terminationGracePeriodSeconds": draw(st.sampled_from([0, 1, 30])),
        "initContainers": draw(containers("i", init=True)),
        "containers": draw(containers("m", init=False)),
    }
    if draw(st.integers(0, 4)) == 0:
        spec["activeDeadlineSeconds"] = draw(st.integers(1, 900))
    return msgspec.convert({"metadata": {"name": "p"}, "spec": spec}, Pod)


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.sampled_from([1, 5, 30, 400, 700])),
        st.tuples(st.just("wake"), st.just(0)),
        st.tuples(st.just("end"), st.integers(0, 20)),
        st.tuples(st.just("fail"), st.integers(0, 20)),
        st.tuples(st.just("anew"), st.integers(0, 20)),
        st.tuples(st.just("probe"), st.integers(0, 20)),
        st.tuples(st.just("hook"), st.just(0)),
        st.tuples(st.just("sandbox"), st.just(0)),
        st.tuples(st.just("forgotten answer"), st.integers(0, 20)),
    ),
    max_size=40,
)


class Watcher:
    """Follows a node's log and knows the rules. In a new sandbox, and when all begin anew, init
    containers run once more.
    """

    def __init__(self, node: Node) -> None:
        self.node, self.spec = node, node.pod.spec
        self.backoff: dict[str, int] = {}
        self.began: dict[str, int] = {}
        self.ended: dict[str, tuple[int, int]] = {}
        self.done: set[tuple[str, str, int]] = set()
        self.places: dict[str, str] = {}
        self.rounds: dict[str, int] = {}
        self.round = 0
        self.seen = 0

    def end(self, name: str, code: int) -> None:
        node = self.node
        self.ended[name] = (node.now, code)
        if code == 0:
            self.done.add((name, node.sandbox.pause, self.round))
        node.ends(name, code)

    def check(self) -> None:
        """Everything that was started since the last look was allowed to be."""
        for at, action in self.node.log[self.seen :]:
            if isinstance(action, StartContainer):
                self._check_allowed(at, action)
                self.began[action.name] = at
                self.places[action.name] = self.node.sandbox.pause
                self.rounds[action.name] = self.round
            elif isinstance(action, Kill):
                self.ended[action.name], self.backoff[action.name] = (at, 137), 0
            elif isinstance(action, RestartAll):
                assert (
                    self.ended[action.name][1] == ANEW and self.rounds[action.name] == self.round
                ), "for no reason"
                self.round += 1
        self.seen = len(self.node.log)

    def _check_allowed(self, at: int, start: StartContainer) -> None:
        init = start.name in [c.name for c in self.spec.init_containers]
        if not init:
            for each in self.spec.init_containers:
                if each.restart_policy != "Always":
                    assert (each.name, self.node.sandbox.pause, self.round) in self.done, (
                        f"{start.name} before {each.name} was done"
                    )
        if start.attempt == 0:
            return
        ended, code = self.ended[start.name]
        again = self.spec.restart_policy == "Always" or (
            self.spec.restart_policy == "OnFailure" and code != 0
        )
        container = next(
            c for c in (*self.spec.init_containers, *self.spec.containers) if c.name == start.name
        )
        once_more = (
            init
            and self.places[start.name] != self.node.sandbox.pause
            and self.spec.restart_policy != "Never"
        )
        anew = self.rounds[start.name] < self.round
        if anew and not (code == ANEW and container.restart_policy_rules):
            self.backoff[start.name] = 0
        assert again or once_more or anew or (init and container.restart_policy == "Always"), (
            f"{start.name} against its policy"
        )
        self._check_backoff(start.name, at - ended, ended - self.began[start.name])

    def _check_backoff(self, name: str, waited: int, ran: int) -> None:
        """The first restart at once, then 10 s, 20 s, ... 300 s after the end; anew after running
        for 600 s.
        """
        last = self.backoff.get(name, 0) if ran <= 2 * MOST * SECOND else 0
        assert waited >= last * SECOND, f"{name} after {waited / SECOND} s instead of {last} s"
        self.backoff[name] = min(2 * last or FIRST, MOST)


def play(node: Node, watch: Watcher, events: list[tuple[str, int]]) -> None:
    decision = node.settle()
    for kind, number in events:
        running = node.running()
        if kind == "pass":
            node.now += number * SECOND
        elif kind == "wake" and decision.wake is not None:
            assert decision.wake > node.now, "to be woken at once is to be busy"
            node.now = decision.wake
        elif kind == "hook":
            node.hook_ends()
        elif kind == "sandbox" and node.up:
            for name in running:
                watch.ended[name] = (node.now, 137)
            node.sandbox_dies()
        elif running:
            happen(node, watch, kind, running[number % len(running)])
        decision = node.settle()
        watch.check()


def happen(node: Node, watch: Watcher, kind: str, name: str) -> None:
    if kind in ("end", "fail", "anew"):
        watch.end(name, {"end": 0, "fail": 3, "anew": ANEW}[kind])
    elif kind == "probe":
        node.containers[name].record.startup_ok = True
    elif kind == "forgotten answer":
        seen = node.containers[name]
        seen.record.pid = seen.record.ticks = 0
        node.containers[name] = seen._replace(running=False)


@settings(max_examples=300, deadline=None)
@given(pods(), EVENTS)
def test_nothing_starts_too_early_too_often_or_too_soon(
    pod: Pod, events: list[tuple[str, int]]
) -> None:
    node = Node(pod)
    play(node, Watcher(node), events)


@settings(max_examples=300, deadline=None)
@given(pods(), EVENTS, st.booleans())
def test_deletion_always_comes_to_an_end(
    pod: Pod, events: list[tuple[str, int]], deaf: bool
) -> None:
    """``deaf``: containers ignore their signal and hooks never end."""
    node = Node(pod)
    watch = Watcher(node)
    play(node, watch, events)
    node.delete()
    began = node.now
    starts = len([1 for _, action in node.log if isinstance(action, StartContainer)])
    for _ in range(100):
        decision = node.settle()
        if not node.running():
            break
        if not deaf:
            node.hook_ends()
            for name in node.running():
                stop = node.containers[name].record.stop
                if stop is not None and stop.signalled:
                    node.ends(name, 143)
        if node.running() and decision.wake is not None:
            node.now = max(node.now, decision.wake)
    assert node.running() == []
    grace = pod.spec.termination_grace_period_seconds or 0
    assert node.now - began <= (grace + 2 * (len(pod.spec.init_containers) + 1)) * SECOND
    assert len([1 for _, action in node.log if isinstance(action, StartContainer)]) == starts
    assert node.settle() == (((), None, False, ""))


@settings(max_examples=300, deadline=None)
@given(pods(), EVENTS)
def test_a_pod_left_alone_gets_where_it_is_going(pod: Pod, events: list[tuple[str, int]]) -> None:
    """Once hooks end, probes succeed and nothing fails any more, everything that should run does,
    within the longest back-off.
    """
    node = Node(pod)
    watch = Watcher(node)
    play(node, watch, events)
    inits = [c.name for c in pod.spec.init_containers if c.restart_policy != "Always"]
    for _ in range(100):
        decision = node.settle()
        watch.check()
        node.hook_ends()
        for name in node.running():
            node.containers[name].record.startup_ok = True
            if name in inits:
                watch.end(name, 0)
            elif node.containers[name].record.stop is not None:
                watch.end(name, 143)
        decision = node.settle()
        if decision.wake is not None and decision.waiting:
            assert decision.wake - node.now <= MOST * SECOND
            node.now = decision.wake
    if decision.up:
        assert {c.name for c in pod.spec.init_containers if c.restart_policy == "Always"} <= set(
            node.running()
        )
        if pod.spec.restart_policy == "Always":
            assert {c.name for c in pod.spec.containers} <= set(node.running())
    else:
        assert node.running() == [] and not needs_care(node.pod, node.observed())
