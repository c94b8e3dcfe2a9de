"""The status of a pod: phase, conditions, container states. Pure.

The rules are the kubelet's. A pod that was stopped on purpose counts as finished; its reason says
so.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from kubelite.node.kubelet.decide import restart_policy
from kubelite.node.kubelet.decide.container_status import container_status, rfc3339
from kubelite.node.kubelet.decide.restart_policy import SECOND
from kubelite.node.runtime.records import (
    REMOVING,
    RESTART,
    STOP,
    ConditionsRecord,
    ObservedContainer,
    ObservedPod,
)
from kubelite.objects.pod import qos
from kubelite.objects.pod.pod import Pod
from kubelite.objects.pod.status import ContainerStatus, HostIP, PodCondition, PodIP, PodStatus

LOG_DISK_FULL = "kubelite.io/LogDiskFull"
"""The condition of a pod whose log lines are lost on a full disk."""
RESIZE_PENDING, RESIZE_IN_PROGRESS = "PodResizePending", "PodResizeInProgress"
PASSING = (RESIZE_PENDING, RESIZE_IN_PROGRESS, LOG_DISK_FULL)
"""Conditions that a pod has only while they hold."""
__all__ = ["pod_status", "rfc3339", "transitions", "with_status"]


def with_status(pod: Pod, observed: ObservedPod, node: str, address: str) -> Pod:
    """The pod's object with its observed status. ``node`` and ``address`` are this machine's."""
    record = observed.pod
    metadata = replace(pod.metadata, uid=record.uid, creation_timestamp=rfc3339(record.created_at))
    if record.stage == REMOVING:
        until, seconds = record.removal_at + record.removal_grace, record.removal_grace // SECOND
        metadata = replace(
            metadata, deletion_timestamp=rfc3339(until), deletion_grace_period_seconds=seconds
        )
    return replace(
        pod,
        metadata=metadata,
        spec=replace(pod.spec, node_name=node),
        status=pod_status(pod, observed, address),
    )


def pod_status(pod: Pod, observed: ObservedPod, address: str) -> PodStatus:
    """The whole status. ``address`` is this machine's, for a sandbox that does not know the one by
    which the pod reaches it.
    """
    builder = _StatusBuilder(pod, observed)
    sandbox = observed.sandbox
    host = (sandbox.host_address if sandbox is not None else "") or address
    addresses = sandbox.addresses if sandbox is not None else ()
    own = addresses if not pod.spec.host_network else (host,) if host else ()
    return PodStatus(
        phase=builder.phase,
        conditions=tuple(builder.conditions()),
        message=observed.pod.message or None,
        reason=observed.pod.reason or builder.reason or None,
        host_ip=host,
        host_ips=(HostIP(ip=host),),
        pod_ip=next(iter(own), None),
        pod_ips=tuple(PodIP(ip=address) for address in own),
        start_time=rfc3339(observed.pod.created_at),
        init_container_statuses=tuple(builder.inits),
        container_statuses=tuple(builder.mains),
        ephemeral_container_statuses=tuple(builder.ephemeral),
        qos_class=qos.qos_class(pod),
    )


def transitions(pod: Pod, observed: ObservedPod, wall: int) -> ConditionsRecord | None:
    """Since when each condition has its status, if one has changed at ``wall`` nanoseconds since
    1970; else None.
    """
    known, changed = dict(observed.conditions.since), False
    for kind, holds, *_ in _StatusBuilder(pod, observed).aspects():
        status = _word(holds)
        if known.get(kind, ("", 0))[0] != status:
            known[kind], changed = (status, wall), True
    return ConditionsRecord(since=known) if changed else None


class _StatusBuilder:
    """The parts of a pod's status."""

    def __init__(self, pod: Pod, observed: ObservedPod) -> None:
        self.pod, self.observed = pod, observed
        inits, mains = restart_policy.members(pod, observed)
        ephemeral = restart_policy.ephemeral_members(pod, observed)
        self.stopped = observed.pod.goal == STOP and not any(m.running for m in (*inits, *mains))
        self.over = self.stopped or restart_policy.is_finished(pod, observed)
        self.plain = [m.container.name for m in inits if not m.sidecar]
        self.inits = [container_status(pod, m, observed, over=self.over) for m in inits]
        self.mains = [container_status(pod, m, observed, over=self.over) for m in mains]
        self.ephemeral = [
            _of_ephemeral(container_status(pod, m, observed, over=True)) for m in ephemeral
        ]
        self.phase = self._phase()

    @property
    def reason(self) -> str:
        """The reason for a state that has no phase in Kubernetes."""
        return "Stopped" if self.stopped else "Paused" if self.observed.pod.paused else ""

    # -- phase -------------------------------------------------------------------------------------

    def _phase(self) -> str:
        before, codes = self._unfinished(), [_code(s) for s in self.mains]
        if self.observed.pod.reason or self._failed_to_initialize():
            return "Failed"
        if self.over:
            return self._end(codes)
        if self.observed.pod.restart_reason and self._is_restarting_all():
            return "Pending"
        if before or any(
            code is None and _waits(s) for code, s in zip(codes, self.mains, strict=True)
        ):
            return "Pending"
        return "Running"

    def _is_restarting_all(self) -> bool:
        """Whether a restart of all containers has not reached the main ones yet."""
        mains = restart_policy.members(self.pod, self.observed)[1]
        waits = any(
            m.last_exit is not None
            and m.last_exit.force_restart
            and m.observed is not None
            and not m.observed.record.sandbox
            for m in mains
        )
        return not any(m.running for m in mains) and (waits or self.observed.pod.goal == RESTART)

    def _end(self, codes: list[int | None]) -> str:
        if not codes or all(code == 0 for code in codes):
            return "Succeeded"
        return (
            "Failed" if any(code is not None for code in codes) or not self.stopped else "Pending"
        )

    def _failed_to_initialize(self) -> bool:
        return (
            self.over
            and not self.stopped
            and any(
                s.state is not None
                and s.state.terminated is not None
                and s.state.terminated.exit_code != 0
                for s in self.inits
                if s.name in self.plain
            )
        )

    def _unfinished(self) -> list[str]:
        """Init containers that the main ones wait for; none once a main container was started."""
        if any(_code(s) is not None or _runs(s) for s in self.mains):
            return []
        return [s.name for s in self.inits if not (s.ready if s.name in self.plain else s.started)]

    # -- conditions --------------------------------------------------------------------------------

    def aspects(self) -> list[tuple[str, bool, int, str, str]]:
        """Of each condition: type, status, since when according to the records, reason and
        message.
        """
        observed, created = self.observed, self.observed.pod.created_at
        sandboxed = observed.sandbox.started_at if observed.sandbox else 0
        pending, unready = self._unfinished(), self._unready()
        changed = max([_last_change(c) for c in observed.containers] or [sandboxed or created])
        end = (
            "PodCompleted"
            if self.phase == "Succeeded"
            else "PodFailed"
            if self.phase == "Failed"
            else ""
        )
        reason = (end or "ContainersNotReady") if unready else ""
        why = (
            f"containers with unready status: [{' '.join(unready)}]" if unready and not end else ""
        )
        waits = f"containers with incomplete status: [{' '.join(pending)}]" if pending else ""
        initialized = (
            "ContainersNotInitialized" if pending else end if self.phase == "Succeeded" else ""
        )
        restarted = [
            (
                "AllContainersRestarting",
                observed.pod.goal == RESTART,
                changed,
                "ContainerExited",
                observed.pod.restart_reason,
            )
        ]
        ended = "TerminationByKubelet", observed.pod.message
        disrupted = [("DisruptionTarget", True, changed, *ended)] if observed.pod.disrupted else []
        return [
            *disrupted,
            *(restarted if observed.pod.restart_reason else []),
            ("PodReadyToStartContainers", observed.up, sandboxed or created, "", ""),
            ("Initialized", not pending, max(sandboxed, created), initialized, waits),
            ("Ready", not unready, changed, reason, why),
            ("ContainersReady", not unready, changed, reason, why),
            ("PodScheduled", True, created, "", ""),
        ]

    def _unready(self) -> list[str]:
        sidecars = [s for s in self.inits if s.name not in self.plain]
        return [s.name for s in (*sidecars, *self.mains) if not s.ready]

    def conditions(self) -> list[PodCondition]:
        aspects = (self._condition(*aspect) for aspect in self.aspects())
        return [*aspects, *self._resize(), *self._disk()]

    def _resize(self) -> Iterator[PodCondition]:
        """Present while a resize waits for room, or its limits are not set (KEP 1287)."""
        record = self.observed.pod
        if (pending := record.pending_resize) is not None:
            yield PodCondition(
                type=RESIZE_PENDING,
                status="True",
                observed_generation=pending.generation or None,
                last_transition_time=rfc3339(pending.since),
                reason=pending.reason,
                message=pending.message,
            )
        if record.resize and (resizing := record.resizing) is not None:
            yield PodCondition(
                type=RESIZE_IN_PROGRESS,
                status="True",
                observed_generation=resizing.generation or None,
                last_transition_time=rfc3339(resizing.since),
                reason="Error" if resizing.error else None,
                message=resizing.error or None,
            )

    def _disk(self) -> Iterator[PodCondition]:
        """A condition of our own, present while the disk is full."""
        lost = [
            f"{container.record.name} ({container.lost})"
            for container in self.observed.containers
            if container.lost
        ]
        if lost:
            message = f"no space left for logs; lines lost so far: {', '.join(lost)}"
            yield PodCondition(
                type=LOG_DISK_FULL, status="True", reason="NoSpaceLeft", message=message
            )

    def _condition(
        self, kind: str, holds: bool, since: int, reason: str, message: str
    ) -> PodCondition:
        status = _word(holds)
        known, changed_at = self.observed.conditions.since.get(kind, ("", 0))
        return PodCondition(
            type=kind,
            status=status,
            last_transition_time=rfc3339(changed_at if known == status else since),
            reason=reason or None,
            message=message or None,
        )


def _of_ephemeral(status: ContainerStatus) -> ContainerStatus:
    """The kubelet calls no ephemeral container ready or started."""
    return replace(status, ready=False, started=None)


def _word(holds: bool) -> str:
    return "True" if holds else "False"


def _code(status: ContainerStatus) -> int | None:
    """The exit code of a container that has exited, also while it waits for its restart."""
    for state in (status.state, status.last_state):
        if state is not None and state.running is not None:
            return None
        if state is not None and state.terminated is not None:
            return state.terminated.exit_code
    return None


def _runs(status: ContainerStatus) -> bool:
    return status.state is not None and status.state.running is not None


def _waits(status: ContainerStatus) -> bool:
    return status.state is not None and status.state.waiting is not None


def _last_change(observed: ObservedContainer) -> int:
    return (
        observed.exit.finished_at
        if observed.exit
        else observed.record.started_at or observed.record.created_at
    )
