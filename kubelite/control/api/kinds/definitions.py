"""What adds kinds to the API: CustomResourceDefinitions and APIServices. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.admission_policies import default_service_port
from kubelite.control.api.kinds.checks import (
    unchanged,
)
from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.schema import crd_validation, structs
from kubelite.control.api.tables.columns import NAME_AND_CREATION, columns
from kubelite.control.api.tables.text import (
    age_of,
    lookup,
    name_and_creation,
    name_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
Cells = list[Any]


def _default_api_service(obj: Any) -> None:
    if obj.spec.service is not None:
        default_service_port(obj.spec.service)


def _default_definition(obj: Any) -> None:
    names = obj.spec.names
    names.singular = names.singular or names.kind.lower()
    names.listKind = names.listKind or (names.kind and names.kind + "List")
    if obj.spec.conversion is None:
        obj.spec.conversion = structs.new(
            "apiextensions.v1.CustomResourceConversion", strategy="None"
        )


def _check_definition(obj: Object) -> Iterator[Cause]:
    yield from crd_validation.check_crd(obj)


def _prepare_definition(obj: Object) -> None:
    obj["status"] = {"conditions": [], "acceptedNames": {"plural": "", "kind": ""}}
    obj["status"] = _with_stored_versions(obj)


def _with_stored_versions(obj: Object) -> Object:
    """The status of a definition, with the version that is stored now among those that ever were."""
    status = obj.get("status") or {}
    known = list(status.get("storedVersions") or ())
    now = [each["name"] for each in obj["spec"].get("versions") or () if each.get("storage")]
    return {**status, "storedVersions": known + [each for each in now if each not in known]}


def _api_service_cells(obj: Object, now: datetime) -> Cells:
    service = lookup(obj, "spec.service")
    shown = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"
    found = {each.get("type"): each for each in lookup(obj, "status.conditions", [])}.get(
        "Available"
    ) or {}
    why = f" ({found['reason']})" if found.get("status") == "False" and found.get("reason") else ""
    return [name_of(obj), shown, f"{found.get('status', 'Unknown')}{why}", age_of(obj, now)]


def _prepare_definition_update(new: Object, old: Object) -> Object:
    return {**new, "status": _with_stored_versions(new)}


KINDS: dict[tuple[str, str], Rules] = {
    ("apiextensions.k8s.io", "CustomResourceDefinition"): Rules(
        defaults=_default_definition,
        check=_check_definition,
        check_update=unchanged("spec.group", "spec.names.plural", "spec.scope"),
        prepare_create=_prepare_definition,
        columns=NAME_AND_CREATION,
        cells=name_and_creation,
        has_generation=True,
        prepare_update=_prepare_definition_update,
    ),
    ("apiregistration.k8s.io", "APIService"): Rules(
        defaults=_default_api_service,
        columns=columns("Name", "Service", "Available", "Age"),
        cells=_api_service_cells,
    ),
}
