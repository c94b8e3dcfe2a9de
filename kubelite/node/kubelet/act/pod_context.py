"""What all starts in one sandbox of a pod have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.kubelet.act import config_file, facts
from kubelite.node.kubelet.act.images import ResolvedImage, volume_places
from kubelite.node.kubelet.act.pod_state import PodState
from kubelite.node.kubelet.decide import container_config
from kubelite.node.kubelet.decide.container_config import NodeFacts
from kubelite.node.network.resolver import HostFiles, pod_names
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.records import PodRecord, SandboxRecord
from kubelite.node.volume import mounts as volumes
from kubelite.node.volume.mounts import Part, Place
from kubelite.objects.pod.pod import Pod

if TYPE_CHECKING:
    from kubelite.node.volume.payload import Objects


class PodContext:
    """Gathered once by :func:`gather`, valid for one specification and one sandbox.

    ``volumes`` says where each volume lies, by name; ``volume_files`` are those that are single
    files, known once the volumes are created. ``covers`` are the host's paths that a container on
    the host's root must not see. ``objects`` gives ConfigMaps, Secrets and tokens,
    ``service_variables`` are those of the cluster's Services. ``warnings`` are sentences about what
    the node could not provide.
    """

    __slots__ = (
        "covers",
        "home",
        "host_files",
        "images",
        "node",
        "objects",
        "pod",
        "record",
        "service_variables",
        "shared",
        "trace",
        "tree",
        "volume_files",
        "volumes",
        "warnings",
    )

    def __init__(
        self,
        home: Home,
        tree: CgroupTree,
        record: PodRecord,
        pod: Pod,
        images: dict[str, ResolvedImage],
        node: NodeFacts,
        host_files: HostFiles,
        objects: Callable[[], Objects],
        service_variables: Mapping[str, str],
        claimed: Mapping[str, Place],
        trace: Callable[[str], None],
    ) -> None:
        self.home = home
        self.tree = tree
        self.record = record
        self.pod = pod
        self.images = images
        self.node = node
        self.host_files = host_files
        self.objects = objects
        self.service_variables = service_variables
        self.trace = trace
        self.shared = container_config.shared_namespaces(pod)
        known = {**claimed, **volume_places(pod, images), **_huge_places(home, record.uid, pod)}
        self.volumes = _volumes(home, record.uid, pod, known)
        self.volume_files: frozenset[Part] = frozenset()
        self.covers = _covers(home, images)
        self.warnings: list[str] = []

    @property
    def has_contents(self) -> bool:
        """Whether any volume is made of API objects."""
        return any(place.kind in ("content", "secret") for place in self.volumes.values())

    @property
    def has_drivers(self) -> bool:
        """Whether CSI drivers publish any volume."""
        return any(place.is_of_driver for place in self.volumes.values())

    @property
    def shm(self) -> str:
        """The directory that the containers share as /dev/shm."""
        if self.shared.host_ipc:
            return "/dev/shm"
        return f"{self.home.pod_run(self.record.uid)}/shm"

    @property
    def etc(self) -> str:
        """The directory of the pod's own /etc/hosts, resolv.conf and hostname."""
        return f"{self.home.pod(self.record.uid)}/etc"


def gather(
    state: PodState,
    tree: CgroupTree,
    images: dict[str, ResolvedImage],
    trace: Callable[[str], None],
) -> PodContext:
    """Looks up what the node offers. The pod's address is that of its sandbox, if it has one.

    Raises SourceNotReady and VolumeError for a claim that leads nowhere.
    """
    host_files, cluster = facts.read_host_files(), state.cluster
    config = config_file.read(state.home)
    address = facts.node_address() if state.pod.spec.host_network else ""
    if cluster is not None:
        host_files = host_files._replace(cluster=(cluster.node.dns, cluster.node.domain))
        address = cluster.node.address
    node = NodeFacts(
        name=cluster.node.name if cluster is not None else facts.node_name(),
        address=address,
        pod_addresses=(address,) if state.pod.spec.host_network and address else (),
        cpus=facts.cpus(),
        memory=facts.memory(),
        capabilities=facts.capabilities(),
        hostname=pod_names(state.pod, host_files.hostname).hostname,
        modules=facts.security_modules(),
        pids_limit=config.pids_limit or facts.pids_limit(),
        huge_pages=facts.huge_pages(),
        log=config.log_rotation,
    )
    if state.observed.up and state.observed.sandbox is not None:
        node = _with_addresses(node, state.observed.sandbox)
    return PodContext(
        state.home,
        tree,
        state.record,
        state.pod,
        images,
        node,
        host_files,
        lambda: state.objects,
        _service_variables(state),
        _claimed(state),
        trace,
    )


def _service_variables(state: PodState) -> Mapping[str, str]:
    if state.cluster is None:
        return {}
    links = state.pod.spec.enable_service_links is not False
    return state.cluster.service_variables(state.record.namespace, links=links)


def _with_addresses(node: NodeFacts, sandbox: SandboxRecord) -> NodeFacts:
    """The node's address is the bridge's for a local pod, that of the cluster's node for others."""
    return node._replace(
        pod_addresses=sandbox.addresses or node.pod_addresses,
        address=node.address or sandbox.host_address,
    )


def _claimed(state: PodState) -> Mapping[str, Place]:
    """The places of the pod's claims and of its drivers' volumes. Raises SourceNotReady,
    VolumeError.
    """
    if not any(v.persistent_volume_claim or v.ephemeral or v.csi for v in state.pod.spec.volumes):
        return {}
    from kubelite.node.kubelet.act import claimed_volumes  # most pods have none

    return claimed_volumes.places(state)


def _volumes(home: Home, uid: str, pod: Pod, known: Mapping[str, Place]) -> dict[str, Place]:
    disk, memory = f"{home.pod(uid)}/volumes", f"{home.pod_run(uid)}/memory"
    places = volumes.places(pod.spec.volumes, disk, memory, known)
    return {place.name: place for place in places}


def _huge_places(home: Home, uid: str, pod: Pod) -> dict[str, Place]:
    """The emptyDirs on huge pages. Raises VolumeError."""
    memory = f"{home.pod_run(uid)}/memory"
    sizes = container_config.page_sizes(pod)
    return {
        name: Place(name, "huge", f"{memory}/{name}", str(size)) for name, size in sizes.items()
    }


def _covers(home: Home, images: dict[str, ResolvedImage]) -> tuple[str, ...]:
    if not any(resolved.image.is_on_host for resolved in images.values()):
        return ()
    from kubelite.node.image.host import host_covers

    return tuple(host_covers(Path(home.root), Path(home.run)))
