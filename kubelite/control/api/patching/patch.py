"""The three patches that change a document without owning fields: JSON patch, merge patch,
strategic merge patch. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.patching import json_patch, strategic
from kubelite.control.api.schema import structs
from kubelite.control.api.wire.status import bad_request, unsupported_media_type
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from kubelite.control.api.wire.resource import Resource

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def apply(content_type: str, res: Resource, live: Object, patch: Any) -> Object:
    """The patched document. Raises StatusError: 400 malformed, 413 too many operations, 415 not
    offered, 422 does not fit.
    """
    if content_type == JSON_PATCH:
        return json_patch.apply(live, patch)
    if not isinstance(patch, dict):
        raise bad_request(
            f"error decoding patch: json: cannot unmarshal {structs.json_kind(patch)} into Go "
            "value of type map[string]interface {}"
        )
    if content_type == MERGE_PATCH:
        merged: Object = merge(live, patch)
        return merged
    name = res.definition
    if content_type != STRATEGIC_PATCH or res.crd is not None or name is None:
        raise unsupported_media_type(accepted(res))
    try:
        return strategic.patch(name, live, patch)
    except strategic.BadPatch as error:
        raise bad_request(str(error)) from None


def accepted(res: Resource) -> tuple[str, ...]:
    """Content types that a PATCH of the resource may have."""
    return (
        JSON_PATCH,
        MERGE_PATCH,
        *(() if res.crd is not None else (STRATEGIC_PATCH,)),
        APPLY_PATCH,
    )


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386: maps are merged, null removes, everything else replaces. What is new is kept
    without nulls, but those that are items of lists (evanphx/json-patch v4).
    """
    if not isinstance(patch, dict) or not isinstance(target, dict):
        return _without_nulls(patch)
    merged = dict(target)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif merged.get(key) is None:
            merged[key] = _without_nulls(value)
        else:
            merged[key] = merge(merged[key], value)
    return merged


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(element) for element in value]
    return value
