"""A pod as ``kubectl get pods`` shows it: READY, STATUS, RESTARTS and what a row says. Pure.

The rules are those of ``printPod`` in Kubernetes' printers, over plain documents; how far the pull
of an image is, is ours. ``pod ls`` and the tables of the API server both stand on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kubelite.lib.json import Object
from kubelite.objects.facts import ages
from kubelite.objects.rules import pull_progress

if TYPE_CHECKING:
    from datetime import datetime


NONE = "<none>"
HELD = ("Stopped", "Paused")
"""Reasons of a pod without a cluster that a person has put it into; they say more than what its
containers are at. Kubernetes knows none of them.
"""

_FINISHED = {
    "Succeeded": "The pod has completed successfully.",
    "Failed": "The pod failed.",
}


class Printed(NamedTuple):
    """What the containers of a pod say together; ``last_restart`` is a time or ""."""

    reason: str
    ready: int
    total: int
    restarts: int
    last_restart: str


class _Count(NamedTuple):
    """What has been read so far of the containers."""

    reason: str
    ready: int
    restarts: int
    last_restart: str


def printed(pod: Object) -> Printed:
    """The STATUS column with the numbers that are counted on the way."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    total = len(spec.get("containers") or ()) + len(_sidecars(spec))
    count = _counted(spec, status)
    return Printed(
        _last_word(pod, status, count.reason),
        count.ready,
        total,
        count.restarts,
        count.last_restart,
    )


def restarts(pod: Printed, now: datetime) -> str:
    """The RESTARTS column: the number, and how long ago the last one was."""
    if not pod.restarts or not pod.last_restart:
        return str(pod.restarts)
    return f"{pod.restarts} ({ages.since(pod.last_restart, now)} ago)"


def address(pod: Object) -> str:
    """The IP column."""
    status = pod.get("status") or {}
    listed = status.get("podIPs")
    return (listed[0].get("ip") if listed else status.get("podIP")) or NONE


def readiness_gates(pod: Object) -> str:
    """The READINESS GATES column: how many of how many are open."""
    gates = (pod.get("spec") or {}).get("readinessGates")
    if not gates:
        return NONE
    status = pod.get("status") or {}
    opened = sum(_is_true(status, gate.get("conditionType", "")) for gate in gates)
    return f"{opened}/{len(gates)}"


def row_conditions(pod: Object) -> list[Object]:
    """What the row of a Table says of a pod that has ended."""
    phase = (pod.get("status") or {}).get("phase", "")
    if phase not in _FINISHED:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": _FINISHED[phase]}]


def _counted(spec: Object, status: Object) -> _Count:
    reason = status.get("reason") or status.get("phase") or ""
    if _is_gated(status):
        reason = "SchedulingGated"
    count, is_starting = _init_containers(spec, status, reason)
    if is_starting and not _is_true(status, "Initialized"):
        return count
    return _main_containers(status, count)


def _is_gated(status: Object) -> bool:
    return any(
        condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated"
        for condition in status.get("conditions") or ()
    )


def _is_true(status: Object, condition: str) -> bool:
    return any(
        entry.get("type") == condition and entry.get("status") == "True"
        for entry in status.get("conditions") or ()
    )


def _last_word(pod: Object, status: Object, reason: str) -> str:
    """What says more than the containers: that the pod goes, or that a person holds it."""
    given = status.get("reason")
    if (pod.get("metadata") or {}).get("deletionTimestamp"):
        if given == "NodeLost":
            return "Unknown"
        if status.get("phase") not in ("Succeeded", "Failed"):
            return "Terminating"
    return given if given in HELD else pull_progress.status_word(status) or reason


def _sidecars(spec: Object) -> set[str]:
    """The init containers that run on beside the others."""
    return {
        container.get("name", "")
        for container in spec.get("initContainers") or ()
        if container.get("restartPolicy") == "Always"
    }


def _init_containers(spec: Object, status: Object, reason: str) -> tuple[_Count, bool]:
    """What the init containers say, and whether one of them is still to end or to start; only
    sidecars count once the pod is initialized.
    """
    sidecars = _sidecars(spec)
    ready = restarted = by_sidecars = 0
    last = last_of_sidecars = ""
    for position, container in enumerate(status.get("initContainerStatuses") or ()):
        restarted += container.get("restartCount", 0)
        last = max(last, _last_end(container))
        if container.get("name") in sidecars:
            by_sidecars += container.get("restartCount", 0)
            last_of_sidecars = max(last_of_sidecars, _last_end(container))
            if container.get("started"):
                ready += bool(container.get("ready"))
                continue
        if _has_succeeded(container):
            continue
        waits = _init_reason(container, position, len(spec.get("initContainers") or ()))
        if _is_true(status, "Initialized"):
            return _Count(waits, ready, by_sidecars, last_of_sidecars), True
        return _Count(waits, ready, restarted, last), True
    return _Count(reason, ready, by_sidecars, last_of_sidecars), False


def _has_succeeded(container: Object) -> bool:
    ended = (container.get("state") or {}).get("terminated")
    return ended is not None and not ended.get("exitCode")


def _init_reason(container: Object, position: int, total: int) -> str:
    state = container.get("state") or {}
    waits = (state.get("waiting") or {}).get("reason")
    if state.get("terminated") is not None:
        return "Init:" + _end(state["terminated"])
    if waits and waits != "PodInitializing":
        return f"Init:{waits}"
    return f"Init:{position}/{total}"


def _main_containers(status: Object, count: _Count) -> _Count:
    reason, ready, restarted, last = count
    is_running = False
    for container in reversed(status.get("containerStatuses") or ()):
        state = container.get("state") or {}
        waits = (state.get("waiting") or {}).get("reason")
        restarted += container.get("restartCount", 0)
        last = max(last, _last_end(container))
        if waits:
            reason = waits
        elif state.get("terminated") is not None:
            reason = _end(state["terminated"])
        elif container.get("ready") and state.get("running") is not None:
            is_running = True
            ready += 1
    if reason == "Completed" and is_running:
        reason = "Running" if _is_true(status, "Ready") else "NotReady"
    return _Count(reason, ready, restarted, last)


def _end(ended: Object) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    if ended.get("signal"):
        return f"Signal:{ended['signal']}"
    return f"ExitCode:{ended.get('exitCode', 0)}"


def _last_end(container: Object) -> str:
    ended = (container.get("lastState") or {}).get("terminated") or {}
    return str(ended.get("finishedAt") or "")
