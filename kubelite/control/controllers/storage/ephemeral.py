"""Claims for the generic ephemeral volumes of pods. Pure.

After kubernetes, ``pkg/controller/volume/ephemeral``: the claim POD-VOLUME belongs to the pod and
is collected with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubelite.client.resources import PERSISTENT_VOLUME_CLAIMS, PODS
from kubelite.control.controllers.actions import NOTHING, Action, Create, Emit, Plan
from kubelite.control.controllers.controller import Controller, own_key
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    controller_of,
    is_controlled_by,
    is_deleting,
    name_of,
    namespace_of,
    owner_reference,
    spec_of,
    uid_of,
    with_type,
)
from kubelite.control.controllers.shared.pod_state import is_terminated
from kubelite.control.controllers.view import View


def plan(view: View, key: Key, now: float) -> Plan:
    """Creates what claims a pod lacks."""
    del now
    pod = view.get(PODS, *key)
    if pod is None or is_deleting(pod) or is_terminated(pod):
        return NOTHING
    actions: list[Action] = []
    for volume in spec_of(pod).get("volumes") or ():
        if volume.get("ephemeral"):
            actions += _claim_actions(view, pod, volume)
    return Plan(tuple(actions))


def _claim_actions(view: View, pod: Obj, volume: Obj) -> list[Action]:
    namespace, name = namespace_of(pod), f"{name_of(pod)}-{volume['name']}"
    claim = view.get(PERSISTENT_VOLUME_CLAIMS, namespace, name)
    if claim is None:
        return [Create(PERSISTENT_VOLUME_CLAIMS, _claim(pod, volume, name))]
    if is_controlled_by(claim, uid_of(pod)):
        return []
    text = (
        f"ephemeral volume {volume['name']}: PVC {namespace}/{name} was not created for pod "
        f"{namespace}/{name_of(pod)} (pod is not owner)"
    )
    return [Emit(with_type(pod, "v1", "Pod"), "Warning", "FailedBinding", text)]


def _claim(pod: Obj, volume: Obj, name: str) -> dict[str, Any]:
    template = volume["ephemeral"].get("volumeClaimTemplate") or {}
    given = template.get("metadata") or {}
    kept = {field: given[field] for field in ("labels", "annotations") if given.get(field)}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": namespace_of(pod),
            "ownerReferences": [owner_reference(pod, "v1", "Pod")],
            **kept,
        },
        "spec": template.get("spec") or {},
    }


def _pod_of_claim(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The pod for which a claim that is gone was made."""
    del view
    owner = controller_of(old) if old is not None and new is None else None
    if old is None or owner is None or owner.get("kind") != "Pod":
        return []
    return [(namespace_of(old), owner["name"])]


EPHEMERAL_VOLUME_CONTROLLER = Controller(
    "ephemeral-volume-controller",
    "ephemeral-volume-controller",
    "ephemeral_volume",
    {PODS: own_key, PERSISTENT_VOLUME_CLAIMS: _pod_of_claim},
    plan,
)
