"""What adds kinds to the API: CustomResourceDefinitions and APIServices. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.common import client_config
from kubelite.control.api.kinds.common.checks import (
    check_port_number,
    unchanged,
)
from kubelite.control.api.kinds.common.client_config import default_service_port
from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.schema import crd_validation, structs
from kubelite.control.api.tables.columns import NAME_AND_CREATION, columns
from kubelite.control.api.tables.text import (
    age_of,
    lookup,
    name_and_creation,
    name_of,
)
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Cells = list[Any]


def _default_api_service(obj: Any) -> None:
    if obj.spec.service is not None:
        default_service_port(obj.spec.service)


def _check_api_service(obj: Object) -> Iterator[Cause]:
    spec, name = obj.get("spec") or {}, (obj.get("metadata") or {}).get("name", "")
    group, version = spec.get("group", ""), spec.get("version", "")
    expected = f"{version}.{group}"
    if name and name != expected:
        why = f'must be `spec.version+"."+spec.group`: "{expected}"'
        yield causes.invalid("metadata.name", name, why)
    if not group and version != "v1":
        why = "only v1 may have an empty group and it better be legacy kube"
        yield causes.required("spec.group", why)
    for problem in names.subdomain(group) if group else ():
        yield causes.invalid("spec.group", group, problem)
    for problem in names.label_1035(version):
        yield causes.invalid("spec.version", version, problem)
    for field, most in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        number = spec.get(field, 0)
        if not 0 < number <= most:
            why = f"must be positive and less than {most}"
            yield causes.invalid(f"spec.{field}", number, why)
    yield from _check_api_backend(spec)


def _check_api_backend(spec: Object) -> Iterator[Cause]:
    service, insecure = spec.get("service"), spec.get("insecureSkipTLSVerify", False)
    if service is None:
        if spec.get("caBundle"):
            why = "local APIServices may not have a caBundle"
            yield causes.invalid("spec.caBundle", "...", why)
        if insecure:
            why = "local APIServices may not have insecureSkipTLSVerify"
            yield causes.invalid("spec.insecureSkipTLSVerify", insecure, why)
        return
    for field in ("namespace", "name"):
        if not service.get(field):
            yield causes.required(f"spec.service.{field}")
    port = service.get("port", 443)
    yield from check_port_number(port, "spec.service.port", "port is not valid: ")
    if insecure and spec.get("caBundle"):
        why = "may not be true if caBundle is present"
        yield causes.invalid("spec.insecureSkipTLSVerify", insecure, why)


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
    yield from crd_validation.check_stored_versions(obj)
    yield from _check_conversion((obj.get("spec") or {}).get("conversion") or {})


def _definition_warnings(obj: Object) -> Iterator[str]:
    for form in crd_validation.unrecognized_formats(obj):
        yield f'unrecognized format "{form}"'


def _check_conversion(conversion: Object) -> Iterator[Cause]:
    path, strategy = "spec.conversion", conversion.get("strategy", "None")
    webhook = conversion.get("webhook") or {}
    if strategy == "None":
        if webhook:
            why = "should not be set when strategy is not set to Webhook"
            yield causes.forbidden(f"{path}.webhookClientConfig", why)
        return
    if strategy != "Webhook":
        yield causes.unsupported(f"{path}.strategy", strategy, ("None", "Webhook"))
        return
    config = webhook.get("clientConfig")
    if config is None:
        why = "required when strategy is set to Webhook"
        yield causes.required(f"{path}.webhookClientConfig", why)
    else:
        yield from client_config.check_client_config(config, f"{path}.webhookClientConfig")
    yield from _check_review_versions(
        webhook.get("conversionReviewVersions") or [], f"{path}.conversionReviewVersions"
    )


def _check_review_versions(versions: list[str], path: str) -> Iterator[Cause]:
    if not versions:
        yield causes.required(path)
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            yield causes.invalid(f"{path}[{index}]", version, "duplicate version")
            continue
        for problem in names.label_1035(version):
            yield causes.invalid(f"{path}[{index}]", version, problem)
    if not {"v1", "v1beta1"} & set(versions):
        yield causes.invalid(path, versions, "must include at least one of v1, v1beta1")


def _prepare_definition(obj: Object) -> None:
    obj["status"] = {"conditions": [], "acceptedNames": {"plural": "", "kind": ""}}
    obj["status"] = _with_stored_versions(obj)


def _with_stored_versions(obj: Object) -> Object:
    """The status of a definition, with the version that is stored now among those that ever
    were.
    """
    status = obj.get("status") or {}
    known = list(status.get("storedVersions") or ())
    now = [
        version["name"] for version in obj["spec"].get("versions") or () if version.get("storage")
    ]
    return {
        **status,
        "storedVersions": known + [version for version in now if version not in known],
    }


_FIXED = unchanged("spec.group", "spec.names.plural", "spec.scope")
_FIXED_ONCE_SERVED = unchanged("spec.names.kind")


def _check_definition_update(new: Object, old: Object) -> Iterator[Cause]:
    yield from _FIXED(new, old)
    listed = lookup(old, "status.conditions", [])
    conditions = {condition.get("type"): condition for condition in listed}
    if conditions.get("Established", {}).get("status") == "True":
        yield from _FIXED_ONCE_SERVED(new, old)


def _api_service_cells(obj: Object, now: datetime) -> Cells:
    service = lookup(obj, "spec.service")
    shown = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"
    available = {
        condition.get("type"): condition for condition in lookup(obj, "status.conditions", [])
    }.get("Available") or {}
    why = (
        f" ({available['reason']})"
        if available.get("status") == "False" and available.get("reason")
        else ""
    )
    return [name_of(obj), shown, f"{available.get('status', 'Unknown')}{why}", age_of(obj, now)]


def _prepare_definition_update(new: Object, old: Object) -> Object:
    return {**new, "status": _with_stored_versions(new)}


KINDS: dict[tuple[str, str], Rules] = {
    ("apiextensions.k8s.io", "CustomResourceDefinition"): Rules(
        any_finalizer=True,
        unconditional_update=False,
        defaults=_default_definition,
        check=_check_definition,
        check_create=crd_validation.check_name,
        creation_first=True,
        warnings=_definition_warnings,
        warned_once=True,
        may_be_empty=(
            "apiextensions.v1.CustomResourceDefinitionSpec.*",
            "apiextensions.v1.CustomResourceDefinitionNames.*",
            "apiextensions.v1.CustomResourceColumnDefinition.*",
            "apiextensions.v1.WebhookConversion.*",
            "apiextensions.v1.ServiceReference.*",
            "apiextensions.v1.SelectableField.*",
            "apiextensions.v1.CustomResourceSubresourceScale.*",
        ),
        check_update=_check_definition_update,
        prepare_create=_prepare_definition,
        columns=NAME_AND_CREATION,
        cells=name_and_creation,
        has_generation=True,
        prepare_update=_prepare_definition_update,
    ),
    ("apiregistration.k8s.io", "APIService"): Rules(
        any_finalizer=True,
        status_metadata=(),
        check=_check_api_service,
        name=names.path_segment,
        may_be_empty=("apiregistration.v1.ServiceReference.*",),
        unconditional_update=False,
        defaults=_default_api_service,
        columns=columns("Name", "Service", "Available", "Age"),
        cells=_api_service_cells,
    ),
}
