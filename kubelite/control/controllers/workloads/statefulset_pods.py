"""The pods of a StatefulSet: ordinals, identity, and the revision each is made from. Pure."""

from __future__ import annotations

import re
from typing import Any

from kubelite.control.controllers.shared.meta import (
    Obj,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    spec_of,
    status_of,
)
from kubelite.control.controllers.shared.ownership import OwnerKind
from kubelite.control.controllers.shared.pod_state import is_available, is_ready, phase_of
from kubelite.control.controllers.shared.pod_template import generate_name, pod_of
from kubelite.control.controllers.shared.revisions import HASH_LABEL, template_of
from kubelite.control.controllers.workloads.statefulset_claims import claim_name, claim_templates

POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"
_NAME = re.compile(r"(.*)-([0-9]+)", re.ASCII | re.DOTALL)


def ordinal_of(pod: Obj) -> int:
    """The number at the end of the name; -1 where there is none."""
    match = _NAME.fullmatch(name_of(pod))
    return int(match[2]) if match and len(match[2]) < 10 else -1


def is_member(set_: Obj, pod: Obj) -> bool:
    """Whether the name of a pod is one that the set gives."""
    match = _NAME.fullmatch(name_of(pod))
    return match is not None and match[1] == name_of(set_)


def start_of(set_: Obj) -> int:
    """The first ordinal."""
    return int((spec_of(set_).get("ordinals") or {}).get("start") or 0)


def replicas_of(set_: Obj) -> int:
    """How many pods are asked for."""
    replicas = spec_of(set_).get("replicas")
    return 1 if replicas is None else int(replicas)


def is_in_range(set_: Obj, ordinal: int) -> bool:
    """Whether a pod of this ordinal is to exist."""
    return start_of(set_) <= ordinal < start_of(set_) + replicas_of(set_)


def is_parallel(set_: Obj) -> bool:
    """Whether pods are made and deleted without waiting for each other."""
    return spec_of(set_).get("podManagementPolicy") == "Parallel"


def min_ready_seconds(set_: Obj) -> int:
    """For how long a pod must be ready before it counts as available."""
    return int(spec_of(set_).get("minReadySeconds") or 0)


def revision_of(pod: Obj) -> str:
    """The name of the revision that a pod was made from."""
    return labels_of(pod).get(HASH_LABEL, "")


def is_created(pod: Obj | None) -> bool:
    """Whether a pod is there."""
    return pod is not None and phase_of(pod) != ""


def is_running_and_available(set_: Obj, pod: Obj | None, now: float) -> bool:
    """Whether a pod runs, is ready, and has been for ``minReadySeconds``."""
    return (
        pod is not None
        and phase_of(pod) == "Running"
        and is_ready(pod)
        and is_available(pod, min_ready_seconds(set_), now)
    )


def is_healthy(set_: Obj, pod: Obj | None, now: float) -> bool:
    """Whether a pod is available and not being deleted."""
    return is_running_and_available(set_, pod, now) and pod is not None and not is_deleting(pod)


def is_current_revision_needed(set_: Obj, ordinal: int) -> bool:
    """Whether a missing pod is made from the current revision and not from the newest: those below
    the partition are, and with OnDelete none.
    """
    strategy = spec_of(set_).get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return False
    rolling = strategy.get("rollingUpdate")
    if rolling is None:
        return ordinal < start_of(set_) + int(status_of(set_).get("currentReplicas") or 0)
    return ordinal < start_of(set_) + int(rolling.get("partition") or 0)


def identity_labels(set_: Obj, ordinal: int) -> dict[str, str]:
    """The labels that tell the pods of a set apart."""
    return {POD_NAME_LABEL: f"{name_of(set_)}-{ordinal}", POD_INDEX_LABEL: str(ordinal)}


def new_pod(set_: Obj, kind: OwnerKind, revision: Obj, ordinal: int) -> dict[str, Any]:
    """The pod of an ordinal, made from a revision."""
    pod = pod_of(set_, kind, template_of(revision))
    pod["metadata"]["generateName"] = generate_name(set_)
    give_identity(set_, pod, ordinal)
    pod["metadata"]["labels"][HASH_LABEL] = name_of(revision)
    return pod


def give_identity(set_: Obj, pod: dict[str, Any], ordinal: int) -> None:
    """What makes a pod that of an ordinal: its name, labels, host name and claims."""
    metadata, spec = pod["metadata"], pod["spec"]
    metadata["name"] = f"{name_of(set_)}-{ordinal}"
    labels = identity_labels(set_, ordinal)
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    spec["hostname"] = metadata["name"]
    if spec_of(set_).get("serviceName"):
        spec["subdomain"] = spec_of(set_)["serviceName"]
    _add_claims(set_, spec, ordinal)


def _add_claims(set_: Obj, spec: dict[str, Any], ordinal: int) -> None:
    """Volumes of the claim templates come first, in place of those of the same names."""
    templates = claim_templates(set_)
    if not templates:
        return
    names = {name_of(template) for template in templates}
    volumes = [
        {
            "name": name_of(template),
            "persistentVolumeClaim": {"claimName": claim_name(set_, template, ordinal)},
        }
        for template in templates
    ]
    others = [
        template for template in spec.get("volumes") or () if template.get("name") not in names
    ]
    spec["volumes"] = [*volumes, *others]


def with_identity(set_: Obj, pod: Obj) -> dict[str, Any] | None:
    """The pod with the labels of its identity; None where it has them."""
    labels_of_identity = identity_labels(set_, ordinal_of(pod))
    labels = labels_of(pod)
    if all(labels.get(key) == value for key, value in labels_of_identity.items()):
        return None
    return {**pod, "metadata": {**pod["metadata"], "labels": {**labels, **labels_of_identity}}}


def in_namespace(set_: Obj, name: str) -> tuple[str, str]:
    """The key of an object beside the set."""
    return namespace_of(set_), name
