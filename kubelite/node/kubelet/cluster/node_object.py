"""The Node object of this machine. Pure.

Fields, labels, conditions and their reasons are the kubelet's; allocatable is capacity without the
hard eviction thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kubelite.lib.json import Object
from kubelite.node.kubelet.decide.node_pressure_eviction import DISK, MEMORY, PIDS
from kubelite.objects.facts import local_volumes, pod_ranges
from kubelite.objects.rules.pods.resources import is_extended

MAX_PODS = 110
_HEARTBEAT = "lastHeartbeatTime"


class NodeDescription(NamedTuple):
    """What this machine is. ``memory`` and ``storage`` are bytes, of which those reserved are kept
    from pods; ``resources`` are extended ones, ``pressures`` the conditions under which it stands,
    ``pod_range`` is the range of pod addresses that suits it, ``link_local`` its IPv6 address on
    the link of ``address``,
    ``images`` pairs of names and size in bytes; ``volumes`` is the directory of the volumes that
    are provisioned here.
    """

    name: str
    address: str
    port: int
    cpus: int
    memory: int
    storage: int
    architecture: str
    kernel: str
    os_image: str
    machine_id: str
    system_uuid: str
    boot_id: str
    version: str
    labels: Mapping[str, str] = {}
    resources: Mapping[str, str] = {}
    reserved_memory: int = 0
    reserved_storage: int = 0
    pressures: frozenset[str] = frozenset()
    pod_range: str = ""
    link_local: str = ""
    images: Sequence[tuple[tuple[str, ...], int]] = ()
    volumes: str = ""


def node(description: NodeDescription, now: str) -> Object:
    """The whole object; ``now`` is the time as the API writes it."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": description.name,
            "labels": labels(description),
            "annotations": {
                local_volumes.DIRECTORY: description.volumes,
                pod_ranges.WISH: description.pod_range,
                pod_ranges.LINK_LOCAL: description.link_local,
            },
        },
        "spec": {},
        "status": status(description, now),
    }


def labels(description: NodeDescription) -> dict[str, str]:
    """The labels that every kubelet sets, and the node's own."""
    architecture = description.architecture
    return {
        "beta.kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        local_volumes.HOSTNAME: description.name,
        "kubernetes.io/os": "linux",
        **description.labels,
    }


def status(description: NodeDescription, now: str) -> Object:
    """The node's status."""
    capacity = _capacity(description)
    allocatable = capacity | {
        "memory": f"{allocatable_memory(description.memory, description.reserved_memory)}Ki",
        "ephemeral-storage": str(
            allocatable_storage(description.storage, description.reserved_storage)
        ),
    }
    return {
        "capacity": capacity,
        "allocatable": allocatable,
        "conditions": conditions(now, description.pressures),
        "addresses": [
            {"type": "InternalIP", "address": description.address},
            {"type": "Hostname", "address": description.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": description.port}},
        "nodeInfo": _node_info(description),
        "images": [{"names": list(names), "sizeBytes": size} for names, size in description.images],
    }


def allocatable_memory(memory: int, reserved: int) -> int:
    """KiB of memory for pods; ``memory`` and ``reserved`` are bytes."""
    return max(memory - reserved, 0) >> 10


def allocatable_storage(storage: int, reserved: int) -> int:
    """Bytes of disk space for pods."""
    return max(storage - reserved, 0)


def extended_changes(status: Mapping[str, Any]) -> dict[str, str | None]:
    """What of a node's allocatable has to follow the extended resources of its capacity, which
    anybody may set (documentation, "Advertise Extended Resources for a Node").
    """
    capacity, allocatable = status.get("capacity") or {}, status.get("allocatable") or {}
    return {
        name: capacity.get(name)
        for name in (*capacity, *allocatable)
        if is_extended(name) and capacity.get(name) != allocatable.get(name)
    }


def is_given_up(status: Mapping[str, Any]) -> bool:
    """Whether the control plane has not heard of the node for too long: only it says Unknown."""
    return any(entry["status"] == "Unknown" for entry in status.get("conditions") or ())


def conditions(now: str, pressures: frozenset[str] = frozenset()) -> list[Object]:
    """The conditions of a ready node under ``pressures``; times of transitions are for the caller
    to keep.
    """
    result = []
    for kind, calm, pressed in _PRESSURES:
        reason, message = pressed if kind in pressures else calm
        result.append(_condition(kind, str(kind in pressures), reason, message, now))
    text = "kubelet is posting ready status"
    return [*result, _condition("Ready", "True", "KubeletReady", text, now)]


_PRESSURES = (
    (
        MEMORY,
        ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    ),
    (
        DISK,
        ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("KubeletHasDiskPressure", "kubelet has disk pressure"),
    ),
    (
        PIDS,
        ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
    ),
)
"""Each condition, with reason and message of False and of True."""


def keep_transitions(new: list[Object], old: Sequence[Mapping[str, Any]]) -> list[Object]:
    """Conditions with the transition times of old ones that have the same status."""
    before = {condition["type"]: condition for condition in old}
    return [
        condition
        | (
            {"lastTransitionTime": before[condition["type"]]["lastTransitionTime"]}
            if before.get(condition["type"], {}).get("status") == condition["status"]
            else {}
        )
        for condition in new
    ]


def lease(name: str, uid: str, now: str, seconds: int) -> Object:
    """The node's Lease; ``now`` with microseconds."""
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name,
            "namespace": "kube-node-lease",
            "ownerReferences": [owner],
        },
        "spec": {"holderIdentity": name, "leaseDurationSeconds": seconds, "renewTime": now},
    }


def _capacity(description: NodeDescription) -> dict[str, str]:
    return {
        "cpu": str(description.cpus),
        "memory": f"{description.memory >> 10}Ki",
        "ephemeral-storage": f"{description.storage >> 10}Ki",
        "pods": str(MAX_PODS),
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        **description.resources,
    }


def _node_info(description: NodeDescription) -> Object:
    return {
        "machineID": description.machine_id,
        "systemUUID": description.system_uuid,
        "bootID": description.boot_id,
        "kernelVersion": description.kernel,
        "osImage": description.os_image,
        "containerRuntimeVersion": f"kubelite://{description.version}",
        "kubeletVersion": "v1.36.2",
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": description.architecture,
    }


def _condition(kind: str, holds: str, reason: str, message: str, now: str) -> Object:
    return {
        "type": kind,
        "status": holds,
        "reason": reason,
        "message": message,
        _HEARTBEAT: now,
        "lastTransitionTime": now,
    }
