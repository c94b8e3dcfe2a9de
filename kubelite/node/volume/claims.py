"""Which place on this node the claim of a pod leads to. Pure.

Rules and sentences are the kubelet's (``pkg/kubelet/volumemanager/populator``): a claim is used
once it is bound, and its volume must name it in turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from kubelite.node.volume.csi import requests
from kubelite.node.volume.errors import SourceNotReady, VolumeError
from kubelite.node.volume.mounts import Place
from kubelite.node.volume.payload import Objects
from kubelite.objects.facts import local_volumes, node_selectors

if TYPE_CHECKING:
    from kubelite.objects.pod.pod import Pod, Volume


class ClaimObjects(Objects, Protocol):
    """Where a cluster's claims and volumes are looked up as well. Each method raises SourceNotReady
    while the object cannot be had for another reason than absence.
    """

    def claim(self, name: str) -> Mapping[str, Any] | None:
        """The PersistentVolumeClaim of the pod's namespace, or None."""

    def persistent_volume(self, name: str) -> Mapping[str, Any] | None:
        """The PersistentVolume, or None."""

    def own_node(self) -> Mapping[str, Any]:
        """The Node that this is."""

    def csi_driver(self, name: str) -> Mapping[str, Any] | None:
        """The CSIDriver, or None."""

    def volume_attachment(self, name: str) -> Mapping[str, Any] | None:
        """The VolumeAttachment, or None."""

    def secret_of(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """A Secret that a volume of the pod names, of any namespace, or None."""


class ClaimUse(NamedTuple):
    """How a pod uses a claim: the name of the volume in the pod, that of the claim, and whether the
    claim is made for this pod (an ephemeral volume).
    """

    volume: str
    claim: str
    read_only: bool
    is_ephemeral: bool


def uses(pod: Pod) -> list[ClaimUse]:
    """The claims of a pod."""
    return [use for volume in pod.spec.volumes if (use := _use(volume, pod)) is not None]


def _use(volume: Volume, pod: Pod) -> ClaimUse | None:
    if volume.persistent_volume_claim is not None:
        source = volume.persistent_volume_claim
        return ClaimUse(volume.name, source.claim_name, bool(source.read_only), False)
    if volume.ephemeral is not None:
        return ClaimUse(volume.name, f"{pod.metadata.name}-{volume.name}", False, True)
    return None


def place(use: ClaimUse, pod: Pod, source: ClaimObjects, directory: str) -> Place:
    """Where the volume of a claim lies. ``directory`` is that of the node's provisioned volumes.

    That of a CSI driver has no path yet. Raises SourceNotReady where the claim may be bound later,
    VolumeError where its volume cannot be used here.
    """
    namespace = pod.metadata.namespace or "default"
    claim = source.claim(use.claim)
    if problem := _claim_problem(use, pod, claim):
        raise SourceNotReady(f"error processing PVC {namespace}/{use.claim}: {problem}")
    assert claim is not None, "absence is a problem"
    name = claim["spec"]["volumeName"]
    volume = source.persistent_volume(name)
    if volume is None:
        raise SourceNotReady(
            f"error processing PVC {namespace}/{use.claim}: failed to fetch PV {name} from API "
            f'server: persistentvolumes "{name}" not found'
        )
    if problem := _volume_problem(volume, claim):
        raise SourceNotReady(f"error processing PVC {namespace}/{use.claim}: {problem}")
    if problem := _mode_problem(use, pod, volume):
        raise SourceNotReady(problem)
    affinity = volume["spec"].get("nodeAffinity")
    if affinity and not _is_reachable(affinity, source.own_node()):
        raise VolumeError(
            f'MountVolume.NodeAffinity check failed for volume "{name}" : no matching '
            "NodeSelectorTerms"
        )
    return _place(use, volume, directory)


def _claim_problem(use: ClaimUse, pod: Pod, claim: Mapping[str, Any] | None) -> str:
    if claim is None:
        return (
            f'failed to fetch PVC from API server: persistentvolumeclaims "{use.claim}" not found'
        )
    metadata, spec = claim["metadata"], claim["spec"]
    if use.is_ephemeral and not _is_owner(pod, metadata):
        return "PVC was not created for this pod (pod is not owner)"
    if metadata.get("deletionTimestamp"):
        return "PVC is being deleted"
    if (claim.get("status") or {}).get("phase") != "Bound" or not spec.get("volumeName"):
        return "PVC is not bound"
    return ""


def _is_owner(pod: Pod, metadata: Mapping[str, Any]) -> bool:
    return any(
        owner.get("controller") and owner["uid"] == pod.metadata.uid
        for owner in metadata.get("ownerReferences") or ()
    )


def _volume_problem(volume: Mapping[str, Any], claim: Mapping[str, Any]) -> str:
    name, holder = volume["metadata"]["name"], volume["spec"].get("claimRef")
    if not holder:
        return (
            f"found PV object {name} with nil pv.Spec.ClaimRef indicating it is not yet bound to "
            "the claim"
        )
    if holder.get("uid") != claim["metadata"]["uid"]:
        return (
            f"found PV object {name} with a pv.Spec.ClaimRef.UID {holder.get('uid')} that does "
            f"not point to the claim UID {claim['metadata']['uid']}"
        )
    return ""


def _mode_problem(use: ClaimUse, pod: Pod, volume: Mapping[str, Any]) -> str:
    """Why containers cannot have a volume of this mode; "" where they can."""
    containers = (*pod.spec.init_containers, *pod.spec.containers)
    mode = _mode(volume)
    wrong = "volumeMounts" if mode == "Block" else "volumeDevices"
    uses = (
        used
        for container in containers
        for used in (container.volume_mounts if mode == "Block" else container.volume_devices)
    )
    if any(used.name == use.volume for used in uses):
        return f"volume {use.volume} has volumeMode {mode}, but is specified in {wrong}"
    return ""


def _mode(volume: Mapping[str, Any]) -> str:
    return str(volume["spec"].get("volumeMode") or "Filesystem")


def _is_reachable(affinity: Mapping[str, Any], node: Mapping[str, Any]) -> bool:
    metadata = node["metadata"]
    required = affinity.get("required") or {}
    return node_selectors.selects(required, metadata.get("labels") or {}, metadata["name"])


def _place(use: ClaimUse, volume: Mapping[str, Any], directory: str) -> Place:
    spec, name = volume["spec"], volume["metadata"]["name"]
    if spec.get("csi"):
        used = requests.persistent(volume, read_only=use.read_only)
        kind: Literal["block", "csi"] = "block" if used.is_block else "csi"
        return Place(use.volume, kind, "", name, used.read_only)
    if _mode(volume) == "Block":
        return _block_place(use, spec, name)
    if host_path := spec.get("hostPath"):
        path, type_ = host_path["path"], host_path.get("type") or ""
        return Place(use.volume, "host", path, type_, use.read_only)
    if local := spec.get("local"):
        own = local_volumes.is_provisioned(volume) and local["path"] == f"{directory}/{name}"
        path = local["path"]
        return Place(use.volume, "provisioned" if own else "local", path, "", use.read_only)
    raise VolumeError(
        f'persistent volume "{name}" is of a kind that cannot be served: local, hostPath and csi '
        "can"
    )


def _block_place(use: ClaimUse, spec: Mapping[str, Any], name: str) -> Place:
    """As the kubelet, which has such devices of ``local`` volumes and of drivers only."""
    if local := spec.get("local"):
        return Place(use.volume, "block", local["path"], "", use.read_only)
    raise VolumeError(
        f'persistent volume "{name}" is of a kind that cannot be served as a block device: local '
        "and csi can"
    )
