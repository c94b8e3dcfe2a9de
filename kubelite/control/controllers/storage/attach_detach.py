"""Attaches the volumes of CSI drivers to the nodes whose pods use them, and detaches them. Pure.

After kubernetes, ``pkg/controller/volume/attachdetach``: a VolumeAttachment says what is wanted,
the driver's controller does it and says so in the status, and the Node's status repeats it for the
kubelet. Nothing is detached that a pod of the node still uses or the kubelet still has mounted. A
key is a node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kubelite.client.resources import (
    CSI_DRIVERS,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    VOLUME_ATTACHMENTS,
)
from kubelite.control.controllers.actions import NOTHING, Action, Create, Delete, Emit, Patch, Plan
from kubelite.control.controllers.controller import Controller
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    is_deleting,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
    with_type,
)
from kubelite.control.controllers.shared.pod_state import is_terminated
from kubelite.control.controllers.storage.protection import claim_names, ephemeral_names
from kubelite.control.controllers.view import View, on_node
from kubelite.objects.rules import driver_volumes


class _Use(NamedTuple):
    """A volume that pods of the node use."""

    volume: Obj
    pods: list[Obj]

    @property
    def driver(self) -> str:
        return str(spec_of(self.volume)["csi"]["driver"])

    @property
    def handle(self) -> str:
        return str(spec_of(self.volume)["csi"]["volumeHandle"])


def plan(view: View, key: Key, now: float) -> Plan:
    """What is to be attached to a node, or detached from it."""
    del now
    name = key[1]
    uses = _uses(view, name)
    present = {name_of(attachment): attachment for attachment in _attachments(view, name)}
    actions: list[Action] = []
    for attachment, use in uses.items():
        if attachment not in present:
            actions += _attach(view, attachment, use, name)
        else:
            actions += _faults(present[attachment], use)
    node = view.get(NODES, "", name)
    mounted = set(status_of(node).get("volumesInUse") or ()) if node is not None else set()
    for attachment, obj in present.items():
        if attachment not in uses and not is_deleting(obj):
            if _unique_name(view, obj) in mounted:
                continue
            actions.append(Delete(VOLUME_ATTACHMENTS, "", attachment, uid_of(obj)))
    if node is not None:
        actions += _report(view, node, present, uses)
    return Plan(tuple(actions)) if actions else NOTHING


def _uses(view: View, node: str) -> dict[str, _Use]:
    """What the pods of a node use and has to be attached, by the name of the attachment."""
    uses: dict[str, _Use] = {}
    for pod in on_node(view, PODS, node):
        for volume in _volumes(view, pod) if not is_terminated(pod) else ():
            use = _Use(volume, [pod])
            if driver_volumes.attach_required(view.get(CSI_DRIVERS, "", use.driver)):
                name = driver_volumes.attachment_name(use.driver, use.handle, node)
                uses.setdefault(name, use._replace(pods=[])).pods.append(pod)
    return uses


def _volumes(view: View, pod: Obj) -> Iterable[Obj]:
    """The volumes of drivers that the claims of a pod are bound to. What a claim asks for is not
    yet its own: the volume says whose it is.
    """
    for name in sorted(claim_names(pod) | ephemeral_names(pod)):
        claim = view.get(PERSISTENT_VOLUME_CLAIMS, namespace_of(pod), name)
        if claim is None or not (bound := _bound_to(claim)):
            continue
        volume = view.get(PERSISTENT_VOLUMES, "", bound)
        if (
            volume is not None
            and spec_of(volume).get("csi")
            and _holder(volume).get("uid") == uid_of(claim)
        ):
            yield volume


def _bound_to(claim: Obj) -> str:
    """The volume that a claim is bound to, "" where it is not."""
    is_bound = status_of(claim).get("phase") == "Bound"
    return str(spec_of(claim).get("volumeName") or "") if is_bound else ""


def _holder(volume: Obj) -> Mapping[str, Any]:
    """The reference to the claim that a volume is for."""
    return spec_of(volume).get("claimRef") or {}


def _attachments(view: View, node: str) -> list[Obj]:
    """Those that this controller has made for a node."""
    return [
        attachment
        for attachment in view.list(VOLUME_ATTACHMENTS)
        if spec_of(attachment).get("nodeName") == node
        and driver_volumes.is_attachment_name(name_of(attachment))
    ]


def _unique_name(view: View, attachment: Obj) -> str:
    """The volume of an attachment, "" for one whose PersistentVolume is gone."""
    name = (spec_of(attachment).get("source") or {}).get("persistentVolumeName") or ""
    volume = view.get(PERSISTENT_VOLUMES, "", name) if name else None
    source = spec_of(volume).get("csi") if volume is not None else None
    return driver_volumes.unique_name(source["driver"], source["volumeHandle"]) if source else ""


# -- attaching -------------------------------------------------------------------------------------


def _attach(view: View, name: str, use: _Use, node: str) -> list[Action]:
    if others := _held_elsewhere(view, use.volume, node):
        return _refused(view, use, others)
    body = {
        "apiVersion": VOLUME_ATTACHMENTS.api_version,
        "kind": "VolumeAttachment",
        "metadata": {"name": name},
        "spec": {
            "attacher": use.driver,
            "nodeName": node,
            "source": {"persistentVolumeName": name_of(use.volume)},
        },
    }
    return [Create(VOLUME_ATTACHMENTS, body)]


def _held_elsewhere(view: View, volume: Obj, node: str) -> set[str]:
    """The other nodes that have a volume which only one may have."""
    if not driver_volumes.is_exclusive(volume):
        return set()
    return {
        spec_of(attachment)["nodeName"]
        for attachment in view.list(VOLUME_ATTACHMENTS)
        if spec_of(attachment)["source"].get("persistentVolumeName") == name_of(volume)
    } - {node}


def _refused(view: View, use: _Use, nodes: set[str]) -> list[Action]:
    """Each pod is told who has the volume."""
    holders = [
        pod
        for node in sorted(nodes)
        for pod in on_node(view, PODS, node)
        if not is_terminated(pod)
        and name_of(use.volume) in {name_of(volume) for volume in _volumes(view, pod)}
    ]
    actions: list[Action] = []
    for pod in use.pods:
        near = sorted(name_of(h) for h in holders if namespace_of(h) == namespace_of(pod))
        why = "Volume is already exclusively attached to one node and can't be attached to another"
        if near:
            why = f"Volume is already used by pod(s) {', '.join(near)}"
        elif holders:
            why = f"Volume is already used by {len(holders)} pod(s) in different namespaces"
        text = f'Multi-Attach error for volume "{name_of(use.volume)}" {why}'
        actions.append(_event(pod, "Warning", "FailedAttachVolume", text))
    return actions


def _faults(attachment: Obj, use: _Use) -> list[Action]:
    """What the driver says that could not attach a volume."""
    status = status_of(attachment)
    error = (status.get("attachError") or {}).get("message")
    if status.get("attached") or not error:
        return []
    text = f'AttachVolume.Attach failed for volume "{name_of(use.volume)}" : {error}'
    return [_event(pod, "Warning", "FailedAttachVolume", text) for pod in use.pods]


def _report(view: View, node: Obj, present: dict[str, Obj], uses: dict[str, _Use]) -> list[Action]:
    """The Node says what is attached; the pods whose volume it says for the first time are told."""
    attached = {
        unique: name
        for name, attachment in sorted(present.items())
        if status_of(attachment).get("attached")
        and not is_deleting(attachment)
        and (unique := _unique_name(view, attachment))
    }
    reported = [entry["name"] for entry in status_of(node).get("volumesAttached") or ()]
    if sorted(reported) == sorted(attached):
        return []
    entries: list[dict[str, Any]] = [
        {"name": unique, "devicePath": ""} for unique in sorted(attached)
    ]
    actions: list[Action] = [
        Patch(NODES, "", name_of(node), {"status": {"volumesAttached": entries}}, "merge", "status")
    ]
    for unique, name in attached.items():
        if unique not in reported and name in uses:
            text = f'AttachVolume.Attach succeeded for volume "{name_of(uses[name].volume)}" '
            actions += [
                _event(pod, "Normal", "SuccessfulAttachVolume", text) for pod in uses[name].pods
            ]
    return actions


def _event(pod: Obj, kind: Any, reason: str, text: str) -> Emit:
    return Emit(with_type(pod, "v1", "Pod"), kind, reason, text)


# -- whom a change concerns ------------------------------------------------------------------------


def _node_of_pod(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The node of a pod with claims that has come, ended or gone."""
    del view
    pod = new if new is not None else old
    if pod is None or not (claim_names(pod) or ephemeral_names(pod)):
        return []
    if old is not None and new is not None and _place(old) == _place(new):
        return []
    node = spec_of(pod).get("nodeName")
    return [("", node)] if node else []


def _place(pod: Obj) -> tuple[Any, bool]:
    return spec_of(pod).get("nodeName"), is_terminated(pod)


def _nodes_of_attachment(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """Its node; when it is gone, also those whose pods wait for the volume."""
    attachment = new if new is not None else old
    if attachment is None:
        return []
    keys = [("", spec_of(attachment)["nodeName"])]
    if new is None:
        volume = spec_of(attachment)["source"].get("persistentVolumeName") or ""
        keys += _nodes_of_volume(view, volume)
    return keys


def _nodes_of_volume(view: View, name: str) -> list[Key]:
    return [
        ("", spec_of(pod)["nodeName"])
        for claim in view.list(PERSISTENT_VOLUME_CLAIMS)
        if spec_of(claim).get("volumeName") == name
        for pod in view.list(PODS, namespace_of(claim))
        if spec_of(pod).get("nodeName")
        and name_of(claim) in claim_names(pod) | ephemeral_names(pod)
    ]


def _nodes_of_claim(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The nodes of the pods of a claim that has been bound."""
    if new is None or not (name := _bound_to(new)):
        return []
    if old is not None and _bound_to(old) == name:
        return []
    return _nodes_of_volume(view, name)


def _nodes_of_new_holder(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The nodes of the pods of a volume that has come, or is another claim's now."""
    if new is None or (old is not None and _holder(old).get("uid") == _holder(new).get("uid")):
        return []
    return _nodes_of_volume(view, name_of(new))


def _nodes_of_driver(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """Whether volumes are attached is said once; a driver may come after its pods."""
    if old is not None and new is not None:
        return []
    return [("", name_of(node)) for node in view.list(NODES)]


def _own_node(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """A node that has come or gone, or reports other volumes. Its heartbeats change nothing."""
    del view
    node = new if new is not None else old
    if node is None or (old is not None and new is not None and _said(old) == _said(new)):
        return []
    return [("", name_of(node))]


def _said(node: Obj) -> tuple[Any, Any]:
    status = status_of(node)
    return status.get("volumesInUse"), status.get("volumesAttached")


ATTACH_DETACH_CONTROLLER = Controller(
    "persistentvolume-attach-detach-controller",
    "attachdetach-controller",
    "attachdetach-controller",
    {
        PODS: _node_of_pod,
        NODES: _own_node,
        VOLUME_ATTACHMENTS: _nodes_of_attachment,
        PERSISTENT_VOLUME_CLAIMS: _nodes_of_claim,
        PERSISTENT_VOLUMES: _nodes_of_new_holder,
        CSI_DRIVERS: _nodes_of_driver,
    },
    plan,
)
