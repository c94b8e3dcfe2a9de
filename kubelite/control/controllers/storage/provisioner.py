"""Volumes made for claims, as directories of one node, and made larger. Pure.

What external provisioners and resizers do for a driver (kubernetes-csi, ``external-provisioner``
and ``external-resizer``), for the provisioner that is built in. The volume is named after the
claim's uid: a plan that is made again creates nothing twice. The node makes the directory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from kubelite.client.resources import (
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    STORAGE_CLASSES,
)
from kubelite.control.controllers.actions import (
    NOTHING,
    Action,
    Create,
    Emit,
    Outcome,
    Plan,
    Step,
    Update,
    refusals,
)
from kubelite.control.controllers.controller import Controller, nobody, own_key
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    annotations_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
    with_type,
)
from kubelite.control.controllers.storage.matching import class_of
from kubelite.control.controllers.view import View
from kubelite.objects.facts import local_volumes, quantity
from kubelite.objects.facts.local_volumes import (
    CLAIMED_PROVISIONER,
    DIRECTORY,
    FINALIZER,
    HOSTNAME,
    PROVISIONER,
    SELECTED_NODE,
)


def plan(view: View, key: Key, now: float) -> Plan:
    """Makes the volume that a claim waits for, or makes it as large as the claim asks."""
    del now
    claim = view.get(PERSISTENT_VOLUME_CLAIMS, *key)
    if claim is None or is_deleting(claim):
        return NOTHING
    if spec_of(claim).get("volumeName"):
        return _expand(view, claim)
    if annotations_of(claim).get(CLAIMED_PROVISIONER) != PROVISIONER:
        return NOTHING
    storage_class = view.get(STORAGE_CLASSES, "", class_of(claim))
    if storage_class is None or view.get(
        PERSISTENT_VOLUMES, "", local_volumes.volume_name(uid_of(claim))
    ):
        return NOTHING
    return _provision(view, claim, storage_class)


# -- provisioning ----------------------------------------------------------------------------------


def _provision(view: View, claim: Obj, storage_class: Obj) -> Plan:
    if problem := _refusal(claim, storage_class):
        return Plan((_failed(claim, problem),))
    selected = annotations_of(claim).get(SELECTED_NODE)
    if selected is None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer":
        return NOTHING  # a pod that is not scheduled yet
    node = view.get(NODES, "", selected) if selected else _emptiest(view, storage_class)
    if node is not None and DIRECTORY in annotations_of(node):
        return _create(claim, storage_class, node)
    if selected:
        text = f'node "{selected}" keeps no volumes of {PROVISIONER}: another one is asked for'
        return Plan((_failed(claim, text), _without_node(claim)))
    return Plan((_failed(claim, f"no node keeps volumes of {PROVISIONER}"),))


def _refusal(claim: Obj, storage_class: Obj) -> str:
    """Why no directory will do for a claim, "" where one does."""
    spec = spec_of(claim)
    if spec.get("selector"):
        return "claim Selector is not supported"
    if spec.get("dataSource") or spec.get("dataSourceRef"):
        return f"{PROVISIONER} makes empty volumes: dataSource is not supported"
    if spec.get("volumeMode") == "Block":
        return f"{PROVISIONER} makes directories: volumeMode Block is not supported"
    if storage_class.get("parameters"):
        return f'storage class "{name_of(storage_class)}": {PROVISIONER} takes no parameters'
    return ""


def _emptiest(view: View, storage_class: Obj) -> Obj | None:
    """The node with the fewest volumes among those that the class allows, first by name."""
    counts = Counter(
        str(spec_of(volume).get("nodeAffinity"))
        for volume in view.list(PERSISTENT_VOLUMES)
        if local_volumes.is_provisioned(volume)
    )
    topologies = storage_class.get("allowedTopologies") or ()
    nodes = [
        node
        for node in view.list(NODES)
        if DIRECTORY in annotations_of(node)
        and not is_deleting(node)
        and not spec_of(node).get("unschedulable")
        and _is_allowed(node, topologies)
    ]

    def load(node: Obj) -> tuple[int, str]:
        return counts[str(local_volumes.node_affinity(_hostname(node)))], name_of(node)

    return min(nodes, key=load, default=None)


def _is_allowed(node: Obj, topologies: Sequence[Obj]) -> bool:
    """Whether a class without topologies, or one of them, allows a node."""
    labels = labels_of(node)
    return not topologies or any(
        all(
            labels.get(expression["key"]) in expression["values"]
            for expression in topology.get("matchLabelExpressions") or ()
        )
        for topology in topologies
    )


def _hostname(node: Obj) -> str:
    return labels_of(node).get(HOSTNAME, name_of(node))


def _create(claim: Obj, storage_class: Obj, node: Obj) -> Plan:
    volume = _volume(claim, storage_class, node)

    def tell(outcomes: tuple[Outcome, ...]) -> tuple[Action | Step, ...]:
        if all(refusal.is_exists for refusal in refusals(outcomes)):
            text = f"Successfully provisioned volume {name_of(volume)}"
            return (_event(claim, "Normal", "ProvisioningSucceeded", text),)
        return (_failed(claim, refusals(outcomes)[0].message),)

    return Plan((Step((Create(PERSISTENT_VOLUMES, volume),), tell),))


def _volume(claim: Obj, storage_class: Obj, node: Obj) -> dict[str, Any]:
    name = local_volumes.volume_name(uid_of(claim))
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": name,
            "annotations": {local_volumes.PROVISIONED_BY: PROVISIONER},
            "finalizers": [FINALIZER],
        },
        "spec": {
            "capacity": {"storage": _requested(claim)},
            "accessModes": spec_of(claim).get("accessModes") or [],
            "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
            "storageClassName": name_of(storage_class),
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": namespace_of(claim),
                "name": name_of(claim),
                "uid": uid_of(claim),
                "resourceVersion": claim["metadata"].get("resourceVersion"),
            },
            "local": {"path": f"{annotations_of(node)[DIRECTORY]}/{name}"},
            "nodeAffinity": local_volumes.node_affinity(_hostname(node)),
        },
    }


def _without_node(claim: Obj) -> Update:
    """The scheduler chooses again when its choice is taken back."""
    kept = {key: text for key, text in annotations_of(claim).items() if key != SELECTED_NODE}
    body = with_type(claim, "v1", "PersistentVolumeClaim")
    return Update(
        PERSISTENT_VOLUME_CLAIMS,
        body | {"metadata": {**claim["metadata"], "annotations": kept}},
    )


# -- expansion -------------------------------------------------------------------------------------


def _expand(view: View, claim: Obj) -> Plan:
    """The next of the two writes that make a volume larger: its capacity, then the claim's."""
    volume = view.get(PERSISTENT_VOLUMES, "", spec_of(claim)["volumeName"])
    present = (status_of(claim).get("capacity") or {}).get("storage")
    wanted = _requested(claim)
    if (
        volume is None
        or present is None
        or not local_volumes.is_provisioned(volume)
        or _bytes(wanted) <= _bytes(present)
    ):
        return NOTHING
    if _bytes(wanted) > _bytes(spec_of(volume)["capacity"]["storage"]):
        body = with_type(volume, "v1", "PersistentVolume")
        body["spec"] = {**spec_of(volume), "capacity": {"storage": wanted}}
        return Plan((Update(PERSISTENT_VOLUMES, body),))
    status = {**status_of(claim), "capacity": {"storage": wanted}}
    body = {**with_type(claim, "v1", "PersistentVolumeClaim"), "status": status}
    text = f"Resize volume {name_of(volume)} succeeded"
    return Plan(
        (
            Update(PERSISTENT_VOLUME_CLAIMS, body, "status"),
            _event(claim, "Normal", "VolumeResizeSuccessful", text),
        )
    )


def _requested(claim: Obj) -> str:
    requests = (spec_of(claim).get("resources") or {}).get("requests") or {}
    return str(requests.get("storage", "0"))


def _bytes(text: str) -> int:
    return quantity.parse(text).nano


def _failed(claim: Obj, problem: str) -> Emit:
    text = f'failed to provision volume with StorageClass "{class_of(claim)}": {problem}'
    return _event(claim, "Warning", "ProvisioningFailed", text)


def _event(claim: Obj, type_: Any, reason: str, text: str) -> Emit:
    return Emit(with_type(claim, "v1", "PersistentVolumeClaim"), type_, reason, text)


# -- what a change concerns ------------------------------------------------------------------------


def _waiting(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The claims that wait for a volume: a class or a node may be theirs now."""
    if old is not None and new is not None and _offers(old) == _offers(new):
        return []
    return [
        key_of(claim)
        for claim in view.list(PERSISTENT_VOLUME_CLAIMS)
        if not spec_of(claim).get("volumeName")
        and annotations_of(claim).get(CLAIMED_PROVISIONER) == PROVISIONER
    ]


def _offers(obj: Obj) -> tuple[Any, ...]:
    """What of a node decides whether it gets volumes. Its heartbeats change nothing."""
    return labels_of(obj), annotations_of(obj), spec_of(obj)


LOCAL_VOLUME_PROVISIONER = Controller(
    "local-volume-provisioner-controller",
    "persistent-volume-binder",
    PROVISIONER,
    {
        PERSISTENT_VOLUME_CLAIMS: own_key,
        STORAGE_CLASSES: _waiting,
        NODES: _waiting,
        PERSISTENT_VOLUMES: nobody,
    },
    plan,
)
