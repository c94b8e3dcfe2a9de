"""Pods come and go by the thousand, made by one process and looked after by one agent: neither
grows in descriptors, memory, threads or children, and nothing is left.

KUBELITE_CHURN says how many; ``make leaks`` takes 5000, ``make churn`` 100,000, a week of a busy
machine.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from kubelite.node.kubelet.agent import agent_control
from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.runtime.home import Home
from kubelite.objects.pod.pod import Pod
from kubelite.objects.rules.pods import defaults
from kubelite.testing.host import difference, snapshot
from tests.crash.crashworld import quiet
from tests.e2e.world import SLOW, eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
PODS = int(os.environ.get("KUBELITE_CHURN", "60")) // SLOW
WARM = 20
GROWTH = 4 << 20
"""Bytes by which the process may grow and still be called flat."""


def made(number: int) -> Pod:
    """One of four pods: one that ends, one that runs, one with init container and volumes, and one
    that an agent probes.
    """
    main = {"name": "c", "image": "host", "command": ["sh", "-c", f"echo {number}"]}
    spec: dict[str, Any] = {"restartPolicy": "Never", "containers": [main]}
    if number % 4:
        main["command"] = ["sleep", "1000"]
    if number % 4 == 2:
        main["volumeMounts"] = [{"name": name, "mountPath": f"/{name}"} for name in ("m", "d")]
        memory = {"name": "m", "emptyDir": {"medium": "Memory"}}
        spec["volumes"] = [memory, {"name": "d", "emptyDir": {}}]
        spec["initContainers"] = [{"name": "i", "image": "host", "command": ["true"]}]
    if number % 4 == 3:
        spec["restartPolicy"] = "Always"
        main["readinessProbe"] = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    document = {"metadata": {"name": "p"}, "spec": spec}
    defaults.pod(document)
    return msgspec.convert(document, Pod)


class Held(NamedTuple):
    """What a process holds: open descriptors, threads, child processes, bytes of its own memory."""

    descriptors: int
    threads: int
    children: int
    memory: int


def held_by(pid: int) -> Held:
    place = Path(f"/proc/{pid}")
    status = (place / "status").read_text()
    memory = int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) << 10  # type: ignore[index]
    threads = os.listdir(place / "task")
    descriptors = len(os.listdir(place / "fd"))
    return Held(descriptors, len(threads), sum(map(_children, (place / "task").iterdir())), memory)


def _children(thread: Path) -> int:
    """How many a thread has; none once it has ended."""
    try:
        return len((thread / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        return 0


def at_rest(pid: int, before: Held, what: str) -> Held:
    """What the process holds once it has put away all but its memory that it did not hold
    ``before``.
    """

    def rested() -> bool:
        nonlocal now
        now = held_by(pid)
        return now[:3] == before[:3]

    now = before
    try:
        eventually(rested, f"{what} holds {before[:3]}", 30)
    except AssertionError as error:
        names = sorted(os.readlink(link) for link in _links(pid))
        error.add_note(f"it holds {now[:3]}: {names}")
        raise
    return now


def _links(pid: int) -> list[Path]:
    return [link for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]


def _watches(pid: int) -> int:
    """How many it has; it may close what is looked at."""
    count = 0
    for link in _links(pid):
        with contextlib.suppress(FileNotFoundError):
            count += "inotify" in os.readlink(link)
    return count


@contextlib.contextmanager
def agent_of(home: Home) -> Iterator[int]:
    """An agent that stays, as `system agent --stay` runs it."""
    command = [sys.executable, "-m", "kubelite", "--root", home.root, "system", "agent", "--stay"]
    with subprocess.Popen(command, stdout=-3, stderr=-3, stdin=-3) as agent:
        eventually(lambda: agent_control.notify(home, "-"), "the agent listens", 60)
        eventually(lambda: _watches(agent.pid) == 2, "it watches its pods and its lock", 60)
        try:
            yield agent.pid
        finally:
            agent.terminate()


def use(pods: Pods, number: int) -> None:
    """A pod comes, is used as its kind can be, and goes."""
    pods.up(made(number), report=quiet)
    if number % 4:
        with pods.exec("default", "p", "c", ["true"]) as session:
            assert session.read() == 0
    if number % 4 == 3:
        eventually(lambda: _is_ready(pods), "the agent has probed the pod", 30)
    pods.down("default", "p", grace=0, report=quiet)


def _is_ready(pods: Pods) -> bool:
    status = pods.queries.get("default", "p").status
    return status is not None and all(each.ready for each in status.container_statuses)


def test_pods_come_and_go(tmp_path: Path) -> None:
    root = tmp_path / "k"
    before, began = snapshot(root), time.monotonic()
    home = Home(str(root))
    home.make()
    with agent_of(home) as agent:
        pods = Pods(home)
        idle = {"agent": (agent, held_by(agent)), "process": (os.getpid(), held_by(os.getpid()))}
        for number in range(WARM):
            use(pods, number)
        held = {who: at_rest(pid, first, who) for who, (pid, first) in idle.items()}
        for number in range(PODS):
            use(pods, number)
        grown = {
            who: at_rest(pid, held[who], who).memory - held[who].memory
            for who, (pid, _) in idle.items()
        }
        told = ", ".join(f"{who} grown by {size >> 10} KiB" for who, size in grown.items())
        print(f"{PODS} pods in {time.monotonic() - began:.0f} s, {told}: {held}")
        assert max(grown.values()) < GROWTH
    assert difference(before, snapshot(root)) == []
