"""Host ports of pods: their meaning, and when two conflict. Pure.

The rules that forward them (DNAT) are in :mod:`kubelite.node.network.firewall_rules`.

The rule is the scheduler's (NodePorts): same protocol, same port, and the same host address or none
on either side.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from kubelite.node.network import ipam
from kubelite.node.network.errors import PortRefused, PortTaken

if TYPE_CHECKING:
    from kubelite.objects.pod.pod import Pod

ANY = "0.0.0.0"


class HostPort(msgspec.Struct, frozen=True, kw_only=True):
    """A ``ports`` entry with a hostPort. ``protocol`` is TCP, UDP or SCTP, ``host_ip`` 0.0.0.0 for
    every address of the host.
    """

    host_port: int
    container_port: int
    protocol: str = "TCP"
    host_ip: str = ANY

    def __str__(self) -> str:
        where = "" if self.host_ip == ANY else f" of {self.host_ip}"
        return f"hostPort {self.host_port}/{self.protocol}{where}"


class Held(msgspec.Struct, frozen=True):
    """A host port in use; ``owner`` is a phrase such as ``pod default/web``."""

    port: HostPort
    owner: str


def requested(pod: Pod) -> tuple[HostPort, ...]:
    """The host ports of a pod's containers and sidecars; none on the host's network, where its
    processes open them directly.
    """
    if pod.spec.host_network:
        return ()
    init_containers = pod.spec.init_containers or ()
    sidecars = (init for init in init_containers if init.restart_policy == "Always")
    return tuple(
        HostPort(
            host_port=port.host_port,
            container_port=port.container_port,
            protocol=port.protocol or "TCP",
            host_ip=port.host_ip or ANY,
        )
        for container in (*sidecars, *pod.spec.containers)
        for port in container.ports or ()
        if port.host_port
    )


def check(ports: Iterable[HostPort]) -> None:
    """Raises PortRefused for a hostIP that is no IPv4 address."""
    for port in ports:
        try:
            ipam.number(port.host_ip)
        except ValueError:
            raise PortRefused(
                f"{port}: hostIP must be an IPv4 address, since pods have no other",
                hint="leave hostIP out to serve every address of this machine",
            ) from None


def overlap(one: HostPort, other: HostPort) -> bool:
    """Whether two pods cannot have both."""
    same = (one.protocol, one.host_port) == (other.protocol, other.host_port)
    return same and (one.host_ip == other.host_ip or ANY in (one.host_ip, other.host_ip))


def refuse_taken(requested: Iterable[HostPort], held: Iterable[Held]) -> None:
    """Raises PortTaken for the first requested port that another pod holds."""
    others = list(held)
    for port in requested:
        for other in others:
            if overlap(port, other.port):
                raise PortTaken(f"{port} is already taken by {other.owner}", hint=HINT)


HINT = (
    "choose another hostPort, or stop the process that has this one: "
    "`ss -lntup`, `kubelite pod ls -A`"
)
