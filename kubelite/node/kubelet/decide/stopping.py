"""How containers are stopped: preStop, stop signal, grace period, SIGKILL; main and ephemeral
containers first, sidecars last. Pure.

The order is the kubelet's: main containers all at once, then each sidecar once those started after
it are gone, in one grace period for all of them, with at least two seconds left for each sidecar
whose turn comes late. Times are nanoseconds of CLOCK_BOOTTIME.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from kubelite.node.kubelet.decide import restart_policy
from kubelite.node.kubelet.decide.restart_policy import SECOND, Member
from kubelite.node.runtime.records import (
    HOOK_NONE,
    HOOK_OVER,
    RESTART,
    ContainerRecord,
    ObservedPod,
)
from kubelite.objects.pod.container import Container
from kubelite.objects.pod.pod import Pod

MIN_GRACE = 2 * SECOND
"""The minimum time between stop signal and SIGKILL where a hook, or the wait for its turn, has used
up a container's grace period (the kubelet's minimumGracePeriodInSeconds)."""
SIGNALS = {
    name: number
    for number, name in enumerate(
        "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT "
        "STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split(),
        1,
    )
}
_SIGRTMIN = 34
_SIGRTMAX = 64


class MarkStop(NamedTuple):
    """Record that a container is to stop, with ``grace`` nanoseconds; ``restart``: it is started
    again afterwards.
    """

    name: str
    grace: int
    restart: bool = False


class RunHook(NamedTuple):
    """Run hook ``kind`` (post_start or pre_stop) in the background, until CLOCK_BOOTTIME ``until``,
    0 for no limit.
    """

    name: str
    kind: str
    until: int = 0


class Terminate(NamedTuple):
    """Send the stop signal."""

    name: str
    signal: int


class Kill(NamedTuple):
    """Send SIGKILL."""

    name: str


StopAction: TypeAlias = MarkStop | RunHook | Terminate | Kill


class StopSteps(NamedTuple):
    """What to do now, and when to look again."""

    actions: tuple[StopAction, ...]
    wake: int | None


def decide(pod: Pod, observed: ObservedPod, now: int, boot: str) -> StopSteps:
    """The next steps towards a pod in which nothing runs; no steps and no time in the end."""
    inits, mains = restart_policy.members(pod, observed)
    mains += restart_policy.ephemeral_members(pod, observed)
    since, grace = _stop_request(pod, observed, inits, now, boot)
    marks, wake = _due_marks(inits, mains, since, grace, now)
    if observed.pod.goal == RESTART:
        marks = [mark._replace(restart=True) for mark in marks]
    actions: list[StopAction] = list(marks)
    for member in (*inits, *mains):
        steps = next_steps(member, now) if member.running else None
        if steps is not None:
            actions += steps.actions
            wake = _earliest(wake, steps.wake)
    return StopSteps(tuple(actions), wake)


def _stop_request(
    pod: Pod, observed: ObservedPod, inits: list[Member], now: int, boot: str
) -> tuple[int, int]:
    """Since when the pod is to stop, and its grace: as requested, or the pod's own grace from the
    turn of its first sidecar.
    """
    request = observed.pod.stop
    if request is not None:
        return (request.since if request.boot == boot else now), request.grace
    marked_at = [
        m.observed.record.stop.since
        for m in inits
        if m.observed is not None and m.observed.record.stop is not None
    ]
    return min(marked_at, default=now), restart_policy.grace(pod) * SECOND


def _due_marks(
    inits: list[Member], mains: list[Member], since: int, grace: int, now: int
) -> tuple[list[MarkStop], int | None]:
    """Marks for the unmarked containers whose turn has come, and when the next turn comes."""
    left = max(since + grace - now, 0)
    first = [*mains, *(m for m in inits if not m.sidecar)]
    marks = [MarkStop(m.container.name, left) for m in first if _is_unmarked(m)]
    # A sidecar waits for everything that was started after it, but not longer than the grace.
    later_ones_run = any(m.running for m in first)
    wake = None
    for member in reversed([m for m in inits if m.sidecar]):
        if _is_unmarked(member) and later_ones_run and left > 0:
            wake = since + grace
        elif _is_unmarked(member):
            own_grace = max(left, MIN_GRACE) if grace > 0 else 0
            marks.append(MarkStop(member.container.name, own_grace))
        later_ones_run = later_ones_run or member.running
    return marks, wake


def _is_unmarked(member: Member) -> bool:
    return member.running and member.observed is not None and member.observed.record.stop is None


def next_steps(member: Member, now: int) -> StopSteps | None:
    """The next step for a container that is marked to stop; None for any other."""
    observed = member.observed
    stop = observed.record.stop if observed is not None and observed.running else None
    if observed is None or stop is None or stop.killed:
        return None
    name, deadline = member.container.name, stop.since + stop.grace
    if stop.grace <= 0:
        return StopSteps((Kill(name),), None)
    if stop.signalled:
        had_hook = stop.hook != HOOK_NONE
        kill_at = max(deadline, stop.signalled + MIN_GRACE) if had_hook else deadline
        return StopSteps((Kill(name),), None) if now >= kill_at else StopSteps((), kill_at)
    has_hook = restart_policy.has_hook(member.container, "pre_stop")
    if has_hook and stop.hook != HOOK_OVER and now < deadline:
        if stop.hook == HOOK_NONE:
            return StopSteps((RunHook(name, "pre_stop", deadline),), None)
        return StopSteps((), deadline)
    return StopSteps((Terminate(name, stop_signal(member.container, observed.record)),), None)


def stop_signal(container: Container, record: ContainerRecord) -> int:
    """The number of the signal that stops this attempt: lifecycle.stopSignal, else the image's
    STOPSIGNAL as recorded at its start, else SIGTERM (as containerd and CRI-O have it).
    """
    named = container.lifecycle.stop_signal if container.lifecycle is not None else None
    return signal_number(named or "") or record.stop_signal or SIGNALS["TERM"]


def signal_number(text: str) -> int:
    """The number of a signal written as ``SIGTERM``, ``TERM``, ``15``, ``SIGRTMIN+3`` or
    ``SIGRTMAX-1``; 0 where Linux has none of that name.
    """
    word = text.upper().removeprefix("SIG")
    if word.isascii() and word.isdigit():
        return int(word) if 1 <= int(word) <= _SIGRTMAX else 0
    for base, number, sign in (("RTMIN", _SIGRTMIN, 1), ("RTMAX", _SIGRTMAX, -1)):
        if word.startswith(base):
            offset = word.removeprefix(base).lstrip("+-")
            result = number + sign * (int(offset) if offset.isdigit() else 0)
            return result if _SIGRTMIN <= result <= _SIGRTMAX else 0
    return SIGNALS.get(word, 0)


def _earliest(*times: int | None) -> int | None:
    return min((time for time in times if time is not None), default=None)
