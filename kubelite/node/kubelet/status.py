"""What is there of a pod, as Kubernetes says it: phase, conditions, container states. Pure.

The rules are the kubelet's, with one difference that this version makes: nothing is started again, so that a pod whose init
container failed, or whose sandbox died under containers that should run, has failed for good.
"""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from kubelite.node.runtime.records import Observed, Seen
from kubelite.objects import qos
from kubelite.objects.container import Container
from kubelite.objects.pod import Pod
from kubelite.objects.status import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    HostIP,
    PodCondition,
    PodIP,
    PodStatus,
)

LOST = 137
"""The exit code that the kubelet gives a container whose end nobody has seen."""


def rfc3339(nanoseconds: int) -> str:
    """Whole seconds in UTC, as Kubernetes writes times (metav1.Time)."""
    return datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def with_status(pod: Pod, seen: Observed, node: str, address: str) -> Pod:
    """The pod's object with what was observed in it. ``node`` and ``address`` are this machine's."""
    record = seen.pod
    metadata = replace(pod.metadata, uid=record.uid, creation_timestamp=rfc3339(record.created_at))
    if record.stage == "removing":
        metadata = replace(metadata, deletion_timestamp=rfc3339(record.created_at))
    return replace(
        pod, metadata=metadata, spec=replace(pod.spec, node_name=node), status=pod_status(pod, seen, address)
    )


def pod_status(pod: Pod, seen: Observed, address: str) -> PodStatus:
    """The whole status. ``address`` is this machine's, where the sandbox does not say by which the pod reaches it."""
    by_name = {each.record.name: each for each in seen.containers}
    inits = [_status(c, by_name.get(c.name), seen, init=True) for c in pod.spec.init_containers]
    mains = [_status(c, by_name.get(c.name), seen, init=False) for c in pod.spec.containers]
    phase = _phase(pod, seen, inits, mains)
    host = (seen.sandbox.host_address if seen.sandbox is not None else "") or address
    own = host if pod.spec.host_network else seen.sandbox.address if seen.sandbox is not None else ""
    return PodStatus(
        phase=phase,
        conditions=tuple(_conditions(seen, phase, inits, mains)),
        host_ip=host,
        host_ips=(HostIP(ip=host),),
        pod_ip=own or None,
        pod_ips=(PodIP(ip=own),) if own else (),
        start_time=rfc3339(seen.pod.created_at),
        init_container_statuses=tuple(inits),
        container_statuses=tuple(mains),
        qos_class=qos.qos_class(pod),
    )


# -- containers ---------------------------------------------------------------------------------------------------------


def _status(container: Container, seen: Seen | None, pod: Observed, *, init: bool) -> ContainerStatus:
    state = _state(seen, pod, init)
    running = state.running is not None
    return ContainerStatus(
        name=container.name,
        state=state,
        ready=running or (init and state.terminated is not None and state.terminated.exit_code == 0),
        restart_count=seen.record.attempt if seen else 0,
        image=container.image or "",
        image_id=seen.record.image_id if seen else "",
        container_id=_id(seen) if seen else None,
        started=running,
    )


def _state(seen: Seen | None, pod: Observed, init: bool) -> ContainerState:
    if seen is None:
        reason = "PodInitializing" if init or any(each.record.init for each in pod.containers) else "ContainerCreating"
        return ContainerState(waiting=ContainerStateWaiting(reason=reason))
    if seen.exit is not None:
        return ContainerState(terminated=_terminated(seen))
    if seen.running:
        return ContainerState(running=ContainerStateRunning(started_at=rfc3339(seen.record.started_at)))
    if pod.pod.stage == "creating" and pod.up:
        return ContainerState(waiting=ContainerStateWaiting(reason="ContainerCreating"))
    return ContainerState(terminated=_lost(seen))


def _terminated(seen: Seen) -> ContainerStateTerminated:
    assert seen.exit is not None
    code = seen.exit.code
    reason = "OOMKilled" if seen.record.oom_killed else "Completed" if code == 0 else "Error"
    return ContainerStateTerminated(
        exit_code=code,
        reason=reason,
        started_at=rfc3339(seen.exit.started_at),
        finished_at=rfc3339(seen.exit.finished_at),
        container_id=_id(seen),
    )


def _lost(seen: Seen) -> ContainerStateTerminated:
    """The shim was killed, or the machine restarted: the kubelet's words for an end that nobody has seen."""
    return ContainerStateTerminated(
        exit_code=LOST,
        reason="ContainerStatusUnknown",
        message="the container ended while nobody was left to record how",
        started_at=rfc3339(seen.record.started_at) if seen.record.started_at else None,
        container_id=_id(seen),
    )


def _id(seen: Seen) -> str:
    return f"kubelite://{seen.record.id}"


# -- the pod ------------------------------------------------------------------------------------------------------------


def _codes(statuses: list[ContainerStatus]) -> list[int | None]:
    """The exit code of each container, None for one that has not ended."""
    return [s.state.terminated.exit_code if s.state and s.state.terminated else None for s in statuses]


def _phase(pod: Pod, seen: Observed, inits: list[ContainerStatus], mains: list[ContainerStatus]) -> str:
    before, codes = _codes(inits), _codes(mains)
    if any(code not in (0, None) for code in before):
        return "Failed"
    if any(code is None for code in before) or all(s.state and s.state.waiting for s in mains):
        return "Pending" if seen.up or seen.pod.stage == "creating" else "Failed"
    if None in codes:
        return "Running"
    ended_well = all(code == 0 for code in codes)
    policy = pod.spec.restart_policy or "Always"
    if seen.up and (policy == "Always" or (policy == "OnFailure" and not ended_well)):
        return "Running"
    return "Succeeded" if ended_well else "Failed"


def _conditions(
    seen: Observed, phase: str, inits: list[ContainerStatus], mains: list[ContainerStatus]
) -> list[PodCondition]:
    created, sandboxed = seen.pod.created_at, seen.sandbox.started_at if seen.sandbox else 0
    initialized = all(code == 0 for code in _codes(inits))
    unready = [s.name for s in mains if not s.ready]
    changed = max([_moment(each) for each in seen.containers] or [sandboxed or created])
    reason = "PodCompleted" if phase == "Succeeded" else "PodFailed" if phase == "Failed" else "ContainersNotReady"
    why = f"containers with unready status: [{' '.join(unready)}]" if unready else ""
    return [
        _condition("PodReadyToStartContainers", seen.up, sandboxed or created),
        _condition("Initialized", initialized, max(sandboxed, created), "" if initialized else "ContainersNotInitialized"),
        _condition("Ready", not unready, changed, reason if unready else "", why),
        _condition("ContainersReady", not unready, changed, reason if unready else "", why),
        _condition("PodScheduled", True, created),
    ]


def _moment(seen: Seen) -> int:
    return seen.exit.finished_at if seen.exit else seen.record.started_at or seen.record.created_at


def _condition(kind: str, holds: bool, since: int, reason: str = "", message: str = "") -> PodCondition:
    return PodCondition(
        type=kind,
        status="True" if holds else "False",
        last_transition_time=rfc3339(since),
        reason=reason or None,
        message=message or None,
    )
