"""What a container may do, decided from its securityContext, its pod's, its image and facts of the
node. Pure.

Rules are the kubelet's and the CRI runtimes': a container's own settings go before the pod's,
privileged undoes max_backoff of them, and what cannot be kept is refused in one sentence.
"""

from __future__ import annotations

from typing import TypeVar

from kubelite.core.plan import Module, Rlimit
from kubelite.node.kubelet.decide.container_config import (
    ContainerConfigError,
    ImageFacts,
    NodeFacts,
)
from kubelite.node.runtime.identity import MAX_ID, IdentityError, User, capabilities, resolve_user
from kubelite.node.runtime.launch_plan import IDS, Security
from kubelite.objects.pod import qos
from kubelite.objects.pod.container import (
    AppArmorProfile,
    Container,
    SeccompProfile,
    SecurityContext,
    SELinuxOptions,
)
from kubelite.objects.pod.pod import Pod, PodSecurityContext

T = TypeVar("T")

RLIMITS = "kubelite.io/rlimits"
"""The annotation for resource limits, which Kubernetes has no field for:
``nofile=1024:4096,core=0`` (soft and hard limit, or one number for both).
"""

# Namespaced sysctls that the kubelet allows by default.
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
# Other namespaced sysctls, which may be allowed on a node; the rest belongs to the whole machine.
_NAMESPACED = ("kernel.shm*", "kernel.msg*", "kernel.sem", "fs.mqueue.*", "net.*")
_LIMITS = (
    "cpu fsize data stack core rss nproc nofile memlock as locks sigpending msgqueue nice rtprio "
    "rttime"
).split()
"""The kernel's resource limits in the order of their numbers, setrlimit(2)."""


def security(pod: Pod, container: Container, image: ImageFacts, node: NodeFacts) -> Security:
    """User, capabilities and confinement of the program. Raises ContainerConfigError."""
    own = container.security_context or SecurityContext()
    shared = pod.spec.security_context or PodSecurityContext()
    privileged = bool(own.privileged)
    declared = own.capabilities
    try:
        user = _user(own, shared, image)
        caps = capabilities(
            list(declared.add) if declared else [],
            list(declared.drop) if declared else [],
            privileged,
            node.capabilities,
        )
    except IdentityError as error:
        raise ContainerConfigError(container.name, str(error)) from error
    _check_user(pod, container.name, user, _first(own.run_as_non_root, shared.run_as_non_root))
    return Security(
        user,
        caps,
        no_new_privs=own.allow_privilege_escalation is False,
        privileged=privileged,
        readonly_root=bool(own.read_only_root_filesystem),
        unmasked=own.proc_mount == "Unmasked",
        oom_score_adj=qos.oom_score_adj(pod, container, node.memory),
        seccomp="" if privileged else _seccomp(_first(own.seccomp_profile, shared.seccomp_profile)),
        rlimits=rlimits(pod),
        labels=() if privileged else _labels(container.name, own, shared, node),
    )


def _check_user(pod: Pod, name: str, user: User, non_root: bool | None) -> None:
    if user.uid == 0 and non_root:
        raise ContainerConfigError(
            name,
            "runAsNonRoot is set and the program would run as root: set runAsUser to another user",
        )
    beyond = [id for id in (user.uid, user.gid, *user.groups) if id >= IDS]
    if pod.spec.host_users is False and beyond:
        raise ContainerConfigError(
            name, f"id {beyond[0]} is not among the {IDS} ids of a pod with hostUsers: false"
        )


def _user(own: SecurityContext, shared: PodSecurityContext, image: ImageFacts) -> User:
    extra = [*shared.supplemental_groups, *([] if shared.fs_group is None else [shared.fs_group])]
    return resolve_user(
        image.config.user,
        _first(own.run_as_user, shared.run_as_user),
        _first(own.run_as_group, shared.run_as_group),
        tuple(extra),
        image.passwd,
        image.group,
        merge=shared.supplemental_groups_policy != "Strict",
    )


def _seccomp(profile: SeccompProfile | None) -> str:
    """ "" for no filter, "default", or "localhost/" and a path below the node's profiles."""
    if profile is None or profile.type == "RuntimeDefault":
        return "default"
    return "" if profile.type == "Unconfined" else f"localhost/{profile.localhost_profile}"


def _labels(
    name: str, own: SecurityContext, shared: PodSecurityContext, node: NodeFacts
) -> tuple[tuple[Module, str], ...]:
    """The labels for the kernel's security modules. An AppArmor profile that this kernel cannot
    enforce is an error; an SELinux label means nothing where no program has one, as to every
    container runtime.
    """
    labels: list[tuple[Module, str]] = []
    armor: AppArmorProfile | None = _first(own.app_armor_profile, shared.app_armor_profile)
    if armor is not None and armor.type == "Localhost":
        if "AppArmor" not in node.modules:
            raise ContainerConfigError(
                name,
                f'AppArmor profile "{armor.localhost_profile}": this kernel runs without AppArmor',
            )
        labels.append((Module.APPARMOR, f"exec {armor.localhost_profile}"))
    options: SELinuxOptions | None = _first(own.se_linux_options, shared.se_linux_options)
    if options is not None and "SELinux" in node.modules:
        labels.append((Module.SELINUX, _context(options)))
    return tuple(labels)


def _context(options: SELinuxOptions) -> str:
    """The label, with the defaults of container-selinux for missing parts."""
    user, role = options.user or "system_u", options.role or "system_r"
    return f"{user}:{role}:{options.type or 'container_t'}:{options.level or 's0'}"


def _first(own: T | None, shared: T | None) -> T | None:
    return shared if own is None else own


def sysctls(pod: Pod, allowed: tuple[str, ...] = ()) -> tuple[tuple[str, str], ...]:
    """Paths below /proc/sys and their values; ``allowed`` are names, or patterns that end in ``*``,
    that the node permits.

    Raises ContainerConfigError for one that is neither safe nor permitted, not namespaced, or whose
    namespace is the host's.
    """
    context = pod.spec.security_context or PodSecurityContext()
    return tuple((_sysctl(pod, s.name, allowed), s.value) for s in context.sysctls)


def _sysctl(pod: Pod, written: str, allowed: tuple[str, ...]) -> str:
    # sysctl(8): where the first separator is a slash, dots are parts of names.
    slashes = "/" in written.partition(".")[0]
    path = written if slashes else written.replace(".", "/")
    name = written.replace("/", ".") if slashes else written
    if name not in SAFE_SYSCTLS:
        if not _matches(name, _NAMESPACED):
            raise ContainerConfigError(
                "", f'sysctl "{written}" is not namespaced: no pod may set it'
            )
        if not _matches(name, allowed):
            raise ContainerConfigError(
                "",
                f'sysctl "{written}" is not safe: '
                f"--allow-unsafe-sysctl {name} permits it on this node",
            )
    if pod.spec.host_network if name.startswith("net.") else pod.spec.host_ipc:
        raise ContainerConfigError(
            "", f'sysctl "{written}" would change the host, whose namespace this pod shares'
        )
    return path


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(
        name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
        for pattern in patterns
    )


def rlimits(pod: Pod) -> tuple[Rlimit, ...]:
    """The resource limits of the pod's annotation. Raises ContainerConfigError."""
    text = (pod.metadata.annotations or {}).get(RLIMITS, "")
    return tuple(_rlimit(word) for word in text.split(",") if word)


def _rlimit(word: str) -> Rlimit:
    name, equals, values = word.strip().partition("=")
    soft, _, hard = values.partition(":")
    low, high = _amount(soft), _amount(hard or soft)
    if not equals or name not in _LIMITS or low is None or high is None or low > high:
        raise ContainerConfigError(
            "", f'annotation {RLIMITS}: "{word}" is not a limit: write nofile=1024:4096'
        )
    return Rlimit(_LIMITS.index(name), low, high)


def _amount(text: str) -> int | None:
    if text == "unlimited":
        return (1 << 64) - 1
    return int(text) if text.isascii() and text.isdigit() and int(text) <= MAX_ID << 16 else None
