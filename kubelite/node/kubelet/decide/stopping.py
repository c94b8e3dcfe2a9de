"""How containers are ended: preStop, the stop signal, the grace, SIGKILL; main containers first,
sidecars last. Pure.

The order is the kubelet's: main containers all at once, then each sidecar once those started after
it are gone, in one grace period for all of them, with at least two seconds left for each whose turn
comes late. Times are nanoseconds of CLOCK_BOOTTIME.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from kubelite.node.kubelet.decide import policy
from kubelite.node.kubelet.decide.policy import SECOND, Member
from kubelite.node.runtime.records import HOOK_NONE, HOOK_OVER, RESTART, Observed
from kubelite.objects.pod.container import Container
from kubelite.objects.pod.pod import Pod

LEAST = 2 * SECOND
"""What a container gets between its signal and SIGKILL when a hook, or the wait for its turn, has
used up the grace.
"""
SIGNALS = {
    name: number
    for number, name in enumerate(
        "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU "
        "XFSZ VTALRM PROF WINCH IO PWR SYS".split(),
        1,
    )
}
_REALTIME, _LAST = 34, 64


class MarkStop(NamedTuple):
    """A container's turn to end has come, with ``grace`` nanoseconds; ``again``: it is started anew
    afterwards.
    """

    name: str
    grace: int
    again: bool = False


class RunHook(NamedTuple):
    """Run ``kind`` (post_start or pre_stop) beside everything else; ``until`` CLOCK_BOOTTIME, 0
    without limit.
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


Ending: TypeAlias = MarkStop | RunHook | Terminate | Kill


class Ends(NamedTuple):
    """What to do, and when to look again."""

    actions: tuple[Ending, ...]
    wake: int | None


def decide(pod: Pod, seen: Observed, now: int, boot: str) -> Ends:
    """The next steps towards a pod in which nothing runs; none, and no time, once that is reached."""
    inits, mains = policy.members(pod, seen)
    running = [m for m in (*inits, *mains) if m.running]
    since, grace = _asked(pod, seen, inits, now, boot)
    marks, wake = _turns(inits, mains, since, grace, now)
    if seen.pod.goal == RESTART:
        marks = [mark._replace(again=True) for mark in marks]
    actions: list[Ending] = list(marks)
    for member in running:
        found = one(member, now)
        if found is not None:
            actions += found.actions
            wake = _first(wake, found.wake)
    return Ends(tuple(actions), wake)


def _asked(pod: Pod, seen: Observed, inits: list[Member], now: int, boot: str) -> tuple[int, int]:
    """Since when the pod is to end, and its grace: what somebody asked for, or its own from the
    turn of the first sidecar.
    """
    asked = seen.pod.stop
    if asked is not None:
        return (asked.since, asked.grace) if asked.boot == boot else (now, asked.grace)
    marked = [
        m.seen.record.stop.since
        for m in inits
        if m.seen is not None and m.seen.record.stop is not None
    ]
    return min(marked, default=now), policy.grace(pod) * SECOND


def _turns(
    inits: list[Member], mains: list[Member], since: int, grace: int, now: int
) -> tuple[list[MarkStop], int | None]:
    """Those whose turn has come and that are not marked yet."""
    left = max(since + grace - now, 0)
    first = [*mains, *(m for m in inits if not m.sidecar)]
    marks = [MarkStop(m.container.name, left) for m in first if _unmarked(m)]
    before = any(m.running for m in first)
    wake = None
    for member in reversed([m for m in inits if m.sidecar]):
        if _unmarked(member) and before and left > 0:
            wake = since + grace
        elif _unmarked(member):
            marks.append(MarkStop(member.container.name, max(left, LEAST) if grace > 0 else 0))
        before = before or member.running
    return marks, wake


def _unmarked(member: Member) -> bool:
    return member.running and member.seen is not None and member.seen.record.stop is None


def one(member: Member, now: int) -> Ends | None:
    """The next step for a container that was marked; None for any other."""
    seen = member.seen
    stop = seen.record.stop if seen is not None and seen.running else None
    if stop is None or stop.killed:
        return None
    name, over = member.container.name, stop.since + stop.grace
    if stop.grace <= 0:
        return Ends((Kill(name),), None)
    if stop.signalled:
        last = max(over, stop.signalled + LEAST) if stop.hook != HOOK_NONE else over
        return Ends((Kill(name),), None) if now >= last else Ends((), last)
    if policy.has_hook(member.container, "pre_stop") and stop.hook != HOOK_OVER and now < over:
        return (
            Ends((RunHook(name, "pre_stop", over),), None)
            if stop.hook == HOOK_NONE
            else Ends((), over)
        )
    return Ends((Terminate(name, signal_of(member.container)),), None)


def signal_of(container: Container) -> int:
    """The number of its stop signal; SIGTERM where it names none that Linux has."""
    named = container.lifecycle.stop_signal if container.lifecycle is not None else None
    return number_of(named or "") or SIGNALS["TERM"]


def number_of(text: str) -> int:
    """The number of a signal written as ``SIGTERM``, ``TERM``, ``15``, ``SIGRTMIN+3`` or
    ``SIGRTMAX-1``; 0 for none.
    """
    word = text.upper().removeprefix("SIG")
    if word.isascii() and word.isdigit():
        return int(word) if 1 <= int(word) <= _LAST else 0
    for base, number, sign in (("RTMIN", _REALTIME, 1), ("RTMAX", _LAST, -1)):
        if word.startswith(base):
            rest = word.removeprefix(base).lstrip("+-")
            found = number + sign * (int(rest) if rest.isdigit() else 0)
            return found if _REALTIME <= found <= _LAST else 0
    return SIGNALS.get(word, 0)


def _first(*times: int | None) -> int | None:
    known: Iterable[int] = [each for each in times if each is not None]
    return min(known, default=None)
