"""What is observed of a pod (core/v1 PodStatus). Pure."""

from msgspec import field

from kubelite.objects.pod.base import Int32, Int64, Object, Time
from kubelite.objects.pod.container import ResourceRequirements
from kubelite.objects.pod.meta import Quantities

__all__ = [
    "ContainerExtendedResourceRequest",
    "ContainerState",
    "ContainerStateRunning",
    "ContainerStateTerminated",
    "ContainerStateWaiting",
    "ContainerStatus",
    "ContainerUser",
    "HostIP",
    "ImageVolumeStatus",
    "LinuxContainerUser",
    "NodeAllocatableResourceClaimStatus",
    "PodCondition",
    "PodExtendedResourceClaimStatus",
    "PodIP",
    "PodResourceClaimStatus",
    "PodStatus",
    "ResourceHealth",
    "ResourceStatus",
    "VolumeMountStatus",
    "VolumeStatus",
]


class ContainerStateWaiting(Object, kw_only=True, frozen=True):
    """Not started yet, or not again."""

    reason: str | None = None
    message: str | None = None


class ContainerStateRunning(Object, kw_only=True, frozen=True):
    """Started."""

    started_at: Time | None = None


class ContainerStateTerminated(Object, kw_only=True, frozen=True):
    """Ended."""

    exit_code: Int32
    signal: Int32 | None = None
    reason: str | None = None
    message: str | None = None
    started_at: Time | None = None
    finished_at: Time | None = None
    container_id: str | None = None


class ContainerState(Object, kw_only=True, frozen=True):
    """At most one is set; none means waiting."""

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class LinuxContainerUser(Object, kw_only=True, frozen=True):
    """The ids of the first process."""

    uid: Int64
    gid: Int64
    supplemental_groups: tuple[Int64, ...] = ()


class ContainerUser(Object, kw_only=True, frozen=True):
    """Who the first process is."""

    linux: LinuxContainerUser | None = None


class ImageVolumeStatus(Object, kw_only=True, frozen=True):
    """Which image a volume shows."""

    image_ref: str


class VolumeStatus(Object, kw_only=True, frozen=True):
    """What is known of a mounted volume."""

    image: ImageVolumeStatus | None = None


class VolumeMountStatus(Object, kw_only=True, frozen=True):
    """A mount as it was made."""

    name: str
    mount_path: str
    read_only: bool | None = None
    recursive_read_only: str | None = None
    volume_status: VolumeStatus | None = None


class ResourceHealth(Object, kw_only=True, frozen=True):
    """Whether a device works."""

    resource_id: str
    health: str | None = None
    message: str | None = None


class ResourceStatus(Object, kw_only=True, frozen=True):
    """The devices behind a resource."""

    name: str
    resources: tuple[ResourceHealth, ...] = ()


class ContainerStatus(Object, kw_only=True, frozen=True):
    """What is observed of one container."""

    name: str
    ready: bool
    restart_count: Int32
    image: str
    image_id: str
    state: ContainerState | None = None
    last_state: ContainerState | None = None
    container_id: str | None = None
    started: bool | None = None
    allocated_resources: Quantities = field(default_factory=dict)
    resources: ResourceRequirements | None = None
    volume_mounts: tuple[VolumeMountStatus, ...] = ()
    user: ContainerUser | None = None
    allocated_resources_status: tuple[ResourceStatus, ...] = ()
    stop_signal: str | None = None


class PodCondition(Object, kw_only=True, frozen=True):
    """One aspect: PodScheduled, PodReadyToStartContainers, Initialized, ContainersReady, Ready."""

    type: str
    status: str
    observed_generation: Int64 | None = None
    last_probe_time: Time | None = None
    last_transition_time: Time | None = None
    reason: str | None = None
    message: str | None = None


class PodIP(Object, kw_only=True, frozen=True):
    """An address of the pod."""

    ip: str


class HostIP(Object, kw_only=True, frozen=True):
    """An address of the node."""

    ip: str


class PodResourceClaimStatus(Object, kw_only=True, frozen=True):
    """The claim that was made for one of ``spec.resourceClaims``."""

    name: str
    resource_claim_name: str | None = None


class ContainerExtendedResourceRequest(Object, kw_only=True, frozen=True):
    """Which request of a claim a container's extended resource became."""

    container_name: str
    resource_name: str
    request_name: str


class PodExtendedResourceClaimStatus(Object, kw_only=True, frozen=True):
    """The claim that was made for extended resources."""

    request_mappings: tuple[ContainerExtendedResourceRequest, ...]
    resource_claim_name: str


class NodeAllocatableResourceClaimStatus(Object, kw_only=True, frozen=True):
    """What a claim takes of the node's own resources."""

    resource_claim_name: str
    resources: Quantities
    containers: tuple[str, ...] = ()


class PodStatus(Object, kw_only=True, frozen=True):
    """What is observed of a pod."""

    observed_generation: Int64 | None = None
    phase: str | None = None
    conditions: tuple[PodCondition, ...] = ()
    message: str | None = None
    reason: str | None = None
    nominated_node_name: str | None = None
    host_ip: str | None = None
    host_ips: tuple[HostIP, ...] = ()
    pod_ip: str | None = None
    pod_ips: tuple[PodIP, ...] = ()
    start_time: Time | None = None
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    qos_class: str | None = None
    ephemeral_container_statuses: tuple[ContainerStatus, ...] = ()
    resize: str | None = None
    resource_claim_statuses: tuple[PodResourceClaimStatus, ...] = ()
    extended_resource_claim_status: PodExtendedResourceClaimStatus | None = None
    node_allocatable_resource_claim_statuses: tuple[NodeAllocatableResourceClaimStatus, ...] = ()
    allocated_resources: Quantities = field(default_factory=dict)
    resources: ResourceRequirements | None = None
