"""Mirror pods: how the API shows pods that were started on this node without it. Pure.

Names, annotations and the owner are the kubelet's for static pods. An API server lets a node refer
to no ConfigMap, Secret or account in a pod that it creates itself, since a node may read what its
pods refer to: a mirror shows such volumes empty and leaves such variables out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubelite.lib.json import Object
from kubelite.node.runtime.records import API, PodRecord
from kubelite.objects.facts.static_pods import HASH, MIRROR, SEEN, SOURCE

_OBJECTS = ("configMap", "secret", "projected")
_KEYS = ("configMapKeyRef", "secretKeyRef")
_ACCOUNT = ("serviceAccountName", "serviceAccount", "imagePullSecrets")
_TOLERATION = {"operator": "Exists", "effect": "NoExecute"}
"""Nobody but the node can end such a pod."""


def mirror_name(name: str, node: str) -> str:
    """The name in the API of a pod that was started on a node without it."""
    return f"{name}-{node}"


def shown_name(record: PodRecord, node: str) -> str:
    """The name by which the API knows a pod of a node; ``node`` is "" where pods have no mirrors
    and keep their names.
    """
    return record.name if record.origin == API or not node else mirror_name(record.name, node)


def local_name(name: str, node: str) -> str | None:
    """The name on the node that a mirror's name stands for; None for a name that is no mirror's."""
    local = name.removesuffix(f"-{node}") if node else name
    return local if local != name else None


def is_mirror(pod: Mapping[str, Any]) -> bool:
    """Whether an object of the API is a mirror."""
    return MIRROR in (pod["metadata"].get("annotations") or {})


def mirror(pod: Object, node: str, node_uid: str, digest: str, seen_at: str) -> Object:
    """The object to create for a pod of the node ``node``; ``digest`` stands for its manifest,
    ``seen`` is a time.
    """
    meta = pod["metadata"]
    annotations = meta.get("annotations") or {}
    owner = {"apiVersion": "v1", "kind": "Node", "name": node, "uid": node_uid, "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": mirror_name(meta["name"], node),
            "namespace": meta["namespace"],
            "labels": meta.get("labels") or {},
            "annotations": {
                **annotations,
                MIRROR: digest,
                HASH: digest,
                SEEN: seen_at,
                SOURCE: "file",
            },
            "ownerReferences": [owner],
        },
        "spec": _spec(pod["spec"]) | {"nodeName": node},
    }


def _spec(spec: Object) -> Object:
    """What of a specification a node may show."""
    shown = {key: value for key, value in spec.items() if key not in _ACCOUNT}
    for group in ("initContainers", "containers"):
        if spec.get(group):
            shown[group] = [_container(container) for container in spec[group]]
    if spec.get("volumes"):
        shown["volumes"] = [_volume(volume) for volume in spec["volumes"]]
    shown["tolerations"] = [*(spec.get("tolerations") or ()), _TOLERATION]
    return shown


def _container(container: Object) -> Object:
    shown = {key: value for key, value in container.items() if key != "envFrom"}
    variables = container.get("env") or ()
    shown["env"] = [
        variable for variable in variables if not _refers(variable.get("valueFrom") or {})
    ]
    return shown


def _refers(source: Object) -> bool:
    return any(source.get(key) for key in _KEYS)


def _volume(volume: Object) -> Object:
    if any(volume.get(kind) is not None for kind in _OBJECTS):
        return {"name": volume["name"], "emptyDir": {}}
    return volume
