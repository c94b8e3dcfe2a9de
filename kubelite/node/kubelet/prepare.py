"""From a pod, its images and facts of this node to everything that its start needs, decided before anything is done. Pure.

Rules are the kubelet's: environment and ``$(VAR)`` expansion, command and args against the image's entrypoint, users and
security settings, mounts.
"""

from __future__ import annotations

from typing import NamedTuple

from kubelite.node.cgroup.limits import Resources
from kubelite.node.image.model import DEFAULT_PATH, ImageConfig
from kubelite.node.network.ports import ANY, HostPort
from kubelite.node.runtime.bundle import Program, Security, Shared
from kubelite.node.runtime.identity import IdentityError, User, capabilities, resolve_user
from kubelite.objects import expand, qos, quantity
from kubelite.objects.container import Container, SecurityContext
from kubelite.objects.pod import Pod, PodSecurityContext

DEFAULT_MESSAGE_PATH = "/dev/termination-log"
# Sysctls that belong to a pod's own namespaces and that the kubelet takes without being told to.
SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)


class ImageFacts(NamedTuple):
    """What a container needs to know of its image; ``passwd`` and ``group`` are the texts of those files in it."""

    id: str
    config: ImageConfig
    passwd: str
    group: str


class NodeFacts(NamedTuple):
    """What a container may ask about the node and its pod; ``capabilities`` masks what this machine can give, ``memory`` is
    in bytes, ``pids_limit`` the most tasks a pod may have (0: as many as it likes)."""

    name: str
    address: str
    pod_address: str
    cpus: int
    memory: int
    capabilities: int
    hostname: str
    pids_limit: int = 0


class Unstartable(ValueError):
    """The pod cannot be started as it is; ``container`` says where ("" for the pod as a whole), the text why."""

    def __init__(self, container: str, reason: str) -> None:
        super().__init__(f'container "{container}": {reason}' if container else reason)


def shared_namespaces(pod: Pod) -> Shared:
    """Which namespaces the pod's containers share with each other and with the host."""
    spec = pod.spec
    return Shared(
        bool(spec.host_network), bool(spec.host_pid), bool(spec.host_ipc), bool(spec.share_process_namespace)
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


def program(pod: Pod, container: Container, image: ImageFacts, node: NodeFacts, home: str) -> Program:
    """Command line, environment and directory. Raises Unstartable when neither pod nor image names a command."""
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
        raise Unstartable(container.name, "no command: neither the manifest nor the image names one")
    cwd = container.working_dir or image.config.working_dir or "/"
    pairs = tuple(f"{key}={value}" for key, value in env.items())
    return Program((*command, *args), pairs, cwd, bool(container.tty))


def message_path(container: Container) -> str:
    """Where in the container its last message is read from: terminationMessagePath, unless a volume is mounted just there."""
    path = container.termination_message_path or DEFAULT_MESSAGE_PATH
    return "" if any(mount.mount_path == path for mount in container.volume_mounts) else path


def sysctls(pod: Pod) -> tuple[tuple[str, str], ...]:
    """Paths below /proc/sys and their values. Raises Unstartable for one that is not on the kubelet's list of safe ones, or
    whose namespace is the host's."""
    context = pod.spec.security_context or PodSecurityContext()
    found = []
    for each in context.sysctls:
        # sysctl(8): where the first separator is a slash, dots are parts of names.
        name = each.name.replace("/", ".") if "/" in each.name.partition(".")[0] else each.name
        if name not in SAFE_SYSCTLS:
            raise Unstartable("", f'sysctl "{each.name}" is not one of the safe ones: {", ".join(sorted(SAFE_SYSCTLS))}')
        if pod.spec.host_network if name.startswith("net.") else pod.spec.host_ipc:
            raise Unstartable("", f'sysctl "{each.name}" would change the host, whose namespace this pod shares')
        found.append((name.replace(".", "/"), each.value))
    return tuple(found)


def security(pod: Pod, container: Container, image: ImageFacts, node: NodeFacts) -> Security:
    """Who the program runs as and what it may do; a container's own settings go before the pod's. Raises Unstartable."""
    own = container.security_context or SecurityContext()
    shared = pod.spec.security_context or PodSecurityContext()
    privileged = bool(own.privileged)
    wanted = own.capabilities
    try:
        user = _user(own, shared, image)
        caps = capabilities(
            list(wanted.add) if wanted else [],
            list(wanted.drop) if wanted else [],
            privileged,
            node.capabilities,
        )
    except IdentityError as error:
        raise Unstartable(container.name, str(error)) from error
    if user.uid == 0 and _first(own.run_as_non_root, shared.run_as_non_root):
        raise Unstartable(
            container.name, "runAsNonRoot is set and the program would run as root: set runAsUser to another user"
        )
    return Security(
        user,
        caps,
        no_new_privs=own.allow_privilege_escalation is False,
        privileged=privileged,
        readonly_root=bool(own.read_only_root_filesystem),
        unmasked=own.proc_mount == "Unmasked",
        oom_score_adj=qos.oom_score_adj(pod, container, node.memory),
    )


def _user(own: SecurityContext, shared: PodSecurityContext, image: ImageFacts) -> User:
    extra = [*(shared.supplemental_groups), *([] if shared.fs_group is None else [shared.fs_group])]
    return resolve_user(
        image.config.user,
        _first(own.run_as_user, shared.run_as_user),
        _first(own.run_as_group, shared.run_as_group),
        tuple(extra),
        image.passwd,
        image.group,
    )


def _first(own: int | None, shared: int | None) -> int | None:
    return shared if own is None else own


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


def container_limits(container: Container) -> Resources:
    """What the container's cgroup is told."""
    found = qos.resources(container)
    return Resources(found.cpu_request, found.cpu_limit, found.memory_limit)


def pod_limits(pod: Pod, pids_limit: int = 0) -> Resources:
    """What the pod's cgroup is told; a limit of the whole exists only where every container has one, but for that of tasks,
    which is the node's."""
    found = qos.pod_resources(pod)
    return Resources(found.cpu_request, found.cpu_limit, found.memory_limit, pids_limit)
