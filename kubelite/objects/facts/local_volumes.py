"""PersistentVolumes that kubelite provisions itself: directories of one node. Pure.

A node says in an annotation where it keeps them. The provisioner (a controller) makes the object,
the node the directory; the node alone deletes it, and a finalizer holds the object until then.
Annotation and finalizer are those of Kubernetes' external provisioners.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PROVISIONER = "kubelite.io/local"
DIRECTORY = "kubelite.io/local-volumes"
"""The annotation of a Node that names the directory of its volumes."""
FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
CLAIMED_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
"""The annotation of a claim by which the binder asks a provisioner for a volume."""
SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""The annotation of a claim that names the node which its pod was scheduled to."""
HOSTNAME = "kubernetes.io/hostname"


def volume_name(claim_uid: str) -> str:
    """The name of the volume for a claim: whoever provisions it again, makes it once."""
    return f"pvc-{claim_uid}"


def node_affinity(hostname: str) -> dict[str, Any]:
    """The affinity of a volume that only the node with this hostname label has."""
    expression = {"key": HOSTNAME, "operator": "In", "values": [hostname]}
    return {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}


def is_provisioned(volume: Mapping[str, Any]) -> bool:
    """Whether a volume is one of these."""
    annotations = volume["metadata"].get("annotations") or {}
    return annotations.get(PROVISIONED_BY) == PROVISIONER


def is_on(volume: Mapping[str, Any], hostname: str) -> bool:
    """Whether it is one of the node with this hostname label."""
    return is_provisioned(volume) and volume["spec"].get("nodeAffinity") == node_affinity(hostname)


def is_deleted_with_claim(volume: Mapping[str, Any]) -> bool:
    """Whether nobody wants the data of a volume any more once its claim is gone."""
    return bool(volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete")
