"""kill -9 at any time, over commands, agents and shims: in the middle of an act and of a start too.

Every container says numbered lines, leaves a token per start and ends with a known code; what an
undisturbed run reaches is what each disturbed one has to reach. How many were killed of which kind
is printed (``make soak``).
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.crash import test_crash_steps as steps
from tests.crash.crashworld import Ward, child, ended
from tests.crash.test_crash_steps import CASES, STAY, Case
from tests.e2e.world import SLOW

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
KILLS = int(os.environ.get("KUBELITE_RANDOM_KILLS", "60")) // SLOW
SEED = int(os.environ.get("KUBELITE_SEED", "1"))
LINES = ["line 1", "line 2", "line 3"]
AGENT, ALONE, SHIM, BOTH = "agent", "agent, nobody looks", "shim", "shim and agent"
clean = steps.clean


class Reached(NamedTuple):
    """What an undisturbed run gets to, and in how many acts of the command and the agent."""

    report: dict[str, Any]
    acts: int
    agents: int


class Kill(NamedTuple):
    """``what`` is the name of a command's case, or one of the kinds above; it is killed ``late``
    seconds after act number ``at``."""

    what: str
    at: int
    late: float


def kills(luck: random.Random, reached: dict[str, Reached]) -> Iterator[Kill]:
    """Half of them hit a command, of these most a `pod up`."""
    for _ in range(KILLS):
        what = luck.choice(
            ["up", "up", *CASES, "down", AGENT, AGENT, AGENT, ALONE, SHIM, SHIM, SHIM, BOTH]
        )
        counts = reached[what if what in CASES else "up"]
        most = counts.acts if what in CASES else counts.agents
        late = luck.choice([0.0001, 0.0005, 0.001, 0.003, 0.01, luck.uniform(0.01, 0.3)])
        yield Kill(what, luck.randint(1, most), late)


def test_kills_at_random_times(tmp_path: Path, clean: list[Ward]) -> None:
    luck, struck = random.Random(SEED), Counter[str]()
    wards, reached = {}, {}
    for name, case in {**CASES, SHIM: Case(SHIM, STAY, "Always", "up")}.items():
        place = tmp_path / name
        place.mkdir()
        wards[name] = steps.made(place, case.main, case.restart)
        clean.append(wards[name])
        if name in CASES:
            report, acts, agents = steps.undisturbed(wards[name], case)
            reached[name] = Reached(report, len(acts), len(agents))
    for kill in kills(luck, reached):
        name = kill.what if kill.what in CASES else SHIM if SHIM in kill.what else "up"
        ward, number = wards[name], struck.total() + 1
        try:
            strike(ward, kill)
            if name == SHIM:
                check_again(ward)
            else:
                assert steps.settled(ward, CASES[name]) == reached[name].report
        except Exception as error:
            error.add_note(f"kill {number} of seed {SEED}: {kill}\n{ward.story()}")
            raise
        struck[kill.what] += 1
        steps.check_nothing_left(ward)
    print(f"{struck.total()} kills: " + ", ".join(f"{k} {n}" for k, n in sorted(struck.items())))


def strike(ward: Ward, kill: Kill) -> None:
    if kill.what in CASES:
        steps.strike_command(ward, CASES[kill.what], kill.at, kill.late)
    elif kill.what in (SHIM, BOTH):
        strike_shim(ward, kill)
    else:
        strike_agent(ward, kill)


def strike_agent(ward: Ward, kill: Kill) -> None:
    """Another one is started; where nobody looks, the pod's shim has to see to that."""
    ward.start_agent(ward.fate(kill.at, kill.late))
    assert ended(child(lambda: ward.verb("up"))) == 0
    ward.go()
    time.sleep(kill.late)
    ward.end_agent()
    if kill.what == AGENT:
        ward.start_agent()


def strike_shim(ward: Ward, kill: Kill) -> None:
    """Its containers die with it; the agent makes the sandbox anew, or the next one does."""
    ward.start_agent()
    ward.verb("up")
    ward.until(lambda: steps.said_all(ward), "the containers have spoken")
    (record,) = steps.ward_sandboxes(ward)
    time.sleep(kill.late)
    if kill.what == BOTH:
        ward.end_agent()
    os.kill(record.shim_pid, signal.SIGKILL)
    if kill.what == BOTH:
        ward.start_agent()


def check_again(ward: Ward) -> None:
    """Everything was started twice, has said its lines each time, and the loss is told."""
    pod = ward.until(lambda: steps.back(ward), "the pod is back")
    assert steps.restarts(pod) == {"init": 1, "side": 1, "main": 1}
    ward.until(lambda: steps.said_all(ward), "the containers have spoken again")
    report = ward.report()
    assert {name: len(found) for name, found in report["tokens"].items()} == {
        "init": 2,
        "side": 2,
        "main": 2,
    }
    assert report["logs"] == {name: [LINES, LINES] for name in ("init", "side", "main")}
    assert report["containers"]["main"]["last"] == (137, "ContainerStatusUnknown")
