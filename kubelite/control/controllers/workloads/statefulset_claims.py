"""The volume claims of a StatefulSet's pods, and who owns them by the retention policy. Pure.

A claim that is to go with the set is owned by the set; one that is to go when its pod is scaled
away is owned by that pod, from when the pod is condemned. The garbage collector does the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from kubelite.client.resources import PERSISTENT_VOLUME_CLAIMS
from kubelite.control.controllers.actions import Create, Update
from kubelite.control.controllers.shared.meta import (
    Obj,
    name_of,
    namespace_of,
    owner_reference,
    spec_of,
    uid_of,
)
from kubelite.control.controllers.view import View


def claim_templates(set_: Obj) -> list[Obj]:
    """The templates of claims."""
    return list(spec_of(set_).get("volumeClaimTemplates") or ())


def claim_name(set_: Obj, template: Obj, ordinal: int) -> str:
    """``data-web-0``: template, set and ordinal."""
    return f"{name_of(template)}-{name_of(set_)}-{ordinal}"


def claims_of(view: View, set_: Obj, ordinal: int) -> Iterable[Obj]:
    """The claims of an ordinal that exist."""
    for template in claim_templates(set_):
        name = claim_name(set_, template, ordinal)
        claim = view.get(PERSISTENT_VOLUME_CLAIMS, namespace_of(set_), name)
        if claim is not None:
            yield claim


def missing_claims(view: View, set_: Obj, ordinal: int) -> list[Create]:
    """Claims that an ordinal needs and that do not exist."""
    return [
        Create(PERSISTENT_VOLUME_CLAIMS, _owned(set_, claim_of(set_, template, ordinal)))
        for template in claim_templates(set_)
        if view.get(
            PERSISTENT_VOLUME_CLAIMS, namespace_of(set_), claim_name(set_, template, ordinal)
        )
        is None
    ]


def claim_of(set_: Obj, template: Obj, ordinal: int) -> dict[str, Any]:
    """The claim of an ordinal, without an owner."""
    own = deepcopy(dict(template["metadata"]))
    selector = (spec_of(set_).get("selector") or {}).get("matchLabels") or {}
    metadata = {
        **own,
        "name": claim_name(set_, template, ordinal),
        "namespace": namespace_of(set_),
        "labels": {**(own.get("labels") or {}), **selector},
    }
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": deepcopy(template.get("spec") or {}),
    }


def _owned(set_: Obj, claim: dict[str, Any]) -> dict[str, Any]:
    """A new claim with the owner that the retention policy gives it."""
    references = _references(set_, None, is_condemned=False)
    if references:
        claim["metadata"]["ownerReferences"] = references
    return claim


def is_stale(claim: Obj, pod_name: str, pod_uid: str) -> bool:
    """Whether a claim belongs to a former pod of the name: it is going to be collected."""
    return any(
        owner.get("kind") == "Pod" and owner.get("name") == pod_name and owner.get("uid") != pod_uid
        for owner in claim["metadata"].get("ownerReferences") or ()
    )


def retained(view: View, set_: Obj, pod: Obj, ordinal: int, *, is_condemned: bool) -> list[Update]:
    """What gives the claims of a pod the owners that the retention policy asks for."""
    updates = []
    for claim in claims_of(view, set_, ordinal):
        references = _changed_references(set_, claim, pod, is_condemned=is_condemned)
        if references is not None:
            metadata = {**claim["metadata"], "ownerReferences": references}
            if not references:
                del metadata["ownerReferences"]
            updates.append(Update(PERSISTENT_VOLUME_CLAIMS, {**claim, "metadata": metadata}))
    return updates


def _changed_references(
    set_: Obj, claim: Obj, pod: Obj, *, is_condemned: bool
) -> list[dict[str, Any]] | None:
    """The owners that a claim is to have; None where they are right, or nobody's business here."""
    present = list(claim["metadata"].get("ownerReferences") or ())
    ours = {uid_of(set_), uid_of(pod)}
    if is_stale(claim, name_of(pod), uid_of(pod)) or _is_of_former_set(present, set_):
        return None
    others = [owner for owner in present if owner.get("uid") not in ours]
    if any(owner.get("controller") for owner in others):
        return others if len(others) < len(present) else None
    references = [*others, *_references(set_, pod, is_condemned=is_condemned)]
    return None if references == present else references


def _is_of_former_set(owners: Iterable[Obj], set_: Obj) -> bool:
    return any(
        owner.get("kind") == "StatefulSet"
        and owner.get("name") == name_of(set_)
        and owner.get("uid") != uid_of(set_)
        for owner in owners
    )


def _references(set_: Obj, pod: Obj | None, *, is_condemned: bool) -> list[dict[str, Any]]:
    policy = spec_of(set_).get("persistentVolumeClaimRetentionPolicy") or {}
    if pod is not None and is_condemned and policy.get("whenScaled") == "Delete":
        return [owner_reference(pod, "v1", "Pod")]
    if policy.get("whenDeleted") == "Delete":
        return [owner_reference(set_, "apps/v1", "StatefulSet")]
    return []
