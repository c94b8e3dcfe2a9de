"""The wall clock is set, forwards or back, while a container runs or waits for its next start:
back-off, deadlines and probes go by a clock that nobody sets.
"""

from __future__ import annotations

import os
import time
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from kubelite.node.kubelet.act.exit_recorder import _finished
from kubelite.node.kubelet.act.probe_runner import began
from kubelite.node.kubelet.decide import actions
from kubelite.node.kubelet.decide.actions import TimePoint
from kubelite.node.runtime.clock import SECOND
from kubelite.node.runtime.processes import start_ticks
from kubelite.node.runtime.records import ContainerRecord, ExitRecord, ObservedContainer
from kubelite.objects.pod.pod import Pod
from kubelite.objects.rules.pods import defaults
from tests.node.kubelet.podsim import BOOT, WALL, Node

YEAR = 365 * 86400 * SECOND
MAX_BACKOFF = 300 * SECOND
JUMPS = st.integers(-10 * YEAR, 10 * YEAR)


def attempt(backoff: int = 0) -> ContainerRecord:
    return ContainerRecord(
        id="c-0", name="c", init=False, attempt=0, image="host", image_id="", created_at=0, env=(),
        cwd="/", uid=0, gid=0, groups=(), caps=(), no_new_privs=False, tty=False, stdin=False,
        oom_score_adj=0, started_at=WALL, backoff=backoff,
    )  # fmt: skip


@given(JUMPS, JUMPS, st.integers(0, MAX_BACKOFF), st.integers(0, 1000 * SECOND))
def test_a_back_off_is_never_longer_than_the_longest(
    running: int, waiting: int, last: int, ran: int
) -> None:
    """The clock jumps while the container runs, and again before its exit is noticed."""
    ending = ExitRecord(
        id="c-0",
        role=2,
        pid=7,
        code=1,
        signal=0,
        started_at=WALL,
        finished_at=WALL + ran + running,
    )
    now = TimePoint(ran + SECOND, BOOT, WALL + ran + running + waiting)
    observed = ObservedContainer(attempt(last), False, ending, None, None)
    past = _finished(observed, False, now, MAX_BACKOFF)
    assert now.now <= past.not_before <= now.now + MAX_BACKOFF
    assert 0 <= past.backoff <= MAX_BACKOFF


@given(JUMPS, st.integers(0, 200))
def test_a_deadline_goes_by_the_time_since_the_start(jump: int, seconds: int) -> None:
    spec = {"activeDeadlineSeconds": 100, "containers": [{"name": "c", "image": "host"}]}
    document: dict[str, Any] = {"metadata": {"name": "p"}, "spec": spec}
    defaults.pod(document)
    node = Node(msgspec.convert(document, Pod))
    node.settle()
    at = TimePoint(node.now + seconds * SECOND, BOOT, WALL + node.now + jump)
    decided = actions.decide(node.pod, node.observed(), at, MAX_BACKOFF)
    failed = any(isinstance(action, actions.FailPod) for action in decided.actions)
    assert failed == (at.now - node.record.started >= 100 * SECOND)


def test_probes_begin_by_the_age_of_the_process() -> None:
    """Whatever the record says of the wall time of its start."""
    for jump in (-YEAR, 0, YEAR):
        record = attempt()
        record.ticks = start_ticks(os.getpid()) or 0
        record.started_at = time.time_ns() + jump
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - began(record)
        with open("/proc/uptime", encoding="ascii") as file:
            up = float(file.read().split()[0])
        assert 0 <= age <= up
