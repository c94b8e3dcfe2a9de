"""What a pod that an API server has bound to this node needs of its cluster. Pure: shapes only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from kubelite.node.network.cni import Directories
    from kubelite.node.runtime.records import ObservedPod, PodRecord
    from kubelite.node.volume.claims import ClaimObjects
    from kubelite.objects.pod.pod import Pod


class ClusterNode(NamedTuple):
    """This node as its cluster knows it. ``dns`` is the address of the cluster's name server."""

    name: str
    address: str
    dns: str = ""
    domain: str = "cluster.local"
    allows_host_image: bool = False
    cni: Directories | None = None


class ClusterView(Protocol):
    """Called from workers' threads; what needs the API blocks until it answers."""

    @property
    def node(self) -> ClusterNode:
        """This node."""

    def objects(self, record: PodRecord) -> ClaimObjects:
        """ConfigMaps, Secrets, tokens, claims and volumes for a pod. Its methods raise
        SourceNotReady.
        """

    def service_variables(self, namespace: str, *, links: bool) -> Mapping[str, str]:
        """Environment variables of the Services a pod sees; without ``links`` only those of
        ``kubernetes``.
        """

    def event(
        self, record: PodRecord, reason: str, message: str, field_path: str, *, warning: bool
    ) -> None:
        """Something has happened to a pod, or to the container at ``field_path``."""

    def pod_changed(self, pod: Pod, observed: ObservedPod) -> None:
        """A worker has looked at a pod and done what there was to do. Told of local pods too."""

    def is_going(self, record: PodRecord) -> bool:
        """Whether a pod is being deleted, or has been already."""

    def pod_removed(self, record: PodRecord) -> None:
        """Nothing of a pod, local ones included, is left on this node."""
