"""Which ReplicaSet of a Deployment is the new one, and the annotations that count revisions.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

from kubelite.control.controllers.shared.hashing import template_hash
from kubelite.control.controllers.shared.meta import (
    Obj,
    annotations_of,
    name_of,
    namespace_of,
    owner_reference,
    spec_of,
    status_of,
)
from kubelite.control.controllers.shared.templates import pruned
from kubelite.control.controllers.workloads.rollout import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    REVISION,
    REVISION_HISTORY,
    Limits,
    SetDraft,
    new_set_size,
    total_replicas,
)

HASH_LABEL = "pod-template-hash"
MAX_HISTORY_LENGTH = 2000
MAX_NAME_LENGTH = 253
NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
        "deprecated.deployment.rollback.to",
    }
)
"""Annotations of a Deployment that its ReplicaSets do not get."""


def find_new(deployment: Obj, sets: Iterable[SetDraft]) -> SetDraft | None:
    """The oldest ReplicaSet with the Deployment's template."""
    template = _normal(spec_of(deployment).get("template") or {})
    for draft in sorted(sets, key=lambda draft: draft.age_order):
        if _normal(spec_of(draft.obj).get("template") or {}) == template:
            return draft
    return None


def has_template(replica_set: Obj, deployment: Obj) -> bool:
    """Whether a ReplicaSet has the Deployment's template, the hash left aside."""
    own, desired = (spec_of(draft).get("template") or {} for draft in (replica_set, deployment))
    return bool(_normal(own) == _normal(desired))


def _normal(template: Obj) -> Any:
    """A template without the label of its hash and without what is empty."""
    metadata = dict(template.get("metadata") or {})
    labels = metadata.get("labels") or {}
    metadata["labels"] = {key: value for key, value in labels.items() if key != HASH_LABEL}
    return pruned({**template, "metadata": metadata})


def revision_of(obj: Obj) -> int:
    """The number in the revision annotation; 0 where there is none."""
    text = annotations_of(obj).get(REVISION) or ""
    return int(text) if text.isdecimal() else 0


def next_revision(old: Iterable[SetDraft]) -> int:
    """One more than the largest revision of the old ReplicaSets."""
    return max((revision_of(draft.obj) for draft in old), default=0) + 1


def mark_revision(deployment: Obj, annotations: dict[str, str], revision: int) -> None:
    """Gives a ReplicaSet's annotations what they take over from the Deployment, and its revision.

    A ReplicaSet that becomes the new one again remembers the revisions it had.
    """
    given = annotations_of(deployment)
    annotations |= {key: value for key, value in given.items() if key not in NOT_COPIED}
    before = annotations.get(REVISION)
    if before is not None and not before.isdecimal():
        return
    if int(before or 0) >= revision:
        return
    annotations[REVISION] = str(revision)
    if before is not None:
        annotations[REVISION_HISTORY] = _history(annotations.get(REVISION_HISTORY, ""), before)


def _history(history: str, revision: str) -> str:
    """The list of former revisions with one more, the oldest dropped where it grows too long."""
    revisions = [number for number in history.split(",") if number]
    while revisions and len(",".join([*revisions, revision])) > MAX_HISTORY_LENGTH:
        revisions.pop(0)
    return ",".join([*revisions, revision])


def new_replica_set(
    deployment: Obj, old: Sequence[SetDraft], limits: Limits, revision: int
) -> dict[str, Any]:
    """The ReplicaSet for the Deployment's template, sized by the bounds of the rollout."""
    spec = spec_of(deployment)
    template = deepcopy(dict(spec.get("template") or {}))
    digest = template_hash(template, status_of(deployment).get("collisionCount"))
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), HASH_LABEL: digest}
    selector = deepcopy(dict(spec.get("selector") or {}))
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}
    annotations = dict(limits.annotations)
    mark_revision(deployment, annotations, revision)
    own: dict[str, Any] = {
        "replicas": new_set_size(limits, total_replicas(old), 0),
        "selector": selector,
        "template": template,
    }
    if spec.get("minReadySeconds"):
        own["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name_of(deployment)[: MAX_NAME_LENGTH - len(digest) - 1]}-{digest}",
            "namespace": namespace_of(deployment),
            "labels": dict(metadata["labels"]),
            "annotations": annotations,
            "ownerReferences": [owner_reference(deployment, "apps/v1", "Deployment")],
        },
        "spec": own,
    }
