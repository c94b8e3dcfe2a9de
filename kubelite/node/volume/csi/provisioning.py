"""What the controller side of a driver is asked, and what becomes of the answers. Pure.

After kubernetes-csi's ``external-attacher``, ``-provisioner`` and ``-resizer``: their finalizers,
annotations, names of volumes and sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from kubelite.node.volume.csi import requests
from kubelite.node.volume.errors import VolumeError
from kubelite.objects.facts import local_volumes, quantity
from kubelite.objects.facts.local_volumes import FINALIZER, PROVISIONED_BY, SELECTED_NODE

CREATE_DELETE_VOLUME, PUBLISH_UNPUBLISH_VOLUME, EXPAND_VOLUME = 1, 2, 9
"""Capabilities of a driver's controller side."""
CONTROLLER_SERVICE, ACCESSIBILITY_CONSTRAINTS = 1, 2
"""What a driver is as a whole, of GetPluginCapabilities."""
_RESERVED = "csi.storage.k8s.io/"

Object = Mapping[str, Any]


def attacher_finalizer(driver: str) -> str:
    """Holds an attachment until the driver has detached the volume."""
    return f"external-attacher/{driver.replace('.', '-')}"


def attachment_step(attachment: Object, node: str) -> Literal["attach", "detach", ""]:
    """What is next for an attachment to this node."""
    spec, metadata = attachment["spec"], attachment["metadata"]
    if spec["nodeName"] != node:
        return ""
    if metadata.get("deletionTimestamp"):
        held = attacher_finalizer(spec["attacher"]) in (metadata.get("finalizers") or ())
        return "detach" if held else ""
    return "" if (attachment.get("status") or {}).get("attached") else "attach"


def is_provisioned_here(claim: Object, node: str, *, is_first: bool) -> bool:
    """Whether this node has the volume made that a claim waits for: the one that its pod was
    scheduled to, or the first that has the driver.
    """
    annotations = claim["metadata"].get("annotations") or {}
    if claim["spec"].get("volumeName") or claim["metadata"].get("deletionTimestamp"):
        return False
    selected = annotations.get(SELECTED_NODE)
    return bool(selected == node) if selected else is_first


def is_due(claim: Object, storage_class: Object, driver: str) -> bool:
    """Whether a driver makes a volume for a claim now: the class is the driver's, whatever the
    claim's annotation says, which its author may write; and where the class waits for a pod, one is
    scheduled.
    """
    annotations = claim["metadata"].get("annotations") or {}
    waits = storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
    is_of_driver = bool(storage_class.get("provisioner") == driver)
    return is_of_driver and (not waits or SELECTED_NODE in annotations)


def is_made_by(volume: Object, driver: str) -> bool:
    """Whether a driver has made a PersistentVolume, and so removes it."""
    annotations = volume["metadata"].get("annotations") or {}
    source = volume["spec"].get("csi") or {}
    return bool(annotations.get(PROVISIONED_BY) == source.get("driver") == driver)


def refusal(claim: Object, storage_class: Object) -> str:
    """Why a volume is not asked for, "" where it is."""
    spec, parameters = claim["spec"], storage_class.get("parameters") or {}
    if spec.get("selector"):
        return "claim Selector is not supported"
    if spec.get("dataSource") or spec.get("dataSourceRef"):
        return "volumes of snapshots and of other volumes are not supported: dataSource"
    secrets = [name for name in parameters if name.startswith(_RESERVED) and "secret" in name]
    if secrets:
        return f"Secrets of the controller side are not supported: {', '.join(sorted(secrets))}"
    return ""


def create_request(
    claim: Object, storage_class: Object, segments: Mapping[str, str]
) -> dict[str, Any]:
    """CreateVolume; ``segments`` is the topology of the node, empty for drivers without any."""
    spec, parameters = claim["spec"], storage_class.get("parameters") or {}
    volume = requests.DriverVolume(
        "",
        "",
        "",
        is_block=spec.get("volumeMode") == "Block",
        fs_type=_fs_type(parameters),
        mount_options=tuple(storage_class.get("mountOptions") or ()),
    )
    request: dict[str, Any] = {
        "name": local_volumes.volume_name(claim["metadata"]["uid"]),
        "capacity_range": {"required_bytes": requested(claim)},
        "volume_capabilities": [
            requests.capability(volume._replace(access_modes=(mode,)), frozenset(), None)
            for mode in spec.get("accessModes") or ("ReadWriteOnce",)
        ],
        "parameters": {
            name: value for name, value in parameters.items() if not name.startswith(_RESERVED)
        },
    }
    if segments:
        topology = [{"segments": dict(segments)}]
        request["accessibility_requirements"] = {"requisite": topology, "preferred": topology}
    return request


def requested(claim: Object) -> int:
    """The bytes that a claim asks for."""
    amounts = (claim["spec"].get("resources") or {}).get("requests") or {}
    return quantity.value(str(amounts.get("storage", "0")))


def _fs_type(parameters: Mapping[str, str]) -> str:
    return parameters.get(f"{_RESERVED}fstype") or ""


def persistent_volume(
    claim: Object, storage_class: Object, driver: str, answer: Object
) -> dict[str, Any]:
    """The object for a volume that the driver has made; ``answer`` is CSI's Volume. Raises
    VolumeError for one without an id.
    """
    if not answer.get("volume_id"):
        raise VolumeError(f"driver {driver} has made a volume without a volume_id")
    metadata, spec = claim["metadata"], claim["spec"]
    source: dict[str, Any] = {"driver": driver, "volumeHandle": answer["volume_id"]}
    if answer.get("volume_context"):
        source["volumeAttributes"] = answer["volume_context"]
    if fs_type := _fs_type(storage_class.get("parameters") or {}):
        source["fsType"] = fs_type
    volume_spec = {
        "capacity": {"storage": str(answer.get("capacity_bytes") or requested(claim))},
        "accessModes": spec.get("accessModes") or [],
        "volumeMode": spec.get("volumeMode") or "Filesystem",
        "mountOptions": storage_class.get("mountOptions") or [],
        "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
        "storageClassName": storage_class["metadata"]["name"],
        "claimRef": {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata.get("resourceVersion"),
        },
        "csi": source,
    }
    if terms := _terms(answer):
        volume_spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": local_volumes.volume_name(metadata["uid"]),
            "annotations": {PROVISIONED_BY: driver},
            "finalizers": [FINALIZER],
        },
        "spec": volume_spec,
    }


def _terms(answer: Object) -> list[dict[str, Any]]:
    """Where a volume can be reached: on nodes that have all labels of one of its topologies."""
    return [
        {
            "matchExpressions": [
                {"key": key, "operator": "In", "values": [value]}
                for key, value in sorted((topology.get("segments") or {}).items())
            ]
        }
        for topology in answer.get("accessible_topology") or ()
        if topology.get("segments")
    ]


def volume_step(volume: Object, *, is_attached: bool) -> Literal["delete", "remove", "release", ""]:
    """What is next for a volume that a driver has provisioned: to "delete" its object, to "remove"
    its data and then "release" the object, only to release it.
    """
    metadata, phase = volume["metadata"], (volume.get("status") or {}).get("phase")
    goes_with_claim = local_volumes.is_deleted_with_claim(volume)
    if not metadata.get("deletionTimestamp"):
        return "delete" if phase == "Released" and goes_with_claim else ""
    if phase == "Bound" or is_attached or FINALIZER not in (metadata.get("finalizers") or ()):
        return ""
    return "remove" if goes_with_claim else "release"


def capacity(volume: Object) -> int:
    """The bytes of a PersistentVolume."""
    return quantity.value(str(volume["spec"]["capacity"]["storage"]))


def expansion_step(claim: Object, volume: Object) -> Literal["controller", "node", ""]:
    """Who is to make a bound volume larger: the driver's "controller" side while the volume is
    smaller than the claim asks, then the "node" while its pods have less than the volume has.
    """
    status = claim.get("status") or {}
    given = (status.get("capacity") or {}).get("storage")
    holder = volume["spec"].get("claimRef") or {}
    is_bound = status.get("phase") == "Bound" and holder.get("uid") == claim["metadata"]["uid"]
    if not is_bound or given is None:
        return ""
    if capacity(volume) < requested(claim):
        return "controller"
    return "node" if quantity.value(str(given)) < capacity(volume) else ""
