"""The next actions for a pod, from its specification and what was observed of it. Pure.

Everything that a decision rests on is on record, so that the successor of a killed process decides
the same. Times are nanoseconds of CLOCK_BOOTTIME. The order is the kubelet's: sandbox, init
containers one after the other (a sidecar counts once it has started), then the main containers in
the order of the specification, each after the postStart hook of the one before. Ephemeral
containers start as soon as there is a sandbox, once, and nothing waits for them.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from kubelite.node.kubelet.decide import restart_policy, stopping
from kubelite.node.kubelet.decide.restart_policy import SECOND, Member
from kubelite.node.kubelet.decide.stopping import Kill, MarkStop, RunHook, Terminate
from kubelite.node.runtime.records import (
    HOOK_BEGUN,
    HOOK_NONE,
    REMOVING,
    RESTART,
    RUN,
    STOP,
    ObservedContainer,
    ObservedPod,
    PodRecord,
)
from kubelite.objects.pod import qos
from kubelite.objects.pod.pod import Pod


class TimePoint(NamedTuple):
    """One moment: ``now`` is CLOCK_BOOTTIME of boot ``boot``, ``wall`` nanoseconds since 1970."""

    now: int
    boot: str
    wall: int


class CreateSandbox(NamedTuple):
    """Create what the containers share."""


class ClearSandbox(NamedTuple):
    """Remove the kernel objects of a sandbox that died or was never complete."""


class StartContainer(NamedTuple):
    """Start attempt number ``attempt``, which carries ``backoff`` nanoseconds for its successor;
    ``restarts`` attempts before it were created.
    """

    name: str
    attempt: int
    backoff: int
    restarts: int = 0


class ResumeStart(NamedTuple):
    """Request a recorded start again under its id: its requester was killed before the answer."""

    name: str


class RecordExit(NamedTuple):
    """Record durably how an attempt ended, and let the shim forget it."""

    name: str


class FailPod(NamedTuple):
    """The pod as a whole has failed."""

    reason: str
    message: str


class RestartAll(NamedTuple):
    """A rule of container ``name``, which exited with ``code``, restarts the pod from its first
    init container on.
    """

    name: str
    code: int


class FinishRestart(NamedTuple):
    """All containers have exited for a restart of the pod: it runs again from now on, without
    back-off where a user requested it.
    """


class Resize(NamedTuple):
    """Apply the specification's resource limits to the pod and its running containers."""


Action: TypeAlias = (
    CreateSandbox
    | ClearSandbox
    | Resize
    | StartContainer
    | ResumeStart
    | RecordExit
    | FailPod
    | RestartAll
    | FinishRestart
    | MarkStop
    | RunHook
    | Terminate
    | Kill
)


class Decision(NamedTuple):
    """What to do now, and when to look again if nothing happens before (None: no timer needed).

    ``up``: everything that should run has been started. ``waiting``: the container whose back-off
    the pod waits for, "" for none.
    """

    actions: tuple[Action, ...] = ()
    wake: int | None = None
    up: bool = False
    waiting: str = ""


RESIZE_RETRY = 5 * SECOND
"""How long after a failure limits are set again: memory in use may have become less."""
DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"


def decide(pod: Pod, observed: ObservedPod, clock: TimePoint, node_max_backoff: int) -> Decision:
    """The next actions; ``node_max_backoff`` is in nanoseconds. No actions: nothing is to be done
    until ``wake``, or until something of the pod changes.

    The order of the questions matters: facts go on record before anything is decided on them, and
    a dead sandbox is cleared before its successor is thought of.
    """
    record = observed.pod
    if record.stage == REMOVING:
        return _stop(pod, observed, clock)
    if unrecorded := _unrecorded(observed):
        return Decision(unrecorded)
    if has_dead_sandbox(observed):
        return Decision((ClearSandbox(),))
    retry = _next_resize(record, clock)
    if record.resize and retry is None and not _is_any_outdated_running(observed):
        return Decision((Resize(),))
    if record.goal == RUN and not record.reason:
        restart_all = _restart_all(pod, observed)
        if restart_all is not None:
            return Decision((restart_all,))
    if record.goal == RESTART and not _any_running(pod, observed):
        return Decision((FinishRestart(),))
    if record.goal in (STOP, RESTART) or restart_policy.is_finished(pod, observed):
        return _stop(pod, observed, clock)
    if record.paused:
        return Decision(up=True)
    max_backoff = restart_policy.max_backoff(pod, node_max_backoff)
    run = _run(pod, observed, clock, max_backoff)
    run = run._replace(wake=_earliest(run.wake, retry))
    return _sooner(run, _deadline(pod, observed, clock))


def needs_care(pod: Pod, observed: ObservedPod) -> bool:
    """Whether an agent has to stay with the pod: it may have to be restarted, stopped or probed, or
    something of it is not on record yet.
    """
    record, spec = observed.pod, pod.spec
    inits, mains = restart_policy.members(pod, observed)
    ephemeral = restart_policy.ephemeral_members(pod, observed)
    if record.stage == REMOVING or record.goal == RESTART or record.resize or _unrecorded(observed):
        return True
    if has_dead_sandbox(observed):
        return True
    if record.goal == STOP or restart_policy.is_finished(pod, observed):
        return any(m.running for m in (*inits, *mains, *ephemeral))
    if any(m.running or _is_unstarted(m) for m in ephemeral):
        return True
    if not all(m.running or restart_policy.has_exited(m) for m in mains):
        return True
    return (
        (spec.restart_policy or "Always") != "Never"
        or spec.active_deadline_seconds is not None
        or qos.has_storage_limit(pod)
        or any(
            restart_policy.will_restart(pod, m) or (m.running and _is_cared_for(m))
            for m in (*inits, *mains)
        )
    )


def _is_cared_for(member: Member) -> bool:
    """Whether a running container may need something before or after it exits."""
    container = member.container
    return bool(
        member.sidecar
        or container.restart_policy not in (None, "Never")
        or container.restart_policy_rules
        or any(restart_policy.probes(container))
        or (member.observed is not None and member.observed.record.stop is not None)
    )


def _next_resize(record: PodRecord, clock: TimePoint) -> int | None:
    """When limits that could not be set are tried again; None where that is now, or never. A time
    of another boot has come.
    """
    retry_at = record.resizing.retry_at if record.resizing is not None else 0
    return retry_at if clock.now < retry_at <= clock.now + RESIZE_RETRY else None


def _is_any_outdated_running(observed: ObservedPod) -> bool:
    """Whether a container has yet to stop for an update: what it uses may exceed new limits."""
    return any(
        container.running and is_outdated(container, observed.pod)
        for container in observed.containers
    )


def is_outdated(observed: ObservedContainer, record: PodRecord) -> bool:
    """Whether an update has changed the definition that this attempt was started from."""
    return observed.record.attempt <= record.stale_attempts.get(observed.record.name, -1)


# -- what goes on record first ---------------------------------------------------------------------


def _unrecorded(observed: ObservedPod) -> tuple[Action, ...]:
    """Unrecorded exits and unanswered starts. An unanswered start in a dead sandbox counts as an
    exit.
    """
    actions = (_unrecorded_of(container, observed.up) for container in observed.containers)
    return tuple(action for action in actions if action is not None)


def _unrecorded_of(observed: ObservedContainer, up: bool) -> Action | None:
    name = observed.record.name
    if observed.last_exit is not None:
        return None
    if restart_policy.is_start_pending(observed) and up:
        return ResumeStart(name)
    return None if observed.running else RecordExit(name)


def has_dead_sandbox(observed: ObservedPod) -> bool:
    """Whether the sandbox is down without having been taken down: its shim or pause has died."""
    return observed.sandbox is not None and not observed.up and not observed.sandbox.gone


def _restart_all(pod: Pod, observed: ObservedPod) -> RestartAll | None:
    inits, mains = restart_policy.members(pod, observed)
    for member in (*inits, *mains):
        if restart_policy.restarts_all(member) and member.last_exit is not None:
            return RestartAll(member.container.name, member.last_exit.code)
    return None


def _any_running(pod: Pod, observed: ObservedPod) -> bool:
    inits, mains = restart_policy.members(pod, observed)
    ephemeral = restart_policy.ephemeral_members(pod, observed)
    return any(m.running for m in (*inits, *mains, *ephemeral))


# -- down ------------------------------------------------------------------------------------------


def _stop(pod: Pod, observed: ObservedPod, clock: TimePoint) -> Decision:
    steps = stopping.decide(pod, observed, clock.now, clock.boot)
    return Decision(steps.actions, steps.wake)


def _deadline(pod: Pod, observed: ObservedPod, clock: TimePoint) -> Decision:
    """activeDeadlineSeconds. After a reboot only the wall clock can tell how long the pod has been
    active.
    """
    seconds, record = pod.spec.active_deadline_seconds, observed.pod
    if seconds is None:
        return Decision(up=True)
    active = (
        clock.now - record.started if record.boot == clock.boot else clock.wall - record.created_at
    )
    left = seconds * SECOND - active
    if left <= 0:
        return Decision((FailPod("DeadlineExceeded", DEADLINE_MESSAGE),))
    return Decision(wake=clock.now + left, up=True)


def _sooner(run: Decision, deadline: Decision) -> Decision:
    if deadline.actions:
        return deadline
    return run._replace(wake=_earliest(run.wake, deadline.wake))


def _earliest(one: int | None, other: int | None) -> int | None:
    return min((time for time in (one, other) if time is not None), default=None)


# -- up --------------------------------------------------------------------------------------------


def _run(pod: Pod, observed: ObservedPod, clock: TimePoint, max_backoff: int) -> Decision:
    """What a pod that is to run needs now.

    Three independent lists are carried out together: containers that are being stopped one by one
    (a failed probe, an update) take their next step, postStart hooks begin, and the next containers
    start. ``up`` is only true once the last of them has nothing more to start.
    """
    inits, mains = restart_policy.members(pod, observed)
    everyone = [*inits, *mains]
    if not observed.up or observed.sandbox is None:
        # No sandbox, so everything has exited. It is created when the first restart is due.
        waiting = _sandbox_backoff(
            [m for m in everyone if restart_policy.has_exited(m)], pod, clock
        )
        return Decision((CreateSandbox(),)) if waiting is None else waiting
    stops = [s for m in everyone if (s := stopping.next_steps(m, clock.now)) is not None]
    outdated = [
        MarkStop(m.container.name, restart_policy.grace(pod) * SECOND, restart=True)
        for m in everyone
        if _is_outdated_and_running(m, observed.pod)
    ]
    hooks = [hook for m in everyone if (hook := _post_start(m)) is not None]
    sandbox = observed.sandbox.pause
    if _is_initialized(mains, sandbox):
        starts = _keep_sidecars(inits, pod, clock, max_backoff)
    else:
        starts = _initialize(inits, clock, max_backoff, sandbox, pod)
    if starts.up:
        starts = _merge(starts, _start_mains(mains, pod, clock, max_backoff))
    added = _start_ephemeral(pod, observed, clock, max_backoff)
    wake = _earliest(starts.wake, added.wake)
    for steps in stops:
        wake = _earliest(wake, steps.wake)
    stop_actions = [action for steps in stops for action in steps.actions]
    return starts._replace(
        actions=(*outdated, *hooks, *stop_actions, *starts.actions, *added.actions),
        wake=wake,
        up=starts.up and not any(_is_restarting(m) for m in everyone),
    )


def _is_outdated_and_running(member: Member, record: PodRecord) -> bool:
    observed = member.observed
    return (
        observed is not None
        and observed.running
        and observed.record.stop is None
        and is_outdated(observed, record)
    )


def _is_restarting(member: Member) -> bool:
    """Whether it is being stopped in order to be started again."""
    observed = member.observed
    return (
        observed is not None
        and observed.running
        and observed.record.stop is not None
        and observed.record.stop.restart
    )


def _sandbox_backoff(exited: list[Member], pod: Pod, clock: TimePoint) -> Decision | None:
    """The wait until the first container may restart; None where one may start now or none ever
    ran.
    """
    restarting = [
        m for m in exited if restart_policy.will_restart(pod, m) and m.last_exit is not None
    ]
    if not restarting:
        return None
    first = min(restarting, key=lambda member: _not_before(member, clock))
    due = _not_before(first, clock)
    return Decision(wake=due, waiting=first.container.name) if due > clock.now else None


def _not_before(member: Member, clock: TimePoint) -> int:
    """When its back-off ends; one of another boot has ended."""
    last_exit = member.last_exit
    return last_exit.not_before if last_exit is not None and last_exit.boot == clock.boot else 0


def _post_start(member: Member) -> RunHook | None:
    observed = member.observed
    if (
        observed is None
        or not observed.running
        or observed.record.stop is not None
        or observed.record.post_start_hook != HOOK_NONE
        or not restart_policy.has_hook(member.container, "post_start")
    ):
        return None
    return RunHook(member.container.name, "post_start")


def _is_initialized(mains: list[Member], sandbox: str) -> bool:
    """Init containers are not looked at again once a main container was started in this sandbox."""
    return any(m.observed is not None and m.observed.record.sandbox == sandbox for m in mains)


def _initialize(
    inits: list[Member], clock: TimePoint, max_backoff: int, sandbox: str, pod: Pod
) -> Decision:
    """Starts the first init container that has not completed, and keeps the sidecars before it
    running.
    """
    result = Decision(up=True)
    for member in inits:
        if member.sidecar:
            result = _merge(result, _start(member, pod, clock, max_backoff))
            if not restart_policy.is_started(member):
                return result._replace(up=False)
        elif member.running:
            return result._replace(up=False)
        elif not restart_policy.completed_in(member, sandbox):
            return _merge(result, _start(member, pod, clock, max_backoff))._replace(up=False)
    return result


def _keep_sidecars(inits: list[Member], pod: Pod, clock: TimePoint, max_backoff: int) -> Decision:
    result = Decision(up=True)
    for member in inits:
        if member.sidecar:
            result = _merge(result, _start(member, pod, clock, max_backoff))
    return result._replace(up=True)


def _start_mains(mains: list[Member], pod: Pod, clock: TimePoint, max_backoff: int) -> Decision:
    result = Decision(up=True)
    for member in mains:
        has_hook = restart_policy.has_hook(member.container, "post_start")
        restarts = restart_policy.has_exited(member) and restart_policy.will_restart(pod, member)
        if member.observed is None or restarts:
            result = _merge(result, _start(member, pod, clock, max_backoff))
        # The kubelet starts a container only when the postStart hook of the one before is over.
        if has_hook and (member.observed is None or _is_hook_unfinished(member)):
            return result._replace(up=False)
    return result


def _start_ephemeral(
    pod: Pod, observed: ObservedPod, clock: TimePoint, max_backoff: int
) -> Decision:
    result = Decision()
    for member in restart_policy.ephemeral_members(pod, observed):
        if _is_unstarted(member):
            result = _merge(result, _start(member, pod, clock, max_backoff))
    return result


def _is_unstarted(ephemeral: Member) -> bool:
    """Whether an ephemeral container has not run yet; whatever its exit, it does not run again."""
    last_exit = ephemeral.last_exit
    return ephemeral.observed is None or (last_exit is not None and last_exit.never_created)


def _is_hook_unfinished(member: Member) -> bool:
    observed = member.observed
    return (
        observed is not None
        and observed.running
        and observed.record.post_start_hook in (HOOK_NONE, HOOK_BEGUN)
    )


def _start(member: Member, pod: Pod, clock: TimePoint, max_backoff: int) -> Decision:
    """Starts one container if it does not run, now or when its back-off is over. One that could not
    be created is tried again at a steady pace, and has not been restarted by that.
    """
    name, last_exit = member.container.name, member.last_exit
    if member.running:
        return Decision(up=True)
    if member.observed is None:
        return Decision((StartContainer(name, 0, 0),))
    record, not_before = member.observed.record, _not_before(member, clock)
    never_created = last_exit is not None and last_exit.never_created
    if not_before > clock.now:
        return Decision(wake=not_before, waiting="" if never_created else name)
    waited = last_exit.backoff if last_exit is not None and not never_created else 0
    backoff = restart_policy.next_backoff(waited, max_backoff)
    restarts = record.restarts + (not never_created)
    return Decision((StartContainer(name, record.attempt + 1, backoff, restarts),))


def _merge(one: Decision, other: Decision) -> Decision:
    return Decision(
        (*one.actions, *other.actions),
        _earliest(one.wake, other.wake),
        one.up and other.up,
        one.waiting or other.waiting,
    )
