"""Whether a pod that was bound to this node may start here. Pure.

Reasons and messages are the kubelet's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from kubelite.node.kubelet.decide import (
    container_config,
    local_storage_limits,
    node_pressure_eviction,
)
from kubelite.node.network.ports import ANY, HostPort
from kubelite.objects.pod import qos
from kubelite.objects.pod.pod import Pod
from kubelite.objects.pod.qos import Amounts

PODS = "pods"
_COUNTED = (PODS, "cpu", "memory", qos.DISK)
_PORTS_TAKEN = (
    "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
)


class Refusal(NamedTuple):
    """Why the node does not take a pod, or what is asked for of a running one."""

    reason: str
    message: str


def refusal(
    pod: Pod, others: Collection[Pod], pressures: frozenset[str], allocatable: Amounts
) -> Refusal | None:
    """Why a pod may not start beside the others of a node that is under pressure and has so much of
    ``pods``, ``cpu``, ``memory`` and ``ephemeral-storage`` for them; None where it may.
    """
    if message := node_pressure_eviction.refusal(pod, pressures):
        return Refusal(local_storage_limits.REASON, message)
    requests = qos.pod_requests(pod) | {PODS: 1}
    used = used_by(others) | {PODS: len(others)}
    if (short := shortage(_COUNTED, requests, used, allocatable)) is not None:
        return Refusal(f"OutOf{short.name}", short.message)
    wanted = container_config.host_ports(pod)
    taken = (
        [port for other in others for port in container_config.host_ports(other)] if wanted else []
    )
    if any(_collide(one, other) for one in wanted for other in taken):
        return Refusal("NodePorts", _PORTS_TAKEN)
    return None


class Shortage(NamedTuple):
    """The resource of which a node has too little left."""

    name: str
    message: str


def shortage(
    names: Iterable[str], requests: Amounts, used: Amounts, allocatable: Amounts
) -> Shortage | None:
    """The first of the resources that does not suffice for ``requests``; what is not asked for
    suffices always.
    """
    for name in names:
        amount, taken, all_ = requests.get(name, 0), used.get(name, 0), allocatable[name]
        if amount and amount > all_ - taken:
            sizes = f"requested: {amount}, used: {taken}, capacity: {all_}"
            return Shortage(name, f"Node didn't have enough resource: {name}, {sizes}")
    return None


def used_by(pods: Iterable[Pod]) -> Amounts:
    """What pods ask for, together."""
    used: Amounts = {}
    for pod in pods:
        used = qos.plus(used, qos.pod_requests(pod))
    return used


def _collide(one: HostPort, other: HostPort) -> bool:
    same = one.host_port == other.host_port and one.protocol == other.protocol
    return same and (one.host_ip == other.host_ip or ANY in (one.host_ip, other.host_ip))
