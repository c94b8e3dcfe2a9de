"""The Pod (core/v1), API level 1.36: every field, typed. Pure.

Its parts live in :mod:`container`, :mod:`volumes`, :mod:`placement`, :mod:`status` and :mod:`meta`;
users import them from here.
"""

from msgspec import field

from kubelite.objects.pod import container, meta, placement, status, volumes
from kubelite.objects.pod.base import Int32, Int64, Object
from kubelite.objects.pod.container import *  # noqa: F403
from kubelite.objects.pod.container import (
    AppArmorProfile,
    Container,
    EphemeralContainer,
    ResourceRequirements,
    SeccompProfile,
    SELinuxOptions,
    WindowsSecurityContextOptions,
)
from kubelite.objects.pod.meta import *  # noqa: F403
from kubelite.objects.pod.meta import LocalObjectReference, ObjectMeta, Quantities
from kubelite.objects.pod.placement import *  # noqa: F403
from kubelite.objects.pod.placement import (
    Affinity,
    PodSchedulingGate,
    PodSchedulingGroup,
    Toleration,
    TopologySpreadConstraint,
)
from kubelite.objects.pod.status import *  # noqa: F403
from kubelite.objects.pod.status import PodStatus
from kubelite.objects.pod.volumes import *  # noqa: F403
from kubelite.objects.pod.volumes import Volume

__all__ = [
    "HostAlias",
    "Pod",
    "PodDNSConfig",
    "PodDNSConfigOption",
    "PodOS",
    "PodReadinessGate",
    "PodResourceClaim",
    "PodSecurityContext",
    "PodSpec",
    "Sysctl",
    *container.__all__,
    *meta.__all__,
    *placement.__all__,
    *status.__all__,
    *volumes.__all__,
]


class Sysctl(Object, kw_only=True, frozen=True):
    """A kernel parameter of the pod's namespaces."""

    name: str
    value: str


class PodSecurityContext(Object, kw_only=True, frozen=True):
    """Rights of all containers."""

    se_linux_options: SELinuxOptions | None = None
    windows_options: WindowsSecurityContextOptions | None = None
    run_as_user: Int64 | None = None
    run_as_group: Int64 | None = None
    run_as_non_root: bool | None = None
    supplemental_groups: tuple[Int64, ...] = ()
    supplemental_groups_policy: str | None = None
    fs_group: Int64 | None = None
    sysctls: tuple[Sysctl, ...] = ()
    fs_group_change_policy: str | None = None
    seccomp_profile: SeccompProfile | None = None
    app_armor_profile: AppArmorProfile | None = None
    se_linux_change_policy: str | None = None


class HostAlias(Object, kw_only=True, frozen=True):
    """A line of /etc/hosts."""

    ip: str
    hostnames: tuple[str, ...] = ()


class PodDNSConfigOption(Object, kw_only=True, frozen=True):
    """A word of the options line of /etc/resolv.conf, with or without a value."""

    name: str | None = None
    value: str | None = None


class PodDNSConfig(Object, kw_only=True, frozen=True):
    """What goes into /etc/resolv.conf besides what ``dnsPolicy`` brings."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[PodDNSConfigOption, ...] = ()


class PodReadinessGate(Object, kw_only=True, frozen=True):
    """A condition that must be true before the pod counts as ready."""

    condition_type: str


class PodOS(Object, kw_only=True, frozen=True):
    """The operating system of the containers."""

    name: str


class PodResourceClaim(Object, kw_only=True, frozen=True):
    """A device claim that containers may use by this name."""

    name: str
    resource_claim_name: str | None = None
    resource_claim_template_name: str | None = None


class PodSpec(Object, kw_only=True, frozen=True):
    """What is wanted."""

    volumes: tuple[Volume, ...] = ()
    init_containers: tuple[Container, ...] = ()
    containers: tuple[Container, ...]
    ephemeral_containers: tuple[EphemeralContainer, ...] = ()
    restart_policy: str | None = None
    termination_grace_period_seconds: Int64 | None = None
    active_deadline_seconds: Int64 | None = None
    dns_policy: str | None = None
    node_selector: dict[str, str] = field(default_factory=dict)
    service_account_name: str | None = None
    service_account: str | None = None
    automount_service_account_token: bool | None = None
    node_name: str | None = None
    host_network: bool | None = None
    host_pid: bool | None = None
    host_ipc: bool | None = None
    share_process_namespace: bool | None = None
    security_context: PodSecurityContext | None = None
    image_pull_secrets: tuple[LocalObjectReference, ...] = ()
    hostname: str | None = None
    subdomain: str | None = None
    affinity: Affinity | None = None
    scheduler_name: str | None = None
    tolerations: tuple[Toleration, ...] = ()
    host_aliases: tuple[HostAlias, ...] = ()
    priority_class_name: str | None = None
    priority: Int32 | None = None
    dns_config: PodDNSConfig | None = None
    readiness_gates: tuple[PodReadinessGate, ...] = ()
    runtime_class_name: str | None = None
    enable_service_links: bool | None = None
    preemption_policy: str | None = None
    overhead: Quantities = field(default_factory=dict)
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] = ()
    set_hostname_as_fqdn: bool | None = None
    os: PodOS | None = None
    host_users: bool | None = None
    scheduling_gates: tuple[PodSchedulingGate, ...] = ()
    resource_claims: tuple[PodResourceClaim, ...] = ()
    resources: ResourceRequirements | None = None
    hostname_override: str | None = None
    scheduling_group: PodSchedulingGroup | None = None


class Pod(Object, kw_only=True, frozen=True):
    """Containers that share a network, volumes and a life."""

    api_version: str = field(default_factory=lambda: "v1")
    kind: str = field(default_factory=lambda: "Pod")
    metadata: ObjectMeta = field(default_factory=ObjectMeta)
    spec: PodSpec
    status: PodStatus | None = None
