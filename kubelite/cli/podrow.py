"""One pod as a row of ``pod ls``: READY, STATUS and RESTARTS as kubectl computes them. Pure.

The input is a pod's document as JSON has it, so that the same rows come from the local engine and
from an API server.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Doc = dict[str, Any]


class PodRow(NamedTuple):
    """The cells of a pod. ``age`` is left to the caller, who has a clock."""

    namespace: str
    name: str
    ready: str
    status: str
    restarts: str
    created: str
    ip: str
    node: str
    images: str


_HELD = ("Stopped", "Paused")
"""Reasons of a local pod that a person has put it into; they say more than what its containers are
at.
"""


def row(pod: Doc) -> PodRow:
    """The cells of a pod's document; what is missing there shows as ``<none>``."""
    metadata, spec, status = pod.get("metadata", {}), pod.get("spec", {}), pod.get("status", {})
    containers = spec.get("containers", [])
    beside = _sidecars(spec)
    states: list[Doc] = list(status.get("containerStatuses") or [])
    states += [
        each for each in status.get("initContainerStatuses") or [] if each.get("name") in beside
    ]
    ready = sum(1 for state in states if state.get("ready"))
    restarts = sum(state.get("restartCount", 0) for state in states)
    return PodRow(
        namespace=metadata.get("namespace") or "default",
        name=metadata.get("name", ""),
        ready=f"{ready}/{len(containers) + len(beside)}",
        status=reason(pod),
        restarts=str(restarts),
        created=metadata.get("creationTimestamp") or "",
        ip=status.get("podIP") or "<none>",
        node=spec.get("nodeName") or "<none>",
        images=",".join(container.get("image", "") for container in containers) or "<none>",
    )


def reason(pod: Doc) -> str:
    """The STATUS column: the phase, or what says more: ``Init:0/2``, ``Completed``,
    ``ErrImagePull``, ``Terminating``.
    """
    status = pod.get("status", {})
    if pod.get("metadata", {}).get("deletionTimestamp"):
        return "Terminating"
    shown: str = status.get("reason") or status.get("phase") or "Unknown"
    if shown in _HELD:
        return shown
    starting = _init_reason(status.get("initContainerStatuses") or [], pod.get("spec", {}))
    return starting or _main_reason(status, shown)


def _init_reason(states: list[Doc], spec: Doc) -> str:
    """What the init containers are at, or "" once all of them have done their work or, for
    sidecars, have started.
    """
    total, beside = len(spec.get("initContainers") or []), _sidecars(spec)
    for position, each in enumerate(states):
        state = each.get("state") or {}
        if each.get("name") in beside and each.get("started"):
            continue
        ended = state.get("terminated")
        if ended is not None and ended.get("exitCode", 0) == 0:
            continue
        if ended is not None:
            return "Init:" + _end(ended)
        waiting = (state.get("waiting") or {}).get("reason", "")
        if waiting and waiting != "PodInitializing":
            return f"Init:{waiting}"
        return f"Init:{position}/{total}"
    return ""


def _sidecars(spec: Doc) -> set[str]:
    """The init containers that run on beside the others."""
    return {
        each["name"]
        for each in spec.get("initContainers") or []
        if each.get("restartPolicy") == "Always"
    }


def _main_reason(status: Doc, shown: str) -> str:
    running = False
    for each in reversed(status.get("containerStatuses") or []):
        state = each.get("state") or {}
        waiting = (state.get("waiting") or {}).get("reason", "")
        if waiting:
            shown = waiting
        elif state.get("terminated") is not None:
            shown = _end(state["terminated"])
        elif state.get("running") is not None and each.get("ready"):
            running = True
    if shown == "Completed" and running:
        return "Running" if _condition(status, "Ready") else "NotReady"
    return shown


def _end(ended: Doc) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    return (
        f"Signal:{ended['signal']}"
        if ended.get("signal")
        else f"ExitCode:{ended.get('exitCode', 0)}"
    )


def _condition(status: Doc, kind: str) -> bool:
    return any(
        c.get("type") == kind and c.get("status") == "True" for c in status.get("conditions") or []
    )


def default_container(pod: Doc) -> tuple[str, list[str]]:
    """The container meant where none is named, and the names of all; ("", []) for a pod without
    any.

    An annotation ``kubectl.kubernetes.io/default-container`` decides, else the first one of the
    specification.
    """
    spec = pod.get("spec", {})
    names = [container["name"] for container in spec.get("containers", [])]
    names += [container["name"] for container in spec.get("initContainers") or []]
    annotations = pod.get("metadata", {}).get("annotations") or {}
    wished = annotations.get("kubectl.kubernetes.io/default-container", "")
    return (wished if wished in names else names[0] if names else ""), names
