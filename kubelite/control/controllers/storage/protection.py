"""Claims and volumes that are in use are not removed. Pure.

After kubernetes, ``pkg/controller/volume/pvcprotection`` and ``pvprotection``: a finalizer holds a
claim while a scheduled pod uses it, and a volume while it is bound.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubelite.client.resources import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    GroupVersionResource,
)
from kubelite.control.controllers.actions import NOTHING, Plan, Update
from kubelite.control.controllers.controller import Controller, own_key
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    is_controlled_by,
    is_deleting,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
    with_type,
)
from kubelite.control.controllers.view import View

CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"


def plan_claim(view: View, key: Key, now: float) -> Plan:
    """Holds a claim, and lets one that is being deleted go when no pod uses it."""
    del now
    claim = view.get(PERSISTENT_VOLUME_CLAIMS, *key)
    if claim is None:
        return NOTHING
    may_go = is_deleting(claim) and not any(
        uses(pod, claim) for pod in view.list(PODS, namespace_of(claim))
    )
    return _held(PERSISTENT_VOLUME_CLAIMS, claim, CLAIM_FINALIZER, may_go=may_go)


def plan_volume(view: View, key: Key, now: float) -> Plan:
    """Holds a volume, and lets one that is being deleted go when it is not bound."""
    del now
    volume = view.get(PERSISTENT_VOLUMES, *key)
    if volume is None:
        return NOTHING
    may_go = is_deleting(volume) and status_of(volume).get("phase") != "Bound"
    return _held(PERSISTENT_VOLUMES, volume, VOLUME_FINALIZER, may_go=may_go)


def uses(pod: Obj, claim: Obj) -> bool:
    """Whether a scheduled pod, running or not, uses a claim. A pod that is not scheduled does not:
    none starts with a claim that is being deleted.
    """
    if not spec_of(pod).get("nodeName"):
        return False
    return name_of(claim) in claim_names(pod) or (
        name_of(claim) in ephemeral_names(pod)
        and is_controlled_by(claim, uid_of(pod))
        and not _is_shut_down(pod)
    )


def claim_names(pod: Obj) -> set[str]:
    """The claims that a pod names."""
    volumes = spec_of(pod).get("volumes") or ()
    sources = (volume.get("persistentVolumeClaim") for volume in volumes)
    return {source["claimName"] for source in sources if source}


def ephemeral_names(pod: Obj) -> set[str]:
    """The claims that are made for a pod."""
    volumes = spec_of(pod).get("volumes") or ()
    return {f"{name_of(pod)}-{volume['name']}" for volume in volumes if volume.get("ephemeral")}


def _is_shut_down(pod: Obj) -> bool:
    """Whether its kubelet has ended a pod, which only finalizers still hold."""
    return is_deleting(pod) and pod["metadata"].get("deletionGracePeriodSeconds") == 0


def _held(resource: GroupVersionResource, obj: Obj, finalizer: str, *, may_go: bool) -> Plan:
    present = list(obj["metadata"].get("finalizers") or ())
    if may_go and finalizer in present:
        wanted = [other for other in present if other != finalizer]
    elif not is_deleting(obj) and finalizer not in present:
        wanted = [*present, finalizer]
    else:
        return NOTHING
    metadata = {**obj["metadata"], "finalizers": wanted}
    kind = "PersistentVolumeClaim" if resource == PERSISTENT_VOLUME_CLAIMS else "PersistentVolume"
    return Plan((Update(resource, with_type(obj, "v1", kind) | {"metadata": metadata}),))


def _claims_of_pod(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The claims that a pod which is ending or gone may have held."""
    del view
    pod = new if new is not None else old
    if pod is None or (new is not None and not is_deleting(new)):
        return []
    return [(namespace_of(pod), name) for name in claim_names(pod) | ephemeral_names(pod)]


PVC_PROTECTION_CONTROLLER = Controller(
    "persistentvolumeclaim-protection-controller",
    "pvc-protection-controller",
    "pvc-protection-controller",
    {PERSISTENT_VOLUME_CLAIMS: own_key, PODS: _claims_of_pod},
    plan_claim,
)
PV_PROTECTION_CONTROLLER = Controller(
    "persistentvolume-protection-controller",
    "pv-protection-controller",
    "pv-protection-controller",
    {PERSISTENT_VOLUMES: own_key},
    plan_volume,
)
