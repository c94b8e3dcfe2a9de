"""What a kubelet would report of a pod and of a node, for tests without one. Pure.

A report is the ``status`` of a strategic merge patch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from kubelite.control.controllers.shared.meta import (
    Obj,
    format_time,
    is_deleting,
    parse_time,
    spec_of,
    status_of,
)
from kubelite.control.controllers.shared.pod_state import is_ready, is_terminated

JOB_TRACKING = "batch.kubernetes.io/job-tracking"
KILLED = 137


class PodScript(NamedTuple):
    """What becomes of a pod once it has a node.

    ``starts``: its containers come to run. ``ready``: it is ready while it runs. ``exit_code``: all
    containers end with it ``after`` so many seconds. ``terminates``: it goes when it is deleted;
    otherwise it stays Terminating.
    """

    starts: bool = True
    ready: bool = True
    exit_code: int | None = None
    after: float = 0.0
    terminates: bool = True


RUNNING = PodScript()


class Next(NamedTuple):
    """What a kubelet does next about a pod: reports a status, deletes it, or looks again later."""

    report: Mapping[str, Any] | None = None
    delete: bool = False
    wake_at: float | None = None


NOTHING = Next()


def next_step(pod: Obj, script: PodScript, now: float, pod_ip: str, host_ip: str) -> Next:
    """The next step towards what the script says; ``now`` is in seconds since 1970."""
    if is_deleting(pod):
        return _ending(pod, script, now)
    if is_terminated(pod):
        return NOTHING
    if not status_of(pod).get("startTime"):
        started = _started(pod, script, now, pod_ip, host_ip)
        return Next(started) if script.starts else NOTHING
    if script.exit_code is not None:
        ends = _started_at(pod) + script.after
        return Next(finished(pod, script.exit_code, now)) if ends <= now else Next(wake_at=ends)
    if is_ready(pod) != script.ready:
        return Next(_with_readiness(pod, script.ready, now))
    return NOTHING


def _ending(pod: Obj, script: PodScript, now: float) -> Next:
    """A pod that is deleted: its Job learns how it ended before it goes."""
    if not script.terminates:
        return NOTHING
    is_tracked = JOB_TRACKING in (pod["metadata"].get("finalizers") or ())
    if is_tracked:
        return NOTHING if is_terminated(pod) else Next(finished(pod, KILLED, now))
    return Next(delete=True)


def _started_at(pod: Obj) -> float:
    return parse_time(status_of(pod).get("startTime"))


def _started(
    pod: Obj, script: PodScript, now: float, pod_ip: str, host_ip: str
) -> Mapping[str, Any]:
    address = host_ip if spec_of(pod).get("hostNetwork") else pod_ip
    stamp = format_time(now)
    initialized = [
        {"type": type_, "status": "True", "lastTransitionTime": stamp}
        for type_ in ("PodReadyToStartContainers", "Initialized")
    ]
    running = {"running": {"startedAt": stamp}}
    return {
        "phase": "Running",
        "startTime": stamp,
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": [*initialized, *_readiness(script.ready, stamp, "ContainersNotReady")],
        "initContainerStatuses": [
            _container(container, _init_state(container, running, stamp), ready=True)
            for container in spec_of(pod).get("initContainers") or ()
        ],
        "containerStatuses": _containers(pod, running, ready=script.ready),
    }


def _init_state(container: Obj, running: Obj, stamp: str) -> Obj:
    """A sidecar runs on; any other init container has done its work."""
    return running if container.get("restartPolicy") == "Always" else _terminated(0, stamp, stamp)


def _terminated(code: int, started: str, stamp: str) -> dict[str, Any]:
    reason = "Completed" if code == 0 else "Error"
    times = {"startedAt": started, "finishedAt": stamp}
    return {"terminated": {"exitCode": code, "reason": reason, **times}}


def _with_readiness(pod: Obj, ready: bool, now: float) -> Mapping[str, Any]:
    running = {"running": {"startedAt": status_of(pod)["startTime"]}}
    conditions = _readiness(ready, format_time(now), "ContainersNotReady")
    return {
        # A reason of before goes: a strategic merge keeps what it does not name.
        "conditions": [{"reason": None, **condition} for condition in conditions],
        "containerStatuses": _containers(pod, running, ready=ready),
    }


def finished(pod: Obj, code: int, now: float) -> Mapping[str, Any]:
    """All containers have ended with this code."""
    stamp = format_time(now)
    state = _terminated(code, status_of(pod).get("startTime") or stamp, stamp)
    phase, reason = ("Succeeded", "PodCompleted") if code == 0 else ("Failed", "PodFailed")
    return {
        "phase": phase,
        "conditions": _readiness(False, stamp, reason),
        "containerStatuses": _containers(pod, state, ready=False),
    }


def _readiness(ready: bool, stamp: str, reason: str) -> list[Mapping[str, Any]]:
    state = {"status": "True"} if ready else {"status": "False", "reason": reason}
    state |= {"lastTransitionTime": stamp}
    return [{"type": type_, **state} for type_ in ("Ready", "ContainersReady")]


def _containers(pod: Obj, state: Obj, *, ready: bool) -> list[Mapping[str, Any]]:
    return [_container(container, state, ready=ready) for container in spec_of(pod)["containers"]]


def _container(container: Obj, state: Obj, *, ready: bool) -> Mapping[str, Any]:
    return {
        "name": container["name"],
        "image": container.get("image") or "",
        "imageID": "",
        "restartCount": 0,
        "ready": ready,
        "started": "running" in state,
        "state": state,
    }


def node_status(capacity: Mapping[str, str], address: str, *, now: float) -> Obj:
    """The status of a node that is ready."""
    stamp = format_time(now)
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    times = {"lastHeartbeatTime": stamp, "lastTransitionTime": stamp}
    return {
        "capacity": capacity,
        "allocatable": capacity,
        "addresses": [{"type": "InternalIP", "address": address}],
        "conditions": [{**ready, **times}],
    }
