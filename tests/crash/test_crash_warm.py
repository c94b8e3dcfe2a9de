"""kill -9 on the warm way: the launcher, the warm process, and the command that runs in its child.

Each kill comes at a random time of a command. A killed warm process costs nothing: the command has
its effect once, says what it always says and returns its exit code. A killed launcher takes its
command with it, a killed command is told as its signal, and the same line given again gets to where
an undisturbed one gets. ``make warm-kills`` strikes 300 times.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from kubelite.testing.host import difference, snapshot
from tests.e2e.launcher import Answer, Launcher, children, commands, without_times
from tests.e2e.world import SLOW, TIMEOUT, World, alive, eventually, pod, world

__all__ = ["world"]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
KILLS = int(os.environ.get("KUBELITE_WARM_KILLS", "10")) // SLOW
SEED = int(os.environ.get("KUBELITE_SEED", "1"))
LAUNCHER, WARM, COMMAND = "launcher", "warm process", "command"
KILLED = -signal.SIGKILL
LINES = b"".join(b"line %d\n" % number for number in range(2000))
SCRIPT = """\
echo start >> /tokens/starts
seq -f 'line %.0f' 0 1999
trap 'exit 0' TERM
while :; do sleep 0.05; done
"""


class Struck(NamedTuple):
    """What became of a command: whether something was killed while it ran, and its answer."""

    hit: bool
    answer: Answer


class Ward:
    """One pod ``p`` that is brought up, used and taken down by the launcher."""

    def __init__(self, launcher: Launcher, world: World, place: Path) -> None:
        self.launcher, self.world = launcher, world
        self.tokens = place / "tokens"
        self.tokens.mkdir()
        self.manifest = place / "p.yaml"
        mounts = [{"name": "tokens", "mountPath": "/tokens"}]
        tokens = {"name": "tokens", "hostPath": {"path": str(self.tokens)}}
        spec = {"volumes": [tokens], "terminationGracePeriodSeconds": 5}
        document = pod(SCRIPT, volumeMounts=mounts)
        document["spec"].update(spec)
        self.manifest.write_text(yaml.safe_dump(document))
        self.before = snapshot(world.root)
        self.execs = 0
        self.given: dict[str, bool] = {}

    def lines(self) -> dict[str, tuple[str, ...]]:
        """The command lines that are struck."""
        script = f"echo once >> /tokens/exec-{self.execs}; echo said; exit 7"
        return {
            "up": ("pod", "up", str(self.manifest)),
            "exec": ("pod", "exec", "p", "--", "sh", "-c", script),
            "logs": ("pod", "logs", "p"),
            "ls": ("pod", "ls", "-o", "name"),
            "restart": ("pod", "restart", "p"),
            "down": ("pod", "down", "p"),
        }

    def starts(self) -> int:
        return self._tokens("starts")

    def _tokens(self, name: str) -> int:
        path = self.tokens / name
        return len(path.read_text().splitlines()) if path.exists() else 0

    def restarts(self) -> int:
        return int(self.world.get("p")["status"]["containerStatuses"][0]["restartCount"])

    def ready(self) -> bool:
        """Whether the container runs and has said all that it says when it starts."""
        return self.launcher.run("pod", "logs", "p", env=self.launcher.cold) == (0, LINES, b"")

    def run(self, name: str) -> Answer:
        return without_times(self.launcher.run(*self.lines()[name]))

    def strike(self, name: str, what: str, late: float) -> Struck:
        """The command with one of the three killed ``late`` seconds after its start."""
        if not self.launcher.answering():
            self.launcher.start_warm()
        warm = self.launcher.answering()
        process = self.launcher.start(*self.lines()[name], stdin=-3, stdout=-1, stderr=-1)
        time.sleep(late)
        below = commands(warm)
        victims = {LAUNCHER: [process.pid], WARM: [warm], COMMAND: below}[what]
        victims += [child for child in children(warm) if what == COMMAND and child not in below]
        hit = process.poll() is None and all(_kill(victim) for victim in victims)
        out, err = process.communicate(timeout=TIMEOUT)
        ours = [child for child in {*below, *commands(warm)} if what == LAUNCHER]
        eventually(lambda: not any(map(alive, ours)), "the command ends with its launcher")
        if what == WARM and self.launcher.warm is not None:
            self.launcher.warm.poll()
        answer = without_times((process.returncode, out, err))
        return Struck(hit and bool(victims), answer)

    def settle(self, name: str, struck: Struck, expected: Answer) -> None:
        """Whatever was killed: gets to where an undisturbed command gets, by giving a line again
        that was cut short, and checks that nothing was lost and nothing done twice.
        """
        whole = struck.answer == expected
        if not whole:
            assert struck.hit, f"not killed, and answered {struck.answer}"
            assert struck.answer[0] == KILLED, struck.answer
        getattr(self, f"_settle_{name}")(whole)

    def _settle_up(self, whole: bool) -> None:
        if not whole:
            assert self.run("up")[0] == 0
        eventually(self.ready, "the container has started")
        assert (self.starts(), self.restarts()) == (1, 0)

    def _settle_exec(self, whole: bool) -> None:
        self.given[f"exec-{self.execs}"] = whole
        self.execs += 1
        self._settle_ls(whole)

    def _settle_logs(self, whole: bool) -> None:
        self._settle_ls(whole)

    def _settle_ls(self, whole: bool) -> None:
        assert self.ready()
        assert self.starts() == self.restarts() + 1

    def _settle_restart(self, whole: bool) -> None:
        if not whole:
            assert self.run("restart")[0] == 0
        eventually(self.ready, "the container has started again")
        assert self.starts() == self.restarts() + 1

    def _settle_down(self, whole: bool) -> None:
        if not whole:
            assert self.run("down")[0] in (0, 1)  # 1: there is no such pod any more
        eventually(lambda: self.world.files() == set(), "no file of the pod")
        changes = difference(self.before, snapshot(self.world.root))
        assert changes == [], changes
        self.check_execs()
        (self.tokens / "starts").unlink()

    def check_execs(self) -> None:
        """A program was executed once where that was said, and never twice."""
        for name, whole in self.given.items():
            assert self._tokens(name) in ((1,) if whole else (0, 1)), name


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def ward(tmp_path: Path, world: World) -> Iterator[Ward]:
    launcher = Launcher(tmp_path / "bin", world)
    yield Ward(launcher, world, tmp_path)
    launcher.stop_warm()


def undisturbed(ward: Ward) -> tuple[dict[str, Answer], dict[str, float]]:
    """What each command answers and how many seconds it takes, in a warm process."""
    answers, seconds = {}, {}
    ward.launcher.start_warm()
    for name in ward.lines():
        began = time.monotonic()
        answers[name] = ward.run(name)
        seconds[name] = time.monotonic() - began
        ward.settle(name, Struck(False, answers[name]), answers[name])
    assert answers["exec"] == (7, b"said\n", b"")
    assert answers["logs"] == (0, LINES, b"")
    return answers, seconds


def test_the_warm_way_is_killed_at_random_times(ward: Ward) -> None:
    luck, counts = random.Random(SEED), Counter[str]()
    expected, seconds = undisturbed(ward)
    is_up = False
    while counts.total() < KILLS or is_up:
        names = ["exec", "exec", "logs", "ls", "restart", "down"] if is_up else ["up"]
        name, what = luck.choice(names), luck.choice([LAUNCHER, WARM, COMMAND])
        if counts.total() >= KILLS:
            name, what = "down", WARM
        late = luck.choice([luck.uniform(0, seconds[name]), luck.uniform(0, 0.01)])
        try:
            struck = ward.strike(name, what, late)
            ward.settle(name, struck, expected[name])
        except Exception as error:
            error.add_note(f"kill {counts.total() + 1} of seed {SEED}: {what} of {name}, {late} s")
            raise
        if struck.hit:
            counts[f"{what} of {name}"] += 1
        is_up = name != "down" and (is_up or name == "up")
    print(f"{counts.total()} kills: " + ", ".join(f"{k} {n}" for k, n in sorted(counts.items())))
