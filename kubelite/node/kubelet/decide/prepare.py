"""From a pod, its images and facts of this node to everything that its start needs, decided before
anything is done. Pure.

Rules are the kubelet's: environment and ``$(VAR)`` expansion, command and args against the image's
entrypoint, ports and limits. Users and rights are :mod:`kubelite.node.kubelet.decide.secure`'s.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from kubelite.node.cgroup.limits import Resources
from kubelite.node.image.model import DEFAULT_PATH, ImageConfig
from kubelite.node.network.ports import ANY, HostPort
from kubelite.node.runtime.bundle import Program, Shared
from kubelite.objects.facts import quantity
from kubelite.objects.pod import expand, qos
from kubelite.objects.pod.container import Container
from kubelite.objects.pod.pod import Pod

_HUGE = "hugepages-"
DEFAULT_MESSAGE_PATH = "/dev/termination-log"


class ImageFacts(NamedTuple):
    """What a container needs to know of its image; ``passwd`` and ``group`` are the texts of those
    files in it.
    """

    id: str
    config: ImageConfig
    passwd: str
    group: str


class NodeFacts(NamedTuple):
    """What a container may ask about the node and its pod; ``capabilities`` masks what this machine
    can give, ``memory`` is in bytes, ``modules`` names the kernel's security modules,
    ``pids_limit`` is how many tasks a pod may have (0: any), ``huge_pages`` the sizes of those that
    the machine has set aside."""

    name: str
    address: str
    pod_address: str
    cpus: int
    memory: int
    capabilities: int
    hostname: str
    modules: frozenset[str] = frozenset()
    pids_limit: int = 0
    huge_pages: tuple[int, ...] = ()


class Unstartable(ValueError):
    """The pod cannot be started as it is; ``container`` says where ("" for the pod as a whole), the
    text why.
    """

    def __init__(self, container: str, reason: str) -> None:
        super().__init__(f'container "{container}": {reason}' if container else reason)


def shared_namespaces(pod: Pod) -> Shared:
    """Which namespaces the pod's containers share with each other and with the host."""
    spec = pod.spec
    return Shared(
        bool(spec.host_network),
        bool(spec.host_pid),
        bool(spec.host_ipc),
        bool(spec.share_process_namespace),
        own_users=spec.host_users is False,
    )


def declared_env(pod: Pod, container: Container, node: NodeFacts) -> dict[str, str]:
    """The variables that the manifest declares, expanded; what ``$(VAR)`` may name."""
    values = expand.Values(
        node_name=node.name,
        host_ip=node.address,
        pod_ip=node.pod_address,
        cpu=node.cpus * 1000,
        memory=node.memory,
    )
    return expand.container_env(pod, container, values)


def program(
    pod: Pod, container: Container, image: ImageFacts, node: NodeFacts, home: str
) -> Program:
    """Command line, environment and directory. Raises Unstartable when neither pod nor image names
    a command.
    """
    declared = declared_env(pod, container, node)
    env = dict(item.partition("=")[::2] for item in (DEFAULT_PATH, *image.config.env))
    env.setdefault("HOME", home)
    env["HOSTNAME"] = node.hostname
    if container.tty:
        env.setdefault("TERM", "xterm")
    env.update(declared)
    command = [expand.expand(word, declared) for word in container.command]
    args = [expand.expand(word, declared) for word in container.args]
    if not command:
        command = list(image.config.entrypoint)
        args = args or list(image.config.cmd)
    if not command and not args:
        raise Unstartable(
            container.name, "no command: neither the manifest nor the image names one"
        )
    cwd = container.working_dir or image.config.working_dir or "/"
    pairs = tuple(f"{key}={value}" for key, value in env.items())
    return Program((*command, *args), pairs, cwd, bool(container.tty))


def message_path(container: Container) -> str:
    """Where in the container its last message is read from: terminationMessagePath, unless a volume
    is mounted just there.
    """
    path = container.termination_message_path or DEFAULT_MESSAGE_PATH
    return "" if any(mount.mount_path == path for mount in container.volume_mounts) else path


def host_ports(pod: Pod) -> list[HostPort]:
    """The ports of this machine that the pod's containers ask for; init containers' count as well."""
    return [
        HostPort(
            host_port=port.host_port,
            container_port=port.container_port,
            protocol=port.protocol or "TCP",
            host_ip=port.host_ip or ANY,
        )
        for container in (*(pod.spec.init_containers), *pod.spec.containers)
        for port in container.ports
        if port.host_port
    ]


def fs_group(pod: Pod) -> int | None:
    """The group that the pod's volumes belong to."""
    return pod.spec.security_context.fs_group if pod.spec.security_context else None


def any_privileged(pod: Pod) -> bool:
    """Whether some container may use every device."""
    containers = (*(pod.spec.init_containers), *pod.spec.containers)
    return any(c.security_context is not None and c.security_context.privileged for c in containers)


def volume_sizes(pod: Pod) -> dict[str, int]:
    """sizeLimit in bytes of each emptyDir that has one."""
    return {
        volume.name: quantity.value(str(volume.empty_dir.size_limit))
        for volume in pod.spec.volumes
        if volume.empty_dir is not None and volume.empty_dir.size_limit is not None
    }


def container_limits(container: Container, huge_pages: Collection[int] = ()) -> Resources:
    """What the container's cgroup is told; ``huge_pages`` are the sizes that the machine has set
    aside.
    """
    found = qos.resources(container)
    huge = _huge_pages(qos.limits(container), huge_pages)
    return Resources(found.cpu_request, found.cpu_limit, found.memory_limit, huge_pages=huge)


def pod_limits(pod: Pod, pids_limit: int = 0, huge_pages: Collection[int] = ()) -> Resources:
    """What the pod's cgroup is told; a limit of the whole exists only where every container has
    one, but for that of tasks, which is the node's."""
    found = qos.pod_resources(pod)
    huge = _huge_pages(qos.pod_requests(pod), huge_pages)
    return Resources(found.cpu_request, found.cpu_limit, found.memory_limit, pids_limit, huge)


def _huge_pages(limits: qos.Amounts, sizes: Collection[int]) -> tuple[tuple[int, int], ...]:
    """As in the kubelet none may be had of a size that is not asked for."""
    asked = {
        quantity.value(name.removeprefix(_HUGE)): amount
        for name, amount in limits.items()
        if name.startswith(_HUGE)
    }
    return tuple(sorted({**dict.fromkeys(sizes, 0), **asked}.items()))
