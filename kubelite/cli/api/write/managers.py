"""What is left of kubectl's apply on the client, for apply on the server to go on with. Pure."""

from __future__ import annotations

import json
from typing import Any

from kubelite.lib.json import Object

FIELD_MANAGER = "kubectl"
"""As kubectl's: what one of both has applied, the other goes on with."""
_CLIENT_SIDE = "kubectl-client-side-apply"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def takeover(obj: Object) -> list[Object]:
    """The JSON patch after which server-side apply owns what apply on the client has owned; empty
    where there is nothing of it. The patch holds for this revision only.
    """
    managed = list(obj["metadata"].get("managedFields") or ())
    theirs = [entry for entry in managed if entry.get("manager") == _CLIENT_SIDE]
    if not theirs:
        return []
    own = [entry for entry in managed if _is_applied(entry)]
    fields: Object = {}
    for entry in (*own, *theirs):
        fields = _merged(fields, entry.get("fieldsV1") or {})
    applied = {**theirs[0], "manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields}
    others = [entry for entry in managed if entry not in (*own, *theirs)]
    return [
        {"op": "replace", "path": "/metadata/managedFields", "value": [*others, applied]},
        {
            "op": "replace",
            "path": "/metadata/resourceVersion",
            "value": obj["metadata"]["resourceVersion"],
        },
    ]


def with_last_applied(obj: Object, before: Object) -> Object:
    """What to apply: with kubectl's annotation of it where the object has one, so that kubectl
    knows what has been applied last.
    """
    if _LAST_APPLIED not in ((before.get("metadata") or {}).get("annotations") or {}):
        return obj
    metadata = obj["metadata"]
    annotations = dict(metadata.get("annotations") or {})
    annotations[_LAST_APPLIED] = json.dumps(obj, separators=(",", ":"), sort_keys=True) + "\n"
    return {**obj, "metadata": {**metadata, "annotations": annotations}}


def _is_applied(entry: Object) -> bool:
    return (
        entry.get("manager") == FIELD_MANAGER
        and entry.get("operation") == "Apply"
        and not entry.get("subresource")
    )


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The union of two sets of fields."""
    union = {**one}
    for key, inner in other.items():
        union[key] = _merged(union.get(key) or {}, inner or {})
    return union
