"""Resources of kinds that CustomResourceDefinitions define. Pure."""

from __future__ import annotations

from kubelite.client.resources import CUSTOM_RESOURCE_DEFINITIONS, GroupVersionResource
from kubelite.control.controllers.shared.meta import Obj, spec_of
from kubelite.control.controllers.view import View


def definition_of(view: View, group: str, kind: str) -> Obj | None:
    """The definition of a custom kind."""
    for definition in view.list(CUSTOM_RESOURCE_DEFINITIONS):
        spec = spec_of(definition)
        if spec["group"] == group and spec["names"]["kind"] == kind:
            return definition
    return None


def resource_of(definition: Obj, version: str) -> GroupVersionResource:
    """The resource of a defined kind in one of its versions."""
    spec = spec_of(definition)
    return GroupVersionResource(spec["group"], version, spec["names"]["plural"])


def has_scale(definition: Obj, version: str) -> bool:
    """Whether objects of this version have a sub-resource ``scale``."""
    rows = (row for row in spec_of(definition)["versions"] if row["name"] == version)
    return any((row.get("subresources") or {}).get("scale") for row in rows)
