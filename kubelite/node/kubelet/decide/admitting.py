"""Whether a pod that was bound to this node may start here. Pure.

Reasons and messages are the kubelet's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from kubelite.node.kubelet.decide import (
    container_config,
    local_storage_limits,
    node_pressure_eviction,
)
from kubelite.node.network.ports import ANY, HostPort
from kubelite.objects.pod.pod import Pod

_PORTS_TAKEN = (
    "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
)


class Refusal(NamedTuple):
    """Why a pod has failed before anything of it was created."""

    reason: str
    message: str


def refusal(pod: Pod, others: Iterable[Pod], pressures: frozenset[str]) -> Refusal | None:
    """Why a pod may not start beside the others of a node that is under pressure, None where it
    may.
    """
    if message := node_pressure_eviction.refusal(pod, pressures):
        return Refusal(local_storage_limits.REASON, message)
    wanted = container_config.host_ports(pod)
    taken = (
        [port for other in others for port in container_config.host_ports(other)] if wanted else []
    )
    if any(_collide(one, other) for one in wanted for other in taken):
        return Refusal("NodePorts", _PORTS_TAKEN)
    return None


def _collide(one: HostPort, other: HostPort) -> bool:
    same = one.host_port == other.host_port and one.protocol == other.protocol
    return same and (one.host_ip == other.host_ip or ANY in (one.host_ip, other.host_ip))
