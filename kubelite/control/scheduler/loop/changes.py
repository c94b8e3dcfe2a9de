"""What a change of an object means to a scheduler. Pure.

An informer shows every write, and most writes change nothing that a decision depends on: status
reports, heartbeats, managed fields. Only what matters may cost an attempt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubelite.control.scheduler.facts.traits import FINISHED

Object = Mapping[str, Any]

_PASSING = ("resourceVersion", "managedFields", "generation")  # of metadata
_NODE_STATUS = ("allocatable", "images", "volumesAttached", "volumesInUse", "declaredFeatures")


def node_of(pod: Object) -> str:
    """The node a pod is assigned to, "" for none."""
    return (pod.get("spec") or {}).get("nodeName") or ""


def is_finished(pod: Object) -> bool:
    """Whether all containers of the pod have ended for good, so that it holds nothing."""
    return (pod.get("status") or {}).get("phase") in FINISHED


def is_terminating(obj: Object) -> bool:
    """Whether the object is being deleted."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def nominated_node(pod: Object) -> str:
    """The node where room is being made for a pod."""
    return (pod.get("status") or {}).get("nominatedNodeName") or ""


def scheduler_name(pod: Object) -> str:
    """The profile that a pod asks for."""
    return (pod.get("spec") or {}).get("schedulerName") or "default-scheduler"


def is_same_pod(old: Object, new: Object) -> bool:
    """Whether an update of a pod without a node leaves everything as it was that filters read.

    A scheduler writes conditions itself; if that counted, each failure would cause the next
    attempt (kube-scheduler, ``isPodUpdated``).
    """
    return old.get("spec") == new.get("spec") and _lasting(old) == _lasting(new)


def is_same_node(old: Object, new: Object) -> bool:
    """Whether an update of a node was only a heartbeat, or a report that no filter reads."""
    before, after = old.get("status") or {}, new.get("status") or {}
    return (
        old.get("spec") == new.get("spec")
        and all(before.get(field) == after.get(field) for field in _NODE_STATUS)
        and _lasting(old) == _lasting(new)
    )


def _lasting(obj: Object) -> dict[str, Any]:
    return {key: value for key, value in obj["metadata"].items() if key not in _PASSING}
