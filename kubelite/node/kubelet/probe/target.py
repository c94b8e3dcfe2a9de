"""What a probe or a hook is about."""

from __future__ import annotations

from typing import NamedTuple

from kubelite.node.runtime.home import Home
from kubelite.node.runtime.records import ContainerRecord
from kubelite.objects.pod.container import Container


class Target(NamedTuple):
    """One running attempt of a container. ``netns_pid`` is a process of the pod's network
    namespace; ``pod_ip`` the address that httpGet, tcpSocket and grpc go to where they name no
    host."""

    home: Home
    uid: str
    netns_pid: int
    pod_ip: str
    container: Container
    record: ContainerRecord
