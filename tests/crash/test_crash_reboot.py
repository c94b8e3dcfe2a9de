"""The machine goes down at any act of a verb and comes back: no process, another boot id, no run
directory, no kernel object. What should run is brought back, and nothing stays behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubelite.node.cgroup import control
from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.kubelet.agent import agent_control
from kubelite.node.kubelet.agent.agent import Agent
from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.network.pod import PodNetwork
from kubelite.node.runtime.home import boot_id
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.processes import find_pods_of_root, find_shims
from kubelite.node.runtime.records import REMOVING, STOP
from tests.crash import test_crash_steps as steps
from tests.crash.crashworld import Ward, child, ended
from tests.crash.test_crash_steps import STAY

# `make soak` goes through all of them.
STEP = 1 if os.environ.get("KUBELITE_EVERY_ACT") else 3
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
clean = steps.clean
BOOT_ID = b"/proc/sys/kernel/random/boot_id"
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 4096, 16384, 1 << 18


def in_another_boot(folder: Path, act: Callable[[], Any]) -> Callable[[], Any]:
    """The act of a process that sees the id of the next boot, in a mount namespace of its own."""
    path = folder / "boot_id"

    def run() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(CLONE_NEWNS) == 0
        assert libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) == 0
        assert libc.mount(os.fsencode(path), BOOT_ID, None, MS_BIND, None) == 0
        assert boot_id() == path.read_text().strip()
        act()

    return run


def go_down(ward: Ward) -> None:
    """As a reboot leaves a home."""
    home = ward.home
    with agent_control.exclude_agents(home):  # the shims call for one as long as they live
        for uid in find_pods_of_root(home.root):
            for shim in find_shims(uid):
                os.kill(shim, signal.SIGKILL)
        ward.until(lambda: not processes(ward), "nothing runs")
    PodNetwork(home.run, home.key, home.lock).remove_all()
    with CgroupTree(read_world(), home.cgroup) as tree:
        for uid in tree.pods():
            tree.remove_pod(uid)
        tree.remove_parent()
    ward.until(lambda: has_no_run(home.run), "what was called has ended")


def has_no_run(run: str) -> bool:
    """Removes a home's run directory; whether it is gone for good."""
    shutil.rmtree(run, ignore_errors=True)
    return not os.path.exists(run)


def processes(ward: Ward) -> list[int]:
    """What runs in the pods."""
    with CgroupTree(read_world(), ward.home.cgroup) as tree:
        return [pid for uid in tree.pods() for pid in control.processes(tree, uid, None)]


def acts(ward: Ward, verb: str = "up") -> Iterator[int]:
    """The number of each act of an undisturbed verb, and one beyond the last."""
    begin(ward, verb)
    fate = ward.fate()
    assert ended(child(lambda: ward.verb(verb, fate))) == 0
    numbers = sorted(set(steps.first_of_each(fate.acts()).values()))
    steps.check_nothing_left(ward)
    yield from [*(numbers if verb in ("up", "down") else numbers[::STEP]), len(fate.acts()) + 1]


def test_a_reboot_at_each_act_of_an_up(tmp_path: Path, clean: list[Ward]) -> None:
    ward = steps.made(tmp_path, STAY, "Always")
    clean.append(ward)
    for number in acts(ward):
        fate = ward.fate(number)
        assert ended(child(lambda fate=fate: ward.verb("up", fate))) in (-signal.SIGKILL, 0)
        was_recorded = next(Ledger(ward.home).pods(), None) is not None
        reboot(ward, tmp_path)
        if was_recorded:
            come_back(ward, tmp_path)
        steps.check_nothing_left(ward)


def begin(ward: Ward, verb: str) -> None:
    """The pod as a verb finds it."""
    if verb != "up":
        assert ended(child(lambda: ward.verb("up"))) == 0
        ward.until(lambda: starts(ward)["main"] == 1, "the containers run")


@pytest.mark.parametrize("verb", ["down", "restart", "update", "stop"])
def test_a_reboot_at_each_act_of_another_verb(tmp_path: Path, clean: list[Ward], verb: str) -> None:
    """What was on record is what is done: a pod that was to go goes, one that was to stop is left
    alone, any other is back, each container started once more.
    """
    ward = steps.made(tmp_path, STAY, "Always")
    clean.append(ward)
    for number in acts(ward, verb):
        begin(ward, verb)
        fate = ward.fate(number)
        assert ended(child(lambda fate=fate: ward.verb(verb, fate))) in (-signal.SIGKILL, 0)
        reboot(ward, tmp_path)
        record = next(Ledger(ward.home).pods(), None)
        if record is not None and record.stage == REMOVING:
            with agent_of_the_next_boot(ward, tmp_path):
                ward.until(lambda: ward.get() is None, "the pod is gone")
        elif record is not None and record.goal == STOP:
            before = starts(ward)
            with agent_of_the_next_boot(ward, tmp_path):
                time.sleep(0.3)
                assert starts(ward) == before
        elif record is not None:
            come_back(ward, tmp_path)
        steps.check_nothing_left(ward)


def test_a_reboot_while_something_is_executed(tmp_path: Path, clean: list[Ward]) -> None:
    """It is not executed again."""
    ward = steps.made(tmp_path, STAY, "Always")
    clean.append(ward)
    begin(ward, "exec")
    executed = ward.tokens / "executed"
    words = ["sh", "-c", "echo token >> /tokens/executed; sleep 1000"]
    caller = child(lambda: Pods(ward.home).exec("default", "p", "main", words).read())
    ward.until(executed.exists, "it is executed")
    os.kill(caller, signal.SIGKILL)
    assert ended(caller) == -signal.SIGKILL
    reboot(ward, tmp_path)
    come_back(ward, tmp_path)
    assert executed.read_text() == "token\n"


def reboot(ward: Ward, folder: Path) -> None:
    ward.end_agent()
    go_down(ward)
    (folder / "boot_id").write_text(f"{uuid.uuid4()}\n")


@contextlib.contextmanager
def agent_of_the_next_boot(ward: Ward, folder: Path) -> Iterator[None]:
    """It starts with the machine, and the pod is taken down before it ends."""
    agent = child(in_another_boot(folder, lambda: Agent(ward.home, stays=True).run()))
    try:
        ward.until(lambda: agent_control.running(ward.home) is not None, "there is an agent")
        yield
        if ward.get() is not None:
            assert ended(child(in_another_boot(folder, lambda: ward.verb("down", grace=0)))) == 0
    finally:
        os.kill(agent, signal.SIGKILL)
        os.waitpid(agent, 0)


def come_back(ward: Ward, folder: Path) -> None:
    """Each container is started once more, in its order."""
    before = starts(ward)
    with agent_of_the_next_boot(ward, folder):
        ward.until(lambda: starts(ward)["main"] > before["main"], "the pod is back")
        assert starts(ward) == {name: count + 1 for name, count in before.items()}, ward.story()


def starts(ward: Ward) -> dict[str, int]:
    """How often each container has started."""
    paths = {name: ward.tokens / name for name in ("init", "side", "main")}
    return {
        name: len(path.read_text().split()) if path.exists() else 0 for name, path in paths.items()
    }
