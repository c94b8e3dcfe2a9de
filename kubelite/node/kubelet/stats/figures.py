"""What a node, its pods and their containers use at one moment. Pure: shapes only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from kubelite.objects.pod.qos import Resources

if TYPE_CHECKING:
    from kubelite.node.cgroup.usage import Usage
    from kubelite.node.network.counters import Interface


class Filesystem(NamedTuple):
    """Bytes and inodes of one file system; ``used`` is what the thing in question occupies on it,
    None where nobody has measured that.
    """

    capacity: int
    available: int
    inodes: int
    inodes_free: int
    used: int | None = None


class ContainerFigures(NamedTuple):
    """One running container. Times are seconds since 1970; ``disk`` is bytes of its writable layer
    and its log, None where it was not measured.
    """

    name: str
    id: str
    image: str
    group: str
    started_at: float
    usage: Usage
    resources: Resources = Resources()
    disk: int | None = None


class PodFigures(NamedTuple):
    """One pod that runs. ``volumes`` are bytes of emptyDir volumes by name, ``disk`` all that is
    kept for the pod; both None where it was not measured.
    """

    namespace: str
    name: str
    uid: str
    group: str
    started_at: float
    usage: Usage
    network: Sequence[Interface]
    containers: Sequence[ContainerFigures]
    volumes: Mapping[str, int] | None = None
    disk: int | None = None


class Process(NamedTuple):
    """This process: CPU time in nanoseconds, resident bytes, start in seconds since 1970."""

    cpu_ns: int
    memory: int
    started_at: float


class NodeFigures(NamedTuple):
    """This machine at ``at``, seconds since 1970. Memory is bytes; ``available`` is the memory
    without the working set, as the kubelet counts it.
    """

    at: float
    booted_at: float
    cpus: int
    cpu_ns: int
    memory_capacity: int
    memory_used: int
    working_set: int
    anonymous: int
    page_faults: int
    major_page_faults: int
    swap_capacity: int
    swap_used: int
    max_tasks: int
    tasks: int
    network: Sequence[Interface]
    root: Filesystem
    images: Filesystem
    agent: Process

    @property
    def available(self) -> int:
        """Bytes of memory without the working set."""
        return max(self.memory_capacity - self.working_set, 0)


class Figures(NamedTuple):
    """The node and its pods."""

    node: NodeFigures
    pods: Sequence[PodFigures]
