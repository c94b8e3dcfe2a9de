"""The running attempt that a probe or a hook addresses."""

from __future__ import annotations

from typing import NamedTuple

from kubelite.node.runtime.home import Home
from kubelite.node.runtime.records import ContainerRecord
from kubelite.objects.pod.container import Container


class Target(NamedTuple):
    """One running attempt of a container. ``netns_pid`` is a process in the pod's network
    namespace; ``pod_ip`` is the address for httpGet, tcpSocket and grpc actions without a host.
    """

    home: Home
    uid: str
    netns_pid: int
    pod_ip: str
    container: Container
    record: ContainerRecord
