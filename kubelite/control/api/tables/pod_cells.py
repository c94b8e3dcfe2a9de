"""The cells of a pod: above all STATUS, which is read off the phase, the containers and the
conditions. Pure.

The rules are those of ``printPod`` in Kubernetes' printers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.tables.text import NONE, age_of, lookup, name_of, time_since

if TYPE_CHECKING:
    from datetime import datetime

Object = dict[str, Any]


class Counted(NamedTuple):
    """What the containers of a pod say together."""

    reason: str
    ready: int
    restarts: int
    last_restart: str


def cells(pod: Object, now: datetime) -> list[Any]:
    """Name, Ready, Status, Restarts, Age; IP, Node, Nominated Node, Readiness Gates."""
    found = status(pod)
    total = len(lookup(pod, "spec.containers", [])) + sum(
        map(_is_sidecar, lookup(pod, "spec.initContainers", []))
    )
    restarts = str(found.restarts)
    if found.restarts and found.last_restart:
        restarts += f" ({time_since(found.last_restart, now)} ago)"
    ips = lookup(pod, "status.podIPs", [])
    address = (ips[0].get("ip") if ips else lookup(pod, "status.podIP")) or NONE
    return [
        name_of(pod),
        f"{found.ready}/{total}",
        found.reason,
        restarts,
        age_of(pod, now),
        address,
        lookup(pod, "spec.nodeName") or NONE,
        lookup(pod, "status.nominatedNodeName") or NONE,
        _gates(pod),
    ]


def status(pod: Object) -> Counted:
    """What STATUS says, with the numbers that are counted on the way."""
    reason = lookup(pod, "status.reason") or lookup(pod, "status.phase", "")
    if any(
        each.get("type") == "PodScheduled" and each.get("reason") == "SchedulingGated"
        for each in _conditions(pod)
    ):
        reason = "SchedulingGated"
    found, initializing = _init(pod, reason)
    if not initializing or _condition(pod, "Initialized"):
        found = _main(pod, found)
    if lookup(pod, "metadata.deletionTimestamp"):
        if lookup(pod, "status.reason") == "NodeLost":
            found = found._replace(reason="Unknown")
        elif lookup(pod, "status.phase") not in ("Succeeded", "Failed"):
            found = found._replace(reason="Terminating")
    return found


def _conditions(pod: Object) -> list[Object]:
    found: list[Object] = lookup(pod, "status.conditions", [])
    return found


def _condition(pod: Object, kind: str) -> bool:
    return any(
        each.get("type") == kind and each.get("status") == "True" for each in _conditions(pod)
    )


def _is_sidecar(container: Object) -> bool:
    return container.get("restartPolicy") == "Always"


def _init(pod: Object, reason: str) -> tuple[Counted, bool]:
    """What the init containers say; only sidecars count once the pod is initialized."""
    specs = lookup(pod, "spec.initContainers", [])
    sidecars = {each.get("name") for each in specs if _is_sidecar(each)}
    ready = restarts = own = 0
    last = own_last = ""
    waiting: str | None = None
    for index, each in enumerate(lookup(pod, "status.initContainerStatuses", [])):
        restarts += each.get("restartCount", 0)
        last = max(last, _ended(each))
        if each.get("name") in sidecars:
            own += each.get("restartCount", 0)
            own_last = max(own_last, _ended(each))
            if each.get("started"):
                ready += bool(each.get("ready"))
                continue
        if (
            lookup(each, "state.terminated.exitCode", -1) == 0
            and lookup(each, "state.terminated") is not None
        ):
            continue
        waiting = _init_reason(each, index, len(specs))
        break
    if waiting is not None and not _condition(pod, "Initialized"):
        return Counted(waiting, ready, restarts, last), True
    return Counted(
        waiting if waiting is not None else reason, ready, own, own_last
    ), waiting is not None


def _init_reason(each: Object, index: int, total: int) -> str:
    ended, waits = lookup(each, "state.terminated"), lookup(each, "state.waiting.reason", "")
    if ended is not None:
        return "Init:" + _end(ended)
    if waits and waits != "PodInitializing":
        return f"Init:{waits}"
    return f"Init:{index}/{total}"


def _end(ended: Object) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    return (
        f"Signal:{ended['signal']}"
        if ended.get("signal")
        else f"ExitCode:{ended.get('exitCode', 0)}"
    )


def _ended(each: Object) -> str:
    return str(lookup(each, "lastState.terminated.finishedAt", ""))


def _main(pod: Object, found: Counted) -> Counted:
    reason, ready, restarts, last = found
    running = False
    for each in reversed(lookup(pod, "status.containerStatuses", [])):
        restarts += each.get("restartCount", 0)
        last = max(last, _ended(each))
        waits, ended = lookup(each, "state.waiting.reason", ""), lookup(each, "state.terminated")
        if waits:
            reason = waits
        elif ended is not None:
            reason = _end(ended)
        elif each.get("ready") and lookup(each, "state.running") is not None:
            running = True
            ready += 1
    if reason == "Completed" and running:
        reason = "Running" if _condition(pod, "Ready") else "NotReady"
    return Counted(reason, ready, restarts, last)


def _gates(pod: Object) -> str:
    gates = lookup(pod, "spec.readinessGates", [])
    if not gates:
        return NONE
    return f"{sum(_condition(pod, each.get('conditionType', '')) for each in gates)}/{len(gates)}"


_FINISHED = {
    "Succeeded": "The pod has completed successfully.",
    "Failed": "The pod failed.",
}


def conditions(pod: Object) -> list[Object]:
    """What a row says of a pod that has ended."""
    phase = lookup(pod, "status.phase")
    if phase not in _FINISHED:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": _FINISHED[phase]}]
