"""What a pod's start needs, computed from the pod, its images and facts about the node. Pure.

The rules are the kubelet's: environment and ``$(VAR)`` expansion, command and args against the
image's entrypoint, ports and limits. Users and privileges are decided in
:mod:`kubelite.node.kubelet.decide.security_context`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from kubelite.core.protocol import LogRotation
from kubelite.node.cgroup.limits import Resources
from kubelite.node.image.model import DEFAULT_PATH, ImageConfig
from kubelite.node.kubelet.decide.node_config import NodeConfig
from kubelite.node.network.ports import ANY, HostPort
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.launch_plan import Program, SharedNamespaces
from kubelite.node.volume import mounts
from kubelite.node.volume.errors import VolumeError
from kubelite.objects.facts import quantity
from kubelite.objects.pod import expand, qos
from kubelite.objects.pod.container import Container
from kubelite.objects.pod.pod import Pod
from kubelite.objects.pod.support import MAX_MILLI_CPUS

_HUGE = "hugepages-"
DEFAULT_MESSAGE_PATH = "/dev/termination-log"


class ImageFacts(NamedTuple):
    """What a container's start needs of its image; ``passwd`` and ``group`` are the contents of
    those files in it.
    """

    id: str
    config: ImageConfig
    passwd: str
    group: str


class NodeFacts(NamedTuple):
    """Facts about the node and the pod's network. ``capabilities`` is the mask that this process
    can grant, ``memory`` is in bytes, ``modules`` names the security modules of the kernel,
    ``pids_limit`` is the maximum number of tasks of a pod (0: no limit), ``huge_pages`` the page
    sizes in bytes that the machine has reserved, ``log`` how logs of containers are rotated.
    """

    name: str
    address: str
    pod_addresses: tuple[str, ...]
    cpus: int
    memory: int
    capabilities: int
    hostname: str
    modules: frozenset[str] = frozenset()
    pids_limit: int = 0
    huge_pages: tuple[int, ...] = ()
    log: LogRotation = NodeConfig().log_rotation


class ContainerConfigError(RuntimeFailure):
    """The specification cannot be started on this node (the kubelet: CreateContainerConfigError).
    ``container`` is its name, "" for the pod as a whole.
    """

    def __init__(self, container: str, reason: str) -> None:
        super().__init__(f'container "{container}": {reason}' if container else reason)


def shared_namespaces(pod: Pod) -> SharedNamespaces:
    """Which namespaces the pod's containers share with each other and with the host."""
    spec = pod.spec
    return SharedNamespaces(
        bool(spec.host_network),
        bool(spec.host_pid),
        bool(spec.host_ipc),
        bool(spec.share_process_namespace),
        own_userns=spec.host_users is False,
    )


def declared_env(
    pod: Pod, container: Container, node: NodeFacts, lookup: expand.Lookup | None = None
) -> dict[str, str]:
    """The variables that the manifest declares, expanded: those that ``$(VAR)`` may refer to.

    Raises ContainerConfigError for a ConfigMap, a Secret or a key that is missing.
    """
    try:
        return expand.container_env(pod, container, field_values(node), lookup)
    except expand.MissingSource as error:
        raise ContainerConfigError("", str(error)) from error


def field_values(node: NodeFacts) -> expand.Values:
    """What fields and resources of a pod may refer to on this node."""
    return expand.Values(
        node_name=node.name,
        host_ip=node.address,
        pod_ips=node.pod_addresses,
        cpu=node.cpus * 1000,
        memory=node.memory,
    )


def program(
    container: Container,
    image: ImageFacts,
    node: NodeFacts,
    home: str,
    declared: Mapping[str, str],
) -> Program:
    """Command line, environment and working directory; ``declared`` are the manifest's variables,
    ``home`` is the user's directory. Raises ContainerConfigError where neither
    the pod nor the image names a command, or the directory is relative.
    """
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
        raise ContainerConfigError(
            container.name, "no command: neither the manifest nor the image names one"
        )
    cwd = container.working_dir or image.config.working_dir or "/"
    if not cwd.startswith("/"):
        raise ContainerConfigError(container.name, f'workingDir "{cwd}" is not an absolute path')
    pairs = tuple(f"{key}={value}" for key, value in env.items())
    return Program((*command, *args), pairs, cwd, bool(container.tty))


def message_path(container: Container) -> str:
    """The path inside the container of its termination message, "" where a volume is mounted at
    exactly that path.
    """
    path = container.termination_message_path or DEFAULT_MESSAGE_PATH
    return "" if any(mount.mount_path == path for mount in container.volume_mounts) else path


def host_ports(pod: Pod) -> list[HostPort]:
    """The host ports of all containers, init containers included."""
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
    """The pod's fsGroup."""
    return pod.spec.security_context.fs_group if pod.spec.security_context else None


def fs_user(pod: Pod) -> int | None:
    """The user whom tokens are for: the one ``runAsUser`` of all containers (kubelet,
    ``FsUserFrom``).
    """
    shared = pod.spec.security_context
    default = None if shared is None else shared.run_as_user
    users = set()
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        own = container.security_context
        users.add(default if own is None or own.run_as_user is None else own.run_as_user)
    return users.pop() if len(users) == 1 else None


def any_privileged(pod: Pod) -> bool:
    """Whether any container is privileged."""
    containers = (*(pod.spec.init_containers), *pod.spec.containers)
    return any(c.security_context is not None and c.security_context.privileged for c in containers)


def has_devices(pod: Pod) -> bool:
    """Whether any container has a block volume."""
    return any(c.volume_devices for c in (*pod.spec.init_containers, *pod.spec.containers))


def shared_volumes(pod: Pod) -> frozenset[str]:
    """The volumes in which mounts of one container are to be seen elsewhere."""
    containers = (*pod.spec.init_containers, *pod.spec.containers)
    return mounts.shared_volumes(mount for c in containers for mount in c.volume_mounts)


def volume_sizes(pod: Pod) -> dict[str, int]:
    """sizeLimit in bytes of each emptyDir that has one."""
    return {
        volume.name: quantity.value(str(volume.empty_dir.size_limit))
        for volume in pod.spec.volumes
        if volume.empty_dir is not None and volume.empty_dir.size_limit is not None
    }


def page_sizes(pod: Pod) -> dict[str, int]:
    """The size in bytes of the pages of each emptyDir on huge pages: the one that its medium names,
    or else the only one that the pod requests (the kubelet's ``getPageSizeMountOption``). Raises
    VolumeError.
    """
    media = {
        volume.name: volume.empty_dir.medium
        for volume in pod.spec.volumes
        if volume.empty_dir is not None
        and (volume.empty_dir.medium or "").partition("-")[0] == "HugePages"
    }
    return {name: _page_size(medium, pod) for name, medium in media.items() if medium}


def _page_size(medium: str, pod: Pod) -> int:
    spec = pod.spec
    resources = [c.resources for c in (*spec.init_containers, *spec.containers)]
    requested = {
        quantity.value(name.removeprefix(_HUGE))
        for amounts in (*resources, *([spec.resources] if spec.resources else []))
        for name in {**amounts.limits, **amounts.requests}
        if name.startswith(_HUGE)
    }
    size = medium.partition("-")[2]
    fitting = {page for page in requested if not size or page == quantity.value(size)}
    if len(fitting) == 1:
        return fitting.pop()
    if fitting:
        raise VolumeError(f"medium {medium} can't be used if the pod requests multiple page sizes")
    raise VolumeError(f"medium {medium} is used, but no container requests such huge pages")


def container_limits(container: Container, huge_pages: Collection[int] = ()) -> Resources:
    """The resources of the container's cgroup; ``huge_pages`` are the page sizes in bytes that the
    machine has reserved. Raises ContainerConfigError for a limit that no kernel can keep.
    """
    own = qos.resources(container)
    if own.cpu_limit > MAX_MILLI_CPUS:
        text, cpus = container.resources.limits.get("cpu"), own.cpu_limit // 1000
        problem = f"limits.cpu: {text} is {cpus} CPUs, more than the kernel can account for"
        raise ContainerConfigError(container.name, f"{problem}: was memory meant?")
    huge = _huge_pages(qos.limits(container), huge_pages)
    return Resources(own.cpu_request, own.cpu_limit, own.memory_limit, huge_pages=huge)


def pod_limits(pod: Pod, pids_limit: int = 0, huge_pages: Collection[int] = ()) -> Resources:
    """The resources of the pod's cgroup. CPU and memory are limited only where every container has
    a limit; ``pids_limit`` is the node's."""
    whole = qos.pod_resources(pod)
    huge = _huge_pages(qos.pod_requests(pod), huge_pages)
    return Resources(whole.cpu_request, whole.cpu_limit, whole.memory_limit, pids_limit, huge)


def _huge_pages(limits: qos.Amounts, sizes: Collection[int]) -> tuple[tuple[int, int], ...]:
    """As in the kubelet, a size that is not requested is limited to 0."""
    requested = {
        quantity.value(name.removeprefix(_HUGE)): amount
        for name, amount in limits.items()
        if name.startswith(_HUGE)
    }
    return tuple(sorted({**dict.fromkeys(sizes, 0), **requested}.items()))
