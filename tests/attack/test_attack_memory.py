"""Memory that runs out, by the kernel's own OOM killer: under a shim, beside it, and in one
container of several.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubelite.core.errors import CoreError
from kubelite.core.shim import Shim
from kubelite.node.kubelet.agent import agent_control
from kubelite.node.runtime import processes, sandbox
from tests.attack.arena import Arena, memory_limit, pod
from tests.crash.crashworld import child, ended
from tests.e2e.world import alive, eventually

SECONDS = 40
HOG = "x = []\nwhile True: x.append(bytearray(b'x' * (1 << 20)))"


@pytest.fixture
def agentless(arena: Arena) -> Iterator[Arena]:
    """An arena whose agent is ended afterwards."""
    yield arena
    agent_control.stop_agent(arena.home)


def two(policy: str, **spec: Any) -> dict[str, Any]:
    containers = [
        {"name": name, "image": "host", "command": ["sleep", "1000"]} for name in ("c", "d")
    ]
    return pod(spec={"restartPolicy": policy, "containers": containers, **spec})


def shim_of(arena: Arena) -> int:
    return int(arena.pods.queries.inspect("default", "p")["sandbox"]["shim"])


def statuses(arena: Arena) -> dict[str, Any]:
    status = arena.pods.queries.get("default", "p").status
    assert status is not None
    return {container.name: container for container in status.container_statuses}


def exhaust(arena: Arena, shim: int) -> None:
    """Connections without end, each of which the kernel charges to the shim."""
    (record,) = arena.pods.queries.records()
    held: list[Shim] = []

    def is_killed() -> bool:
        try:
            held.append(sandbox.connect(arena.home, record.uid))
            held[-1].hello()
        except CoreError:
            return not alive(shim)
        return False

    with memory_limit(64 << 10, shim) as kills:
        eventually(is_killed, "the shim is killed", SECONDS)
        assert "oom_kill 1" in kills.read_text()
    for connection in held:
        connection.close()


def test_a_shim_that_finds_no_memory(arena: Arena) -> None:
    """Its pod ends, and is seen to have ended by a kill; nothing of it runs on."""
    arena.up(two("Never"))
    shim, mains = shim_of(arena), [arena.pid(container=name) for name in ("c", "d")]
    exhaust(arena, shim)
    eventually(lambda: not any(map(alive, mains)), "its containers end", SECONDS)
    codes = {name: status.state.terminated.exit_code for name, status in statuses(arena).items()}
    assert codes == {"c": 137, "d": 137}
    assert arena.pods.queries.get("default", "p").status.phase == "Failed"  # type: ignore[union-attr]


def test_a_pod_whose_shim_found_no_memory_comes_back(agentless: Arena) -> None:
    agentless.up(two("Always"))
    first = shim_of(agentless)
    exhaust(agentless, first)
    eventually(
        lambda: all(s.restart_count == 1 and s.state.running for s in statuses(agentless).values()),
        "both containers run again",
        SECONDS,
    )
    assert alive(shim_of(agentless)) and shim_of(agentless) != first


@pytest.mark.parametrize("is_spared", [True, False])
def test_whoever_takes_the_memory_beside_a_shim_is_killed(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, is_spared: bool
) -> None:
    """The command that brought the pod up was the first to be killed by its score, as in a pod of
    another engine; its shim and pause are not.
    """
    if not is_spared:
        monkeypatch.setattr(sandbox, "spare_from_oom_kills", lambda pid: None)
    up_with_highest_score(arena, two("Never"))
    shim = shim_of(arena)
    first, second = hog(f"x = b'x' * {40 << 20}; print(flush=True); input()"), hog(HOG)
    with memory_limit(64 << 20, shim, first.pid, second.pid):
        assert first.stdin is not None and first.stdout is not None
        first.stdin.write(b"\n")
        first.stdin.flush()
        first.stdout.readline()
        second.communicate(b"\n")
    first.communicate(b"\n")
    assert alive(shim) == is_spared
    assert (statuses(arena)["c"].state.running is not None) == is_spared


def up_with_highest_score(arena: Arena, made: dict[str, Any]) -> None:
    def act() -> None:
        Path("/proc/self/oom_score_adj").write_text("1000")
        arena.up(made)

    assert ended(child(act)) == 0


def hog(script: str) -> subprocess.Popen[bytes]:
    """A process that does this to memory when it is told to."""
    words = [sys.executable, "-c", f"input()\n{script}"]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_one_container_takes_the_memory_of_the_pod(arena: Arena) -> None:
    """The limit is the pod's: who takes it is killed and says so, the others and pause run on."""
    made = two("Never", resources={"limits": {"memory": "48Mi"}})
    made["spec"]["containers"][0]["command"] = [sys.executable, "-c", HOG]
    arena.up(made)
    shim, other = shim_of(arena), arena.pid(container="d")
    hog = eventually(lambda: statuses(arena)["c"].state.terminated, "the hog is killed", SECONDS)
    assert (hog.exit_code, hog.reason) == (137, "OOMKilled")
    assert alive(shim) and alive(other) and statuses(arena)["d"].state.running


def test_what_pods_depend_on_has_the_score_of_a_sandbox(agentless: Arena) -> None:
    """Or 0 where this machine gives no lower one."""
    lowest = lowest_score()
    resources = {"limits": {"memory": "48Mi", "cpu": "100m"}}
    made = two("Always")
    for container in made["spec"]["containers"]:
        container["resources"] = resources
    up_with_highest_score(agentless, made)
    agent = eventually(lambda: agent_control.running(agentless.home), "there is an agent", SECONDS)
    parts = agentless.pods.queries.inspect("default", "p")["sandbox"]
    scores = [score(pid) for pid in (parts["shim"], parts["pause"], agent.pid)]
    assert scores == [max(lowest, processes.OOM_SCORE)] * 3
    assert score(agentless.pid()) == max(lowest, -997), "a Guaranteed container"


def score(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


def lowest_score() -> int:
    words = ["sh", "-c", "echo -1000 > /proc/self/oom_score_adj && echo yes"]
    is_permitted = subprocess.run(words, check=False, capture_output=True).stdout != b""
    return -1000 if is_permitted else 0
