"""The status of one container, as the kubelet reports it: state, last state, restarts. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from kubelite.node.kubelet.decide import restart_policy
from kubelite.node.kubelet.decide.restart_policy import (
    SECOND,
    UNKNOWN_EXIT_CODE,
    UNKNOWN_EXIT_MESSAGE,
    Member,
)
from kubelite.node.runtime.records import RUN, FinishedAttempt, ObservedContainer, ObservedPod
from kubelite.objects.pod.container import ResourceRequirements
from kubelite.objects.pod.pod import Pod
from kubelite.objects.pod.status import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
)


def rfc3339(nanoseconds: int) -> str:
    """Whole seconds in UTC, as Kubernetes writes times (metav1.Time)."""
    return datetime.fromtimestamp(nanoseconds // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def container_status(
    pod: Pod, member: Member, observed_pod: ObservedPod, *, over: bool
) -> ContainerStatus:
    """``over``: the pod has finished, nothing in it is restarted."""
    container, observed = member.container, member.observed
    state, last = _states(pod, member, observed_pod, over=over)
    plain = member.init and not member.sidecar
    return ContainerStatus(
        name=container.name,
        state=state,
        last_state=last,
        ready=restart_policy.exit_code(member) == 0 if plain else restart_policy.is_ready(member),
        restart_count=observed.record.restarts if observed is not None else 0,
        image=container.image or "",
        image_id=observed.record.image_id if observed is not None else "",
        container_id=_id(observed.record.id) if observed is not None else None,
        started=restart_policy.is_started(member),
        resources=_resources(member, observed_pod) if observed is not None else None,
        allocated_resources=container.resources.requests if observed is not None else {},
    )


def _resources(member: Member, observed_pod: ObservedPod) -> ResourceRequirements:
    """Those that the container runs with: the former ones while a resize is in progress."""
    resizing, allocated = observed_pod.pod.resizing, member.container.resources
    former = resizing.former.get(member.container.name) if resizing is not None else None
    if former is None or not member.running:
        return allocated
    return replace(allocated, limits=former["limits"], requests=former["requests"])


def _states(
    pod: Pod, member: Member, observed_pod: ObservedPod, *, over: bool
) -> tuple[ContainerState, ContainerState | None]:
    """State and last state. During the back-off, the exit of a container is its last state."""
    observed = member.observed
    if observed is None or (restart_policy.is_start_pending(observed) and not observed.running):
        return ContainerState(waiting=_waiting(member, observed_pod)), _last(observed)
    if observed.running:
        started = ContainerStateRunning(started_at=rfc3339(observed.record.started_at))
        return ContainerState(running=started), _last(observed)
    last_exit = observed.last_exit
    if last_exit is not None and last_exit.never_created:
        waiting = ContainerStateWaiting(reason=last_exit.reason, message=last_exit.message)
        return ContainerState(waiting=waiting), _last(observed)
    ended = _terminated(observed)
    if (
        not over
        and observed_pod.pod.goal == RUN
        and (observed.last_exit is not None and observed.last_exit.backoff)
        and restart_policy.will_restart(pod, member)
    ):
        return ContainerState(
            waiting=_backing_off(member, observed_pod, observed.last_exit)
        ), ContainerState(terminated=ended)
    if (
        observed.last_exit is not None
        and observed.last_exit.force_restart
        and not observed.record.sandbox
    ):
        return ContainerState(waiting=_waiting(member, observed_pod)), ContainerState(
            terminated=ended
        )
    return ContainerState(terminated=ended), _last(observed)


def _waiting(member: Member, observed_pod: ObservedPod) -> ContainerStateWaiting:
    blocked = observed_pod.pod.blocked
    if blocked is not None and blocked.image not in ("", member.container.image):
        blocked = None
    if blocked is not None and blocked.reason:
        return ContainerStateWaiting(reason=blocked.reason, message=blocked.message)
    begun = member.observed is not None or not any(
        container.record.init for container in observed_pod.containers
    )
    return ContainerStateWaiting(
        reason="ContainerCreating" if begun and not member.init else "PodInitializing",
        message=blocked.message if blocked is not None else None,
    )


def _backing_off(
    member: Member, observed_pod: ObservedPod, past: FinishedAttempt
) -> ContainerStateWaiting:
    record, name = observed_pod.pod, member.container.name
    where = f"{record.name}_{record.namespace}({record.uid})"
    return ContainerStateWaiting(
        reason="CrashLoopBackOff",
        message=f"back-off {duration(past.backoff)} restarting failed container={name} pod={where}",
    )


def duration(nanoseconds: int) -> str:
    """A duration in Go's format: ``10s``, ``2m40s``, ``5m0s``."""
    minutes, seconds = divmod(nanoseconds // SECOND, 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def _last(observed: ObservedContainer | None) -> ContainerState | None:
    before = observed.previous_exit if observed is not None else None
    return ContainerState(terminated=_finished(before)) if before is not None else None


def _terminated(observed: ObservedContainer) -> ContainerStateTerminated:
    if observed.last_exit is not None:
        return _finished(observed.last_exit)
    ended = observed.exit
    if ended is None:
        return _lost(observed)
    reason = (
        "OOMKilled" if observed.record.oom_killed else "Completed" if ended.code == 0 else "Error"
    )
    return ContainerStateTerminated(
        exit_code=ended.code,
        reason=reason,
        started_at=rfc3339(ended.started_at),
        finished_at=rfc3339(ended.finished_at),
        container_id=_id(observed.record.id),
    )


def _finished(attempt: FinishedAttempt) -> ContainerStateTerminated:
    return ContainerStateTerminated(
        exit_code=attempt.code,
        reason=attempt.reason,
        message=attempt.message or None,
        started_at=rfc3339(attempt.started_at) if attempt.started_at else None,
        finished_at=rfc3339(attempt.finished_at),
        container_id=_id(attempt.id),
    )


def _lost(observed: ObservedContainer) -> ContainerStateTerminated:
    """The kubelet's words for an exit that was not recorded: the shim was killed, or the machine
    restarted.
    """
    return ContainerStateTerminated(
        exit_code=UNKNOWN_EXIT_CODE,
        reason="ContainerStatusUnknown",
        message=UNKNOWN_EXIT_MESSAGE,
        started_at=rfc3339(observed.record.started_at) if observed.record.started_at else None,
        container_id=_id(observed.record.id),
    )


def _id(id: str) -> str:
    return f"kubelite://{id}"
