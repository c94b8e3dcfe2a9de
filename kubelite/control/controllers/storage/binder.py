"""Binding of claims and volumes to each other. Pure.

After kubernetes, ``pkg/controller/volume/persistentvolume``. A claim and a volume are bound when
each names the other; that takes four writes, of which a plan asks for the next one, so that it can
end anywhere and is taken up again. Volumes are provisioned by others: an annotation tells them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubelite.client.resources import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    STORAGE_CLASSES,
)
from kubelite.control.controllers.actions import (
    NOTHING,
    Action,
    Confirm,
    Delete,
    Emit,
    Outcome,
    Plan,
    Step,
    Update,
    refusals,
)
from kubelite.control.controllers.controller import Controller, nobody
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    annotations_of,
    created_at,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
    with_type,
)
from kubelite.control.controllers.storage.matching import (
    best_match,
    class_of,
    has_other_mode,
    is_reserved_for,
    mismatch,
    waits_for_consumer,
)
from kubelite.control.controllers.storage.protection import claim_names
from kubelite.control.controllers.view import View
from kubelite.objects.facts.local_volumes import CLAIMED_PROVISIONER, PROVISIONED_BY

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONERS = (
    CLAIMED_PROVISIONER,
    "volume.beta.kubernetes.io/storage-provisioner",
)
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_CLAIM, _VOLUME = "claim|", "volume|"
_IN_TREE = "kubernetes.io/"


def plan(view: View, key: Key, now: float) -> Plan:
    """The next write that a claim or a volume needs."""
    del now
    kind, _, namespace = key[0].partition("|")
    if f"{kind}|" == _CLAIM:
        claim = view.get(PERSISTENT_VOLUME_CLAIMS, namespace, key[1])
        return NOTHING if claim is None else _sync_claim(view, claim)
    volume = view.get(PERSISTENT_VOLUMES, "", key[1])
    return NOTHING if volume is None else _sync_volume(view, volume)


def _sync_claim(view: View, claim: Obj) -> Plan:
    if BIND_COMPLETED in annotations_of(claim):
        return _sync_bound_claim(view, claim)
    wanted = spec_of(claim).get("volumeName")
    return _sync_claim_of(view, claim, wanted) if wanted else _sync_free_claim(view, claim)


# -- claims that are bound -------------------------------------------------------------------------


def _sync_bound_claim(view: View, claim: Obj) -> Plan:
    """A claim that has lost its volume is lost for good: its data may be anywhere."""
    name = spec_of(claim).get("volumeName")
    if not name:
        text = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
        return _lost(claim, "ClaimLost", text)
    volume = view.get(PERSISTENT_VOLUMES, "", name)
    if volume is None:
        text = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
        return _lost(claim, "ClaimLost", text)
    holder = spec_of(volume).get("claimRef")
    if not holder or holder.get("uid") == uid_of(claim):
        return _bind(volume, claim)
    text = "Two claims are bound to the same volume, this one is bound incorrectly"
    return _lost(claim, "ClaimMisbound", text)


def _lost(claim: Obj, reason: str, text: str) -> Plan:
    if status_of(claim).get("phase") == "Lost":
        return NOTHING
    status = {"phase": "Lost"}
    return Plan((_claim_status(claim, status), _claim_event(claim, "Warning", reason, text)))


# -- claims that are not ---------------------------------------------------------------------------


def _sync_claim_of(view: View, claim: Obj, name: str) -> Plan:
    """A claim that asks for a volume by name."""
    volume = view.get(PERSISTENT_VOLUMES, "", name)
    if volume is None:
        return _pending(claim)
    if not spec_of(volume).get("claimRef"):
        why = mismatch(volume, claim)
        if not why:
            return _bind(volume, claim)
        text = f'Cannot bind to requested volume "{name}": {why}'
        return _pending(claim, _claim_event(claim, "Warning", "VolumeMismatch", text))
    if is_reserved_for(volume, claim):
        return _bind(volume, claim)
    if BOUND_BY_CONTROLLER in annotations_of(claim):
        return NOTHING
    text = f'volume "{name}" already bound to a different claim.'
    return _pending(claim, _claim_event(claim, "Warning", "FailedBinding", text))


def _sync_free_claim(view: View, claim: Obj) -> Plan:
    waits = waits_for_consumer(view, claim)
    volume = best_match(claim, view.list(PERSISTENT_VOLUMES), only_reserved=waits)
    if volume is not None:
        return _bind(volume, claim)
    if "storageClassName" not in spec_of(claim) and (default := _default_class(view)):
        body = _claim_body(claim)
        body["spec"] = {**spec_of(claim), "storageClassName": default}
        return Plan((Update(PERSISTENT_VOLUME_CLAIMS, body),))
    if waits:
        return _pending(claim, _waiting_event(view, claim))
    if class_of(claim):
        return _provision(view, claim)
    text = "no persistent volumes available for this claim and no storage class is set"
    return _pending(claim, _claim_event(claim, "Normal", "FailedBinding", text))


def _default_class(view: View) -> str:
    """The youngest of the default classes, of equally old ones the first by name."""
    defaults = [
        storage_class
        for storage_class in view.list(STORAGE_CLASSES)
        if annotations_of(storage_class).get(DEFAULT_CLASS) == "true"
    ]
    youngest = min(
        defaults,
        key=lambda storage_class: (-created_at(storage_class), name_of(storage_class)),
        default=None,
    )
    return "" if youngest is None else name_of(youngest)


def _waiting_event(view: View, claim: Obj) -> Emit:
    pods = [
        name_of(pod)
        for pod in view.list(PODS, namespace_of(claim))
        if not spec_of(pod).get("nodeName") and name_of(claim) in claim_names(pod)
    ]
    if not pods:
        text = "waiting for first consumer to be created before binding"
        return _claim_event(claim, "Normal", "WaitForFirstConsumer", text)
    what = f"pod {pods[0]}" if len(pods) == 1 else f"pods {','.join(sorted(pods))}"
    text = f"waiting for {what} to be scheduled"
    return _claim_event(claim, "Normal", "WaitForPodScheduled", text)


def _provision(view: View, claim: Obj) -> Plan:
    """Asks the provisioner of the class for a volume."""
    name = class_of(claim)
    storage_class = view.get(STORAGE_CLASSES, "", name)
    if storage_class is None:
        text = f'storageclass.storage.k8s.io "{name}" not found'
        return _pending(claim, _claim_event(claim, "Warning", "ProvisioningFailed", text))
    provisioner = str(storage_class.get("provisioner") or "")
    if provisioner.startswith(_IN_TREE):
        text = f"no volume plugin matched name: {provisioner}"
        return _pending(claim, _claim_event(claim, "Warning", "ProvisioningFailed", text))
    annotations = {**annotations_of(claim), **dict.fromkeys(PROVISIONERS, provisioner)}
    if annotations != annotations_of(claim):
        return Plan((Update(PERSISTENT_VOLUME_CLAIMS, _with_annotations(claim, annotations)),))
    text = (
        "Waiting for a volume to be created either by the external provisioner "
        f"'{provisioner}' or manually by the system administrator. If volume creation is delayed, "
        "please verify that the provisioner is running and correctly registered."
    )
    return _pending(claim, _claim_event(claim, "Normal", "ExternalProvisioning", text))


def _pending(claim: Obj, *events: Emit) -> Plan:
    if status_of(claim).get("phase") == "Pending":
        return Plan(events)
    return Plan((*events, _claim_status(claim, {"phase": "Pending"})))


# -- binding ---------------------------------------------------------------------------------------


def _bind(volume: Obj, claim: Obj) -> Plan:
    """The next of the four writes that bind: the volume's reference and phase, then the claim's."""
    holder = spec_of(volume).get("claimRef") or {}
    if holder.get("uid") != uid_of(claim):
        return Plan((Update(PERSISTENT_VOLUMES, _reserved(volume, claim)),))
    if status_of(volume).get("phase") != "Bound":
        return Plan((_volume_phase(volume, "Bound"),))
    annotations = {**annotations_of(claim), BIND_COMPLETED: "yes"}
    if not spec_of(claim).get("volumeName"):
        annotations[BOUND_BY_CONTROLLER] = "yes"
    body = _with_annotations(claim, annotations)
    body["spec"] = {**spec_of(claim), "volumeName": name_of(volume)}
    if body["spec"] != spec_of(claim) or annotations != annotations_of(claim):
        return Plan((Update(PERSISTENT_VOLUME_CLAIMS, body),))
    status = _bound_status(volume, claim)
    return NOTHING if status == status_of(claim) else Plan((_claim_status(claim, status),))


def _reserved(volume: Obj, claim: Obj) -> dict[str, Any]:
    """The volume with a reference to the claim. Where nobody else has put one there, an annotation
    says that it may be taken away again.
    """
    body = _volume_body(volume)
    if not spec_of(volume).get("claimRef"):
        annotations = {**annotations_of(volume), BOUND_BY_CONTROLLER: "yes"}
        body["metadata"] = {**volume["metadata"], "annotations": annotations}
    reference = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": namespace_of(claim),
        "name": name_of(claim),
        "uid": uid_of(claim),
        "resourceVersion": claim["metadata"].get("resourceVersion"),
    }
    body["spec"] = {**spec_of(volume), "claimRef": reference}
    return body


def _bound_status(volume: Obj, claim: Obj) -> dict[str, Any]:
    """A claim has the volume's capacity once, when it is bound; later an expansion changes it."""
    status: dict[str, Any] = {
        **status_of(claim),
        "phase": "Bound",
        "accessModes": spec_of(volume).get("accessModes") or [],
    }
    if status_of(claim).get("phase") != "Bound":
        status["capacity"] = spec_of(volume).get("capacity") or {}
        if attributes_class := spec_of(claim).get("volumeAttributesClassName"):
            status["currentVolumeAttributesClassName"] = attributes_class
    return status


# -- volumes ---------------------------------------------------------------------------------------


def _sync_volume(view: View, volume: Obj) -> Plan:
    """The phase of a volume, and what becomes of it when its claim is gone."""
    holder = spec_of(volume).get("claimRef")
    if not holder or not holder.get("uid"):
        return _in_phase(volume, "Available")
    claim = view.get(PERSISTENT_VOLUME_CLAIMS, holder["namespace"], holder["name"])
    if claim is None or uid_of(claim) != holder["uid"]:
        return _released(volume, holder)
    bound_to = spec_of(claim).get("volumeName")
    if bound_to == name_of(volume):
        return _in_phase(volume, "Bound")
    if bound_to:
        return _misbound(volume)
    if has_other_mode(volume, claim):
        text = (
            f'Cannot bind PersistentVolume to requested PersistentVolumeClaim "{name_of(claim)}" '
            "due to incompatible volumeMode."
        )
        return Plan((Emit(_volume_body(volume), "Warning", "VolumeMismatch", text),))
    return NOTHING


def _misbound(volume: Obj) -> Plan:
    """The claim has taken another volume: this one is free again."""
    if PROVISIONED_BY in annotations_of(volume) and _reclaims(volume, "Delete"):
        return _in_phase(volume, "Released")
    body = _volume_body(volume)
    spec = dict(spec_of(volume))
    if BOUND_BY_CONTROLLER in annotations_of(volume):
        del spec["claimRef"]
        annotations = dict(annotations_of(volume))
        del annotations[BOUND_BY_CONTROLLER]
        body["metadata"] = {**volume["metadata"], "annotations": annotations}
    else:
        reference = spec["claimRef"]
        spec["claimRef"] = {field: reference[field] for field in reference if field != "uid"}
    body["spec"] = spec
    return Plan((Update(PERSISTENT_VOLUMES, body),))


def _released(volume: Obj, holder: Obj) -> Plan:
    """What becomes of a volume whose claim is gone. The view may not have seen the claim yet: the
    server is asked before the volume is given up.
    """
    if status_of(volume).get("phase") not in ("Released", "Failed"):
        where = PERSISTENT_VOLUME_CLAIMS, holder["namespace"], holder["name"]
        question = Confirm(*where, holder["uid"], may_be_deleting=True)

        def answered(outcomes: tuple[Outcome, ...]) -> tuple[Action | Step, ...]:
            is_gone = any(refusal.code == 404 for refusal in refusals(outcomes))
            return (_volume_phase(volume, "Released"),) if is_gone else ()

        return Plan((Step((question,), answered, tolerant=True),))
    if status_of(volume).get("phase") == "Failed":
        return NOTHING
    if _reclaims(volume, "Recycle"):
        text = "No recycler plugin found for the volume!"
        return _failed(volume, "VolumeFailedRecycle", text)
    if _reclaims(volume, "Delete"):
        return _delete_volume(volume)
    return NOTHING


def _delete_volume(volume: Obj) -> Plan:
    """Drivers delete what they have provisioned; of others nobody can."""
    spec = spec_of(volume)
    if spec.get("csi") or PROVISIONED_BY in annotations_of(volume):
        return NOTHING
    path = (spec.get("hostPath") or {}).get("path")
    if path is None:
        text = (
            f'error getting deleter volume plugin for volume "{name_of(volume)}": '
            "no deletable volume plugin matched"
        )
        return _failed(volume, "VolumeFailedDelete", text)
    if not path.startswith("/tmp/"):  # the rule of Kubernetes, not a file of ours
        text = f"host_path deleter only supports /tmp/.+ but received provided {path}"
        return _failed(volume, "VolumeFailedDelete", text)
    return Plan((Delete(PERSISTENT_VOLUMES, "", name_of(volume), uid_of(volume)),))


def _failed(volume: Obj, reason: str, text: str) -> Plan:
    status = {**status_of(volume), "phase": "Failed", "message": text}
    body = _volume_body(volume)
    event = Emit(body, "Warning", reason, text)
    return Plan((Update(PERSISTENT_VOLUMES, {**body, "status": status}, "status"), event))


def _reclaims(volume: Obj, policy: str) -> bool:
    return bool(spec_of(volume).get("persistentVolumeReclaimPolicy") == policy)


# -- writes ----------------------------------------------------------------------------------------


def _in_phase(volume: Obj, phase: str) -> Plan:
    if status_of(volume).get("phase") == phase:
        return NOTHING
    return Plan((_volume_phase(volume, phase),))


def _volume_phase(volume: Obj, phase: str) -> Update:
    status = {**status_of(volume), "phase": phase}
    status.pop("message", None)
    return Update(PERSISTENT_VOLUMES, {**_volume_body(volume), "status": status}, "status")


def _volume_body(volume: Obj) -> dict[str, Any]:
    return with_type(volume, "v1", "PersistentVolume")


def _claim_body(claim: Obj) -> dict[str, Any]:
    return with_type(claim, "v1", "PersistentVolumeClaim")


def _with_annotations(claim: Obj, annotations: dict[str, str]) -> dict[str, Any]:
    return _claim_body(claim) | {"metadata": {**claim["metadata"], "annotations": annotations}}


def _claim_status(claim: Obj, status: Obj) -> Update:
    return Update(PERSISTENT_VOLUME_CLAIMS, {**_claim_body(claim), "status": status}, "status")


def _claim_event(claim: Obj, type_: Any, reason: str, text: str) -> Emit:
    return Emit(_claim_body(claim), type_, reason, text)


# -- what a change concerns ------------------------------------------------------------------------


def claim_key(namespace: str, name: str) -> Key:
    """The key of a claim, which volumes of the same name do not have."""
    return f"{_CLAIM}{namespace}", name


def volume_key(name: str) -> Key:
    """The key of a volume."""
    return _VOLUME, name


def _of_claim(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """A claim concerns itself and the volumes that name it or that it names."""
    claim = new if new is not None else old
    if claim is None:
        return []
    keys = [claim_key(namespace_of(claim), name_of(claim))] if new is not None else []
    names = {spec_of(claim).get("volumeName")}
    names.update(
        name_of(volume)
        for volume in view.list(PERSISTENT_VOLUMES)
        if (spec_of(volume).get("claimRef") or {}).get("name") == name_of(claim)
    )
    return [*keys, *(volume_key(name) for name in names if name)]


def _of_volume(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """A volume concerns itself, the claim that it names, and claims that wait for one."""
    volume = new if new is not None else old
    if volume is None:
        return []
    keys = [volume_key(name_of(volume))] if new is not None else []
    holder = spec_of(volume).get("claimRef")
    if holder:
        keys.append(claim_key(holder.get("namespace") or "", holder["name"]))
    for claim in view.list(PERSISTENT_VOLUME_CLAIMS):
        names_it = spec_of(claim).get("volumeName") == name_of(volume)
        could_take_it = not holder and not spec_of(claim).get("volumeName")
        if names_it or could_take_it:
            keys.append(claim_key(namespace_of(claim), name_of(claim)))
    return keys


def _of_class(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """Claims without a volume: the class may be theirs, or become the default."""
    del old, new
    return [
        claim_key(namespace_of(claim), name_of(claim))
        for claim in view.list(PERSISTENT_VOLUME_CLAIMS)
        if not spec_of(claim).get("volumeName")
    ]


PERSISTENT_VOLUME_BINDER_CONTROLLER = Controller(
    "persistentvolume-binder-controller",
    "persistent-volume-binder",
    "persistentvolume-controller",
    {
        PERSISTENT_VOLUME_CLAIMS: _of_claim,
        PERSISTENT_VOLUMES: _of_volume,
        STORAGE_CLASSES: _of_class,
        PODS: nobody,
    },
    plan,
    workers=10,
)
