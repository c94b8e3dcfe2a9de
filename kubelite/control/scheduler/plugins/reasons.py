"""Why a pod does not run on a node: each reason's number, its filter and its text. Pure.

The numbers are those of ``enum reason`` in csrc/sched/sched.h, the texts those that Kubernetes
writes into events.
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class Reason(enum.IntEnum):
    """A bit in a node's verdict."""

    UNSCHEDULABLE = 0
    NODE_NAME = 1
    TAINT = 2
    NODE_AFFINITY = 3
    ADDED_AFFINITY = 4
    PORTS = 5
    SHORT = 6
    SHORT_FOR_GOOD = 7
    DISK = 8
    SINGLE_POD_CLAIM = 9
    VOLUME_LIMIT = 10
    PV_AFFINITY = 11
    NO_PV = 12
    NO_SPACE = 13
    PV_MISSING = 14
    VOLUME_ZONE = 15
    NO_SPREAD_LABEL = 16
    SPREAD = 17
    POD_AFFINITY = 18
    POD_ANTI_AFFINITY = 19
    EXISTING_ANTI_AFFINITY = 20
    WHOLE_POD = 21
    OWN_PLUGIN = 22
    NOT_HELPFUL = 30
    NO_VICTIMS = 31


class Text(NamedTuple):
    """The plug-in that gives a reason, what it says, and whether evicting pods could help."""

    plugin: str
    text: str
    resolvable: bool = False


TEXTS = {
    Reason.UNSCHEDULABLE: Text("NodeUnschedulable", "node(s) were unschedulable"),
    Reason.NODE_NAME: Text("NodeName", "node(s) didn't match the requested node name"),
    Reason.TAINT: Text("TaintToleration", "node(s) had untolerated taint(s)"),
    Reason.NODE_AFFINITY: Text("NodeAffinity", "node(s) didn't match Pod's node affinity/selector"),
    Reason.ADDED_AFFINITY: Text(
        "NodeAffinity", "node(s) didn't match scheduler-enforced node affinity"
    ),
    Reason.PORTS: Text(
        "NodePorts", "node(s) didn't have free ports for the requested pod ports", True
    ),
    Reason.SHORT: Text("NodeResourcesFit", "", True),
    Reason.DISK: Text("VolumeRestrictions", "node(s) had no available disk", True),
    Reason.SINGLE_POD_CLAIM: Text(
        "VolumeRestrictions",
        "node has pod using PersistentVolumeClaim with the same name and "
        "ReadWriteOncePod access mode",
        True,
    ),
    Reason.VOLUME_LIMIT: Text("NodeVolumeLimits", "node(s) exceed max volume count", True),
    Reason.PV_AFFINITY: Text(
        "VolumeBinding", "node(s) didn't match PersistentVolume's node affinity"
    ),
    Reason.NO_PV: Text("VolumeBinding", "node(s) didn't find available persistent volumes to bind"),
    Reason.NO_SPACE: Text("VolumeBinding", "node(s) did not have enough free storage"),
    Reason.PV_MISSING: Text(
        "VolumeBinding", "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
    ),
    Reason.VOLUME_ZONE: Text("VolumeZone", "node(s) had no available volume zone"),
    Reason.NO_SPREAD_LABEL: Text(
        "PodTopologySpread",
        "node(s) didn't match pod topology spread constraints (missing required label)",
    ),
    Reason.SPREAD: Text(
        "PodTopologySpread", "node(s) didn't match pod topology spread constraints", True
    ),
    Reason.POD_AFFINITY: Text("InterPodAffinity", "node(s) didn't match pod affinity rules"),
    Reason.POD_ANTI_AFFINITY: Text(
        "InterPodAffinity", "node(s) didn't match pod anti-affinity rules", True
    ),
    Reason.EXISTING_ANTI_AFFINITY: Text(
        "InterPodAffinity", "node(s) didn't satisfy existing pods anti-affinity rules", True
    ),
    Reason.NOT_HELPFUL: Text("DefaultPreemption", "Preemption is not helpful for scheduling"),
    Reason.NO_VICTIMS: Text("DefaultPreemption", "No preemption victims found for incoming pod"),
}

TOGETHER = (
    Reason.PV_AFFINITY,
    Reason.NO_PV,
    Reason.NO_SPACE,
    Reason.PV_MISSING,
)  # reported side by side


def bits(verdict: int) -> list[Reason]:
    """The reasons in a verdict."""
    return [reason for reason in Reason if verdict >> reason & 1]


def shortage(resource: str) -> str:
    """What NodeResourcesFit says of a resource."""
    return "Too many pods" if resource == "pods" else f"Insufficient {resource}"
