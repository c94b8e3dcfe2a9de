"""The pods of a DaemonSet: which node each is for, and what it is made of. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubelite.control.controllers.shared.meta import (
    Obj,
    annotations_of,
    created_at,
    is_deleting,
    labels_of,
    name_of,
    spec_of,
)
from kubelite.control.controllers.shared.node_fit import matches_node, target_node, untolerated
from kubelite.control.controllers.shared.ownership import OwnerKind
from kubelite.control.controllers.shared.pod_state import is_terminated
from kubelite.control.controllers.shared.pod_template import pod_of
from kubelite.control.controllers.shared.revisions import HASH_LABEL

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
GENERATION_LABEL = "pod-template-generation"
_TOLERATIONS = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_OF_HOST_NETWORK = ("node.kubernetes.io/network-unavailable", "NoSchedule")

PodsOfNodes = Mapping[str, Sequence[Obj]]


def min_ready_seconds(set_: Obj) -> int:
    """For how long a pod must be ready before it counts as available."""
    return int(spec_of(set_).get("minReadySeconds") or 0)


def tolerations_of(set_: Obj) -> list[dict[str, Any]]:
    """The tolerations of the template and those that every daemon has."""
    spec = (spec_of(set_).get("template") or {}).get("spec") or {}
    tolerations = [dict(item) for item in spec.get("tolerations") or ()]
    pairs = [*_TOLERATIONS, *([_OF_HOST_NETWORK] if spec.get("hostNetwork") else [])]
    for key, effect in pairs:
        own = {"key": key, "operator": "Exists", "effect": effect}
        same = [item for item in tolerations if _is_same(item, own)]
        if same:
            tolerations[tolerations.index(same[0])] = own
        else:
            tolerations.append(own)
    return tolerations


def _is_same(toleration: Obj, own: Obj) -> bool:
    fields = ("key", "effect", "operator", "value")
    return all((toleration.get(item) or "") == (own.get(item) or "") for item in fields)


def placement(set_: Obj, tolerations: Sequence[Obj], node: Obj) -> tuple[bool, bool]:
    """Whether a node is to run a daemon, and whether one that runs there may go on."""
    spec = (spec_of(set_).get("template") or {}).get("spec") or {}
    if spec.get("nodeName") not in (None, "", name_of(node)) or not matches_node(spec, node):
        return False, False
    if untolerated(node, tolerations, ("NoSchedule", "NoExecute")) is None:
        return True, True
    return False, untolerated(node, tolerations, ("NoExecute",)) is None


def by_node(pods: Iterable[Obj]) -> PodsOfNodes:
    """The pods of each node; those that have ended and are being deleted are left out."""
    nodes: dict[str, list[Obj]] = defaultdict(list)
    for pod in pods:
        node = target_node(pod)
        if node and not (is_terminated(pod) and is_deleting(pod)):
            nodes[node].append(pod)
    return nodes


def oldest_first(pods: Iterable[Obj]) -> list[Obj]:
    """Pods that are bound come first, then older ones."""
    return sorted(
        pods,
        key=lambda pod: (not spec_of(pod).get("nodeName"), created_at(pod), name_of(pod)),
    )


def is_updated(set_: Obj, pod: Obj, digest: str) -> bool:
    """Whether a pod is made from the set's template: by its hash, or the generation of old days."""
    labels = labels_of(pod)
    generation = annotations_of(set_).get(TEMPLATE_GENERATION)
    return labels.get(HASH_LABEL) == digest or (
        generation is not None and labels.get(GENERATION_LABEL) == generation
    )


def new_pod(set_: Obj, kind: OwnerKind, node: str, digest: str) -> dict[str, Any]:
    """A daemon for a node, without a name; only the scheduler binds it."""
    pod = pod_of(set_, kind, spec_of(set_).get("template") or {})
    metadata, spec = pod["metadata"], pod["spec"]
    labels = {**(metadata.get("labels") or {}), HASH_LABEL: digest}
    generation = annotations_of(set_).get(TEMPLATE_GENERATION)
    if generation is not None:
        labels[GENERATION_LABEL] = generation
    metadata["labels"] = labels
    spec["tolerations"] = tolerations_of(set_)
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    affinity = spec.setdefault("affinity", {})
    node_affinity = affinity.setdefault("nodeAffinity", {})
    node_affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {
        "nodeSelectorTerms": [{"matchFields": [field]}]
    }
    return pod
