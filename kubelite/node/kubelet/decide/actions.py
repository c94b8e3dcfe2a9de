"""What to do next for a pod: from its specification and what is there of it to a list of actions.
Pure.

Everything that a decision rests on is on record, so that whoever comes after a killed process
decides the same. Times are nanoseconds of CLOCK_BOOTTIME. The order is the kubelet's: sandbox, init
containers one after the other (a sidecar counts once it has started), then the main containers in
the order of their list, each after the postStart hook of the one before.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from kubelite.node.kubelet.decide import eviction, policy, stopping
from kubelite.node.kubelet.decide.policy import SECOND, Member
from kubelite.node.kubelet.decide.stopping import Kill, MarkStop, RunHook, Terminate
from kubelite.node.runtime.records import (
    HOOK_BEGUN,
    HOOK_NONE,
    REMOVING,
    RESTART,
    RUN,
    STOP,
    Observed,
    PodRecord,
    Seen,
)
from kubelite.objects.pod.pod import Pod


class Moment(NamedTuple):
    """When: CLOCK_BOOTTIME of boot ``boot``, and ``wall`` nanoseconds since 1970."""

    now: int
    boot: str
    wall: int


class MakeSandbox(NamedTuple):
    """Make what the containers share."""


class ClearSandbox(NamedTuple):
    """Give back the kernel objects of a sandbox that died or was never complete."""


class Start(NamedTuple):
    """Start attempt number ``attempt``; ``backoff`` nanoseconds have to pass after its end."""

    name: str
    attempt: int
    backoff: int


class Resume(NamedTuple):
    """Ask for a start again under the id on record: whoever asked first was killed before the
    answer.
    """

    name: str


class Note(NamedTuple):
    """Take durable note of how an attempt ended, and let the shim forget it."""

    name: str


class Fail(NamedTuple):
    """The pod as a whole has failed."""

    reason: str
    message: str


class RestartAll(NamedTuple):
    """A rule of container ``name``, which has exited with ``code``, restarts the pod from its first
    init container on.
    """

    name: str
    code: int


class Restarted(NamedTuple):
    """All containers have ended for a restart of the pod: from now on it runs again; without
    back-off, if somebody asked.
    """


class Resize(NamedTuple):
    """Set the limits of the pod and of its running containers as the specification has them now."""


Action: TypeAlias = (
    MakeSandbox
    | ClearSandbox
    | Resize
    | Start
    | Resume
    | Note
    | Fail
    | RestartAll
    | Restarted
    | MarkStop
    | RunHook
    | Terminate
    | Kill
)


class Decision(NamedTuple):
    """What to do now, and when to look again if nothing happens before (None: not by itself).

    ``up``: everything has been started that should be. ``waiting``: why it has not, a container in
    back-off.
    """

    actions: tuple[Action, ...] = ()
    wake: int | None = None
    up: bool = False
    waiting: str = ""


DEADLINE = "Pod was active on the node longer than the specified deadline"


def decide(pod: Pod, seen: Observed, at: Moment, most: int) -> Decision:
    """The next actions; ``most`` is the node's longest back-off. An empty list means that there is
    nothing to do until ``wake``, or until something of the pod changes."""
    record = seen.pod
    if record.stage == REMOVING:
        return _stop(pod, seen, at)
    if unsettled := _settle(seen):
        return Decision(unsettled)
    if seen.sandbox is not None and not seen.up and not seen.sandbox.gone:
        return Decision((ClearSandbox(),))
    if record.resize:
        return Decision((Resize(),))
    if record.goal == RUN and not record.reason and (found := _restarts_all(pod, seen)) is not None:
        return Decision((found,))
    if record.goal == RESTART and not _any_running(pod, seen):
        return Decision((Restarted(),))
    if record.goal in (STOP, RESTART) or policy.is_over(pod, seen):
        return _stop(pod, seen, at)
    if record.paused:
        return Decision(up=True)
    return _sooner(_run(pod, seen, at, policy.cap(pod, most)), _deadline(pod, seen, at))


def needs_care(pod: Pod, seen: Observed) -> bool:
    """Whether somebody has to stay with the pod: it may have to be started again, ended, or probed."""
    record, spec = seen.pod, pod.spec
    inits, mains = policy.members(pod, seen)
    if record.stage == REMOVING or record.goal == RESTART or record.resize or _settle(seen):
        return True
    if record.goal == STOP or policy.is_over(pod, seen):
        return any(m.running for m in (*inits, *mains))
    if not all(m.running or policy.ended(m) for m in mains):
        return True
    return (
        (spec.restart_policy or "Always") != "Never"
        or spec.active_deadline_seconds is not None
        or eviction.limited(pod)
        or any(
            policy.comes_again(pod, m) or (m.running and _is_cared_for(m)) for m in (*inits, *mains)
        )
    )


def _is_cared_for(member: Member) -> bool:
    container = member.container
    return bool(
        member.sidecar
        or container.restart_policy not in (None, "Never")
        or container.restart_policy_rules
        or any(policy.probes(container))
        or (member.seen is not None and member.seen.record.stop is not None)
    )


def is_outdated(seen: Seen, record: PodRecord) -> bool:
    """Whether an update has changed what this attempt was started from."""
    return seen.record.attempt <= record.swaps.get(seen.record.name, -1)


# -- first of all -------------------------------------------------------------------------------------------------------


def _settle(seen: Observed) -> tuple[Action, ...]:
    """Ends to take note of, and starts of which nobody has heard; an open start in a dead sandbox
    is an end.
    """
    return tuple(
        found for each in seen.containers if (found := _settled(each, seen.up)) is not None
    )


def _settled(seen: Seen, up: bool) -> Action | None:
    name = seen.record.name
    if seen.past is not None:
        return None
    if policy.is_open(seen) and up:
        return Resume(name)
    return None if seen.running else Note(name)


def _restarts_all(pod: Pod, seen: Observed) -> RestartAll | None:
    inits, mains = policy.members(pod, seen)
    source = next((m for m in (*inits, *mains) if policy.restarts_all(m)), None)
    return (
        RestartAll(source.container.name, source.past.code)
        if source is not None and source.past is not None
        else None
    )


def _any_running(pod: Pod, seen: Observed) -> bool:
    inits, mains = policy.members(pod, seen)
    return any(m.running for m in (*inits, *mains))


# -- down ---------------------------------------------------------------------------------------------------------------


def _stop(pod: Pod, seen: Observed, at: Moment) -> Decision:
    found = stopping.decide(pod, seen, at.now, at.boot)
    return Decision(found.actions, found.wake)


def _deadline(pod: Pod, seen: Observed, at: Moment) -> Decision:
    """activeDeadlineSeconds: after a reboot only the wall clock can tell how long the pod has been
    there.
    """
    seconds, record = pod.spec.active_deadline_seconds, seen.pod
    if seconds is None:
        return Decision(up=True)
    active = at.now - record.started if record.boot == at.boot else at.wall - record.created_at
    left = seconds * SECOND - active
    if left <= 0:
        return Decision((Fail("DeadlineExceeded", DEADLINE),))
    return Decision(wake=at.now + left, up=True)


def _sooner(run: Decision, deadline: Decision) -> Decision:
    if deadline.actions:
        return deadline
    return run._replace(wake=_first(run.wake, deadline.wake))


def _first(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else min(one, other)


# -- up -----------------------------------------------------------------------------------------------------------------


def _run(pod: Pod, seen: Observed, at: Moment, most: int) -> Decision:
    inits, mains = policy.members(pod, seen)
    ends = [found for m in (*inits, *mains) if (found := stopping.one(m, at.now)) is not None]
    swapped = [
        MarkStop(m.container.name, policy.grace(pod) * SECOND, again=True)
        for m in (*inits, *mains)
        if m.seen is not None
        and m.running
        and m.seen.record.stop is None
        and is_outdated(m.seen, seen.pod)
    ]
    going = [hook for m in (*inits, *mains) if (hook := _after_start(m)) is not None]
    if not seen.up or seen.sandbox is None:
        held = _held_back([m for m in (*inits, *mains) if policy.ended(m)], pod, at)
        return Decision((MakeSandbox(),)) if held is None else held
    sandbox = seen.sandbox.pause
    forward = (
        _initialize(inits, at, most, sandbox, pod)
        if not _initialized(mains, sandbox)
        else _keep(inits, pod, at, most)
    )
    if forward.up:
        forward = _together(forward, _mains(mains, pod, at, most))
    actions = (*swapped, *going, *(a for end in ends for a in end.actions), *forward.actions)
    wake = forward.wake
    for end in ends:
        wake = _first(wake, end.wake)
    return forward._replace(
        actions=actions,
        wake=wake,
        up=forward.up and not any(_comes_back(m) for m in (*inits, *mains)),
    )


def _comes_back(member: Member) -> bool:
    """Whether it is being ended to be started anew."""
    seen = member.seen
    return (
        seen is not None
        and seen.running
        and seen.record.stop is not None
        and seen.record.stop.again
    )


def _held_back(ended: list[Member], pod: Pod, at: Moment) -> Decision | None:
    """Without a sandbox every container has ended: the sandbox waits until the first of them may
    start.
    """
    again = [m for m in ended if policy.comes_again(pod, m) and m.past is not None]
    if not again:
        return None
    times = [_not_before(m, at) for m in again]
    first = min(times)
    return (
        Decision(wake=first, waiting=again[times.index(first)].container.name)
        if first > at.now
        else None
    )


def _not_before(member: Member, at: Moment) -> int:
    past = member.past
    return past.until if past is not None and past.boot == at.boot else 0


def _after_start(member: Member) -> RunHook | None:
    seen = member.seen
    if (
        seen is None
        or not seen.running
        or seen.record.stop is not None
        or seen.record.hooked != HOOK_NONE
    ):
        return None
    return (
        RunHook(member.container.name, "post_start")
        if policy.has_hook(member.container, "post_start")
        else None
    )


def _initialized(mains: list[Member], sandbox: str) -> bool:
    """Init containers are not looked at again once a main container was started in this sandbox."""
    return any(m.seen is not None and m.seen.record.sandbox == sandbox for m in mains)


def _initialize(inits: list[Member], at: Moment, most: int, sandbox: str, pod: Pod) -> Decision:
    """The first init container that is not done, with the sidecars before it kept running."""
    kept = Decision(up=True)
    for member in inits:
        if member.sidecar:
            kept = _together(kept, _one(member, pod, at, most))
            if not policy.is_started(member):
                return kept._replace(up=False)
        elif member.running:
            return kept._replace(up=False)
        elif not policy.done_here(member, sandbox):
            return _together(kept, _one(member, pod, at, most))._replace(up=False)
    return kept


def _keep(inits: list[Member], pod: Pod, at: Moment, most: int) -> Decision:
    kept = Decision(up=True)
    for member in inits:
        if member.sidecar:
            kept = _together(kept, _one(member, pod, at, most))
    return kept._replace(up=True)


def _mains(mains: list[Member], pod: Pod, at: Moment, most: int) -> Decision:
    found = Decision(up=True)
    for member in mains:
        if member.seen is None or (policy.ended(member) and policy.comes_again(pod, member)):
            found = _together(found, _one(member, pod, at, most))
        if _is_hooking(member) or (
            member.seen is None and policy.has_hook(member.container, "post_start")
        ):
            return found._replace(up=False)
    return found


def _is_hooking(member: Member) -> bool:
    seen = member.seen
    if seen is None or not seen.running or not policy.has_hook(member.container, "post_start"):
        return False
    return seen.record.hooked in (HOOK_NONE, HOOK_BEGUN)


def _one(member: Member, pod: Pod, at: Moment, most: int) -> Decision:
    """Starts one container if it does not run, now or when its back-off is over."""
    name, past = member.container.name, member.past
    if member.running:
        return Decision(up=True)
    if member.seen is None:
        return Decision((Start(name, 0, 0),))
    not_before = _not_before(member, at)
    if not_before > at.now:
        return Decision(wake=not_before, waiting=name)
    waited = past.wait if past is not None else 0
    return Decision(
        (Start(name, member.seen.record.attempt + 1, policy.next_backoff(waited, most)),)
    )


def _together(one: Decision, other: Decision) -> Decision:
    return Decision(
        (*one.actions, *other.actions),
        _first(one.wake, other.wake),
        one.up and other.up,
        one.waiting or other.waiting,
    )
