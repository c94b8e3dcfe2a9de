"""The node agent is killed, by whoever can or by the kernel for its memory, and nobody looks at its
pods any more.

No test here asks kubelite anything while it waits: a command that looks would start an agent.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubelite.node.kubelet.agent import agent_control
from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.runtime import processes
from kubelite.node.runtime.ledger import Ledger
from tests.attack.arena import Arena, memory_limit, pod
from tests.e2e.world import alive, eventually, kill

# More than the shim waits before it calls for somebody.
NOBODY_COMES = 8
SECONDS = 40


@pytest.fixture
def tokens(arena: Arena, tmp_path: Path) -> Iterator[Path]:
    """A directory in which containers leave a token per start."""
    path = tmp_path / "tokens"
    path.mkdir()
    yield path
    agent_control.stop_agent(arena.home)


def attempts(tokens: Path) -> int:
    path = tokens / "started"
    return len(path.read_text()) if path.exists() else 0


def up_with_agent(arena: Arena, tokens: Path, script: str, **container: Any) -> int:
    """A pod that is started again when its container ends; returns its agent's pid."""
    spec = {
        "restartPolicy": "Always",
        "volumes": [{"name": "t", "hostPath": {"path": str(tokens)}}],
        "terminationGracePeriodSeconds": 1,
    }
    mounts = [{"name": "t", "mountPath": "/t"}]
    arena.up(pod(f"printf . >> /t/started; {script}", spec=spec, volumeMounts=mounts, **container))
    record = eventually(lambda: agent_control.running(arena.home), "the pod has an agent", SECONDS)
    eventually(lambda: attempts(tokens) == 1, "it has started", SECONDS)
    return int(record.pid)


def running(arena: Arena, module: str) -> list[int]:
    """The processes that run this module of the agent's for the arena."""
    pids = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if {f"kubelite.node.kubelet.agent.{module}".encode(), bytes(arena.root)} <= set(words):
                pids.append(int(path.parent.name))
    return pids


@pytest.mark.parametrize("defence", ["", "care"])
def test_a_killed_agent_is_followed_by_another(arena: Arena, tokens: Path, defence: str) -> None:
    """The shim sees the agent go. Without that nothing starts the container again that ends."""
    with arena.without(defence):
        first = up_with_agent(arena, tokens, "until [ -e /t/go ]; do sleep 0.1; done; exit 1")
    kill(first)
    (tokens / "go").touch()
    if defence:
        time.sleep(NOBODY_COMES)
        assert attempts(tokens) == 1
    else:
        eventually(lambda: attempts(tokens) > 1, "the container is started again", SECONDS)
        record = agent_control.running(arena.home)
        assert record is not None and record.pid != first


def test_agents_that_are_killed_again_and_again(arena: Arena, tokens: Path) -> None:
    """As the kernel does to one that finds no memory: the next one comes later, but it comes; and
    probes go on though no container ever ends.
    """
    (tokens / "well").touch()
    probe = {"exec": {"command": ["test", "-e", "/t/well"]}, "periodSeconds": 1}
    last = up_with_agent(
        arena,
        tokens,
        "sleep 1000",
        livenessProbe={**probe, "failureThreshold": 1},
    )
    for _ in range(3):
        kill(last)
        record = eventually(
            lambda last=last: (r := agent_control.running(arena.home)) and r.pid != last and r,
            "another agent comes",
            SECONDS,
        )
        last = record.pid
    (tokens / "well").unlink()
    eventually(lambda: attempts(tokens) > 1, "the probe has it started again", SECONDS)


def test_an_agent_that_finds_no_memory(arena: Arena, tokens: Path) -> None:
    """The kernel kills it: its pods run on, and another comes."""
    first = up_with_agent(arena, tokens, "until [ -e /t/go ]; do sleep 0.1; done; exit 1")
    main = arena.pid()
    (record,) = Ledger(arena.home).pods()

    def is_killed() -> bool:
        """What it already has is charged elsewhere; each notification asks for some more."""
        agent_control.notify(arena.home, record.uid)
        return not alive(first)

    with memory_limit(64 << 10, first) as kills:
        eventually(is_killed, "the agent is killed", SECONDS)
        assert "oom_kill 1" in kills.read_text()
    assert alive(main) and attempts(tokens) == 1
    (tokens / "go").touch()
    eventually(lambda: attempts(tokens) > 1, "another starts the container again", SECONDS)


def test_many_pods_get_one_agent(arena: Arena, tokens: Path) -> None:
    """The shims of all pods notice; one agent is left in the end, and none of them becomes the
    child of a shim, which would kill it with its pod.
    """
    first = up_with_agent(arena, tokens, "sleep 1000")
    names = [f"p{number}" for number in range(6)]
    for name in names:
        arena.up(pod("sleep 1000", name=name, spec={"restartPolicy": "Always"}))
    kill(first)
    eventually(lambda: agent_control.running(arena.home), "another agent comes", SECONDS)

    (only,) = eventually(
        lambda: len(pids := running(arena, "agent")) == 1 and pids, "one is left", SECONDS
    )
    for name in names:
        arena.down(name)
    assert running(arena, "agent") == [only]


def test_a_reset_is_not_disturbed_by_those_who_call_for_an_agent(
    arena: Arena, tokens: Path
) -> None:
    """It ends the agent first; the shims that are still there call for another one meanwhile."""
    first = up_with_agent(arena, tokens, "sleep 1000")
    for number in range(3):
        arena.up(pod("sleep 1000", name=f"p{number}", spec={"restartPolicy": "Always"}))
    os.kill(first, signal.SIGKILL)
    time.sleep(1.9)  # they are about to call
    arena.pods.reset(lambda step: None)
    time.sleep(2)
    assert not Path(arena.home.run).exists() and agent_control.running(arena.home) is None
    arena.home.make()


def test_an_agent_that_begins_while_another_is_stopped_stays_known(
    arena: Arena, tokens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record and its socket are not taken for those of the one before: nobody could stop it."""
    first = up_with_agent(arena, tokens, "sleep 1000")
    (record,) = Ledger(arena.home).pods()
    kill_and_wait = processes.kill_and_wait

    def followed(pid: int, ticks: int) -> None:
        kill_and_wait(pid, ticks)
        agent_control.ensure_agent(arena.home, record.uid)
        eventually(lambda: agent_control.notify(arena.home, record.uid), "another listens", SECONDS)

    monkeypatch.setattr(processes, "kill_and_wait", followed)
    agent_control.stop_agent(arena.home)
    monkeypatch.undo()
    second = agent_control.running(arena.home)
    assert second is not None and second.pid != first
    assert agent_control.notify(arena.home, record.uid)


def test_an_agent_whose_root_is_deleted_ends(arena: Arena, tokens: Path) -> None:
    """By itself, at once, and the shim of the pod that is left calls for no other."""
    agent = up_with_agent(arena, tokens, "sleep 1000")
    shim = arena.pods.queries.inspect("default", "p")["sandbox"]["shim"]
    shutil.rmtree(arena.root, ignore_errors=True)
    eventually(lambda: not alive(agent), "the agent has ended", SECONDS)
    shutil.rmtree(arena.root, ignore_errors=True)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        assert running(arena, "care") == [shim], "the command that it would run is in its own"
        time.sleep(0.02)
    assert not arena.root.exists()
    Pods(arena.home).reset(lambda step: None)
    arena.home.make()


def test_a_second_agent_may_begin_where_the_lock_was_deleted(arena: Arena, tokens: Path) -> None:
    """The first one ends: two would act on the same pods."""
    first = up_with_agent(arena, tokens, "until [ -e /t/go ]; do sleep 0.1; done; exit 1")
    Path(arena.home.run, agent_control.LOCK).unlink()
    eventually(lambda: not alive(first), "the first agent has ended", SECONDS)
    (tokens / "go").touch()
    eventually(lambda: attempts(tokens) > 1, "another one starts the container again", SECONDS)
