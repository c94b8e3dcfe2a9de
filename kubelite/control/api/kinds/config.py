"""Namespaces and what is configured in them: ConfigMaps, Secrets, ServiceAccounts, ResourceQuotas,
LimitRanges. Pure."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.common import metadata
from kubelite.control.api.kinds.common.checks import NOT_NEGATIVE, unchanged
from kubelite.control.api.kinds.rules import Rules, initial_phase
from kubelite.control.api.tables.columns import NAME_AND_CREATION, columns
from kubelite.control.api.tables.text import (
    age_of,
    lookup,
    name_and_creation,
    name_of,
)
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.facts import names, quantity
from kubelite.objects.rules import config_data
from kubelite.objects.rules.pods.resources import is_native

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Cells = list[Any]


def _default_secret(obj: Any) -> None:
    obj.type = obj.type or "Opaque"
    obj.data |= config_data.encoded(obj.stringData)
    obj.stringData = {}


def _default_namespace(obj: Any) -> None:
    if obj.metadata.name:
        obj.metadata.labels["kubernetes.io/metadata.name"] = obj.metadata.name


def _default_limit_range(obj: Any) -> None:
    for item in obj.spec.limits or ():
        if item.type == "Container":
            item.default = {**item.max, **item.default}
            item.defaultRequest = {**item.min, **item.default, **item.defaultRequest}


def _check_config_map(obj: Object) -> Iterator[Cause]:
    return causes.of_rules(config_data.config_map(obj))


def _check_secret(obj: Object) -> Iterator[Cause]:
    return causes.of_rules(config_data.secret(obj))


def _check_namespace(obj: Object) -> Iterator[Cause]:
    for finalizer in (obj.get("spec") or {}).get("finalizers") or ():
        yield from metadata.finalizer(finalizer, "spec.finalizers")


_COUNTED = {
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
}
_CONTAINER_RESOURCES = {"cpu", "memory", "ephemeral-storage"}
_POD_COMPUTE = {
    "cpu",
    "memory",
    "limits.cpu",
    "limits.memory",
    "requests.cpu",
    "requests.memory",
}
_QUOTA_RESOURCES = {
    *_COUNTED,
    *_POD_COMPUTE,
    "ephemeral-storage",
    "requests.ephemeral-storage",
    "limits.ephemeral-storage",
    "requests.storage",
}
_STANDARD_RESOURCES = {*_QUOTA_RESOURCES, "storage"}
# The scopes that a quota may have, and the resources that it may then count.
_SCOPES = {
    "BestEffort": {"pods"},
    "CrossNamespacePodAffinity": {"pods", *_POD_COMPUTE},
    "NotBestEffort": {"pods", *_POD_COMPUTE},
    "NotTerminating": {"pods", *_POD_COMPUTE},
    "PriorityClass": {"pods", *_POD_COMPUTE},
    "Terminating": {"pods", *_POD_COMPUTE},
    "VolumeAttributesClass": {"persistentvolumeclaims", "requests.storage"},
}
_CONFLICTING = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
_EXISTS_ONLY = (
    "BestEffort",
    "NotBestEffort",
    "Terminating",
    "NotTerminating",
    "CrossNamespacePodAffinity",
)
_LIMIT_TYPES = ("Container", "PersistentVolumeClaim", "Pod")


def _is_huge_pages(name: str) -> bool:
    return name.removeprefix("requests.").startswith("hugepages-")


def _is_extended(name: str) -> bool:
    """Whether a resource is one of those that a cluster defines for itself."""
    host, slash, _ = name.partition("/")
    native = not slash or host == "kubernetes.io" or host.endswith(".kubernetes.io")
    return not native and not name.startswith("requests.")


def _check_resource_name(name: str, path: str) -> Iterator[Cause]:
    problems = names.qualified(name)
    for problem in problems:
        yield causes.invalid(path, name, problem)
    if (
        not problems
        and "/" not in name
        and name not in _STANDARD_RESOURCES
        and not _is_huge_pages(name)
    ):
        why = "must be a standard resource type or fully qualified"
        yield causes.invalid(path, name, why)


def check_amount(name: str, amount: Any, path: str) -> Iterator[Cause]:
    """An amount of a resource: not negative, and whole where it is counted in pieces."""
    nano = quantity.parse(str(amount)).nano
    if nano < 0:
        yield causes.invalid(path, amount, NOT_NEGATIVE)
    if (name in _COUNTED or _is_extended(name)) and quantity.has_fraction(str(amount)):
        yield causes.invalid(path, amount, "must be an integer")


def _check_hard(hard: Object, path: str) -> Iterator[Cause]:
    for name, amount in hard.items():
        where = f"{path}[{name}]"
        yield from _check_quota_resource(name, where)
        yield from check_amount(name, amount, where)


def _check_quota_resource(name: str, path: str) -> Iterator[Cause]:
    yield from _check_resource_name(name, path)
    if "/" not in name and name not in _QUOTA_RESOURCES and not _is_huge_pages(name):
        yield causes.invalid(path, name, "must be a standard resource for quota")


def _check_quota(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    hard, scopes = spec.get("hard") or {}, spec.get("scopes") or []
    yield from _check_hard(hard, "spec.hard")
    for scope in scopes:
        yield from _check_scope(scope, hard, scopes, "spec.scopes", "spec.scopes")
    yield from _check_conflicts(scopes, scopes, "spec.scopes")
    rules = (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    path = "spec.scopeSelector.matchExpressions"
    for rule in rules:
        yield from _check_scope(rule.get("scopeName", ""), hard, rules, path, f"{path}.scopeName")
        yield from _check_scope_rule(rule, path)
    yield from _check_conflicts([rule.get("scopeName") for rule in rules], rules, path)


def _check_scope(scope: str, hard: Object, shown: Any, path: str, name: str) -> Iterator[Cause]:
    """One scope, and whether it can be told of what the quota counts."""
    if scope not in _SCOPES:
        yield causes.invalid(name, shown if name == path else scope, "unsupported scope")
    for resource in hard:
        standard = resource in _QUOTA_RESOURCES or _is_huge_pages(resource)
        if standard and scope in _SCOPES and resource not in _SCOPES[scope]:
            yield causes.invalid(path, shown, "unsupported scope applied to resource")


def _check_scope_rule(rule: Object, path: str) -> Iterator[Cause]:
    operator, values = rule.get("operator", ""), rule.get("values") or []
    if rule.get("scopeName") in _EXISTS_ONLY and operator != "Exists":
        why = f"must be 'Exist' when scope is any of {', '.join(_EXISTS_ONLY)}"
        yield causes.invalid(f"{path}.operator", operator, why)
    if operator in ("In", "NotIn"):
        if not values:
            why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            yield causes.required(f"{path}.values", why)
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            yield causes.invalid(f"{path}.values", values, why)
    else:
        yield causes.invalid(f"{path}.operator", operator, "not a valid selector operator")


def _check_conflicts(scopes: Iterable[Any], shown: Any, path: str) -> Iterator[Cause]:
    given = set(scopes)
    for pair in _CONFLICTING:
        if pair <= given:
            yield causes.invalid(path, shown, "conflicting scopes")


def _check_quota_status(new: Object, old: Object) -> Iterator[Cause]:
    status = new.get("status") or {}
    for field in ("hard", "used"):
        path = f"status.{field}"
        for name, amount in (status.get(field) or {}).items():
            yield from _check_quota_resource(name, f"{path}[{name}]")
            yield from check_amount(name, amount, f"{path}[{name}]")


def _check_limit_range(obj: Object) -> Iterator[Cause]:
    kinds_taken: set[str] = set()
    for index, limit in enumerate((obj.get("spec") or {}).get("limits") or ()):
        path, kind = f"spec.limits[{index}]", limit.get("type", "")
        problems = names.qualified(kind)
        for problem in problems:
            yield causes.invalid(f"{path}.type", kind, problem)
        if not problems and "/" not in kind and kind not in _LIMIT_TYPES:
            why = "must be a standard limit type or fully qualified"
            yield causes.invalid(f"{path}.type", kind, why)
        if kind in kinds_taken:
            yield causes.duplicate(f"{path}.type", kind)
        kinds_taken.add(kind)
        yield from _check_limit(limit, kind, path)


def _check_limit(limit: Object, kind: str, path: str) -> Iterator[Cause]:
    fields = ["max", "min", "maxLimitRequestRatio"]
    for field in ("default", "defaultRequest"):
        if kind != "Pod":
            fields.append(field)
        elif limit.get(field):
            yield causes.forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'")
    for field in fields:
        for name in limit.get(field) or ():
            check = (
                check_container_resource if kind in ("Container", "Pod") else _check_resource_name
            )
            yield from check(name, f"{path}.{field}[{name}]")
    if kind == "PersistentVolumeClaim" and not any(
        "storage" in (limit.get(field) or {}) for field in ("min", "max")
    ):
        why = "either minimum or maximum storage value is required, but neither was provided"
        yield causes.required(f"{path}.limits", why)
    for name in dict.fromkeys(name for field in fields for name in limit.get(field) or ()):
        given = {
            field: quantity.parse(str(limit[field][name])).nano
            for field in fields
            if name in (limit.get(field) or {})
        }
        yield from _check_bounds(name, given, limit, path)


def check_container_resource(name: str, path: str) -> Iterator[Cause]:
    """The name of a resource that containers can ask for."""
    yield from _check_resource_name(name, path)
    if "/" in name:
        if not is_native(name) and not _is_extended(name):
            why = "doesn't follow extended resource name standard"
            yield causes.invalid(path, name, why)
        return
    if name not in _CONTAINER_RESOURCES and not name.startswith("hugepages-"):
        yield causes.invalid(path, name, "must be a standard resource for containers")


# Which amount must not be larger than which, the one that is named when it is, and how the two are
# called then.
_ORDERED = (
    ("min", "max", "min", "min value {} is greater than max value {}"),
    (
        "min",
        "defaultRequest",
        "defaultRequest",
        "min value {} is greater than default request value {}",
    ),
    (
        "defaultRequest",
        "max",
        "defaultRequest",
        "default request value {} is greater than max value {}",
    ),
    (
        "defaultRequest",
        "default",
        "defaultRequest",
        "default request value {} is greater than default limit value {}",
    ),
    ("min", "default", "default", "min value {} is greater than default value {}"),
    ("default", "max", "default", "default value {} is greater than max value {}"),
)


def _check_bounds(name: str, given: dict[str, int], limit: Object, path: str) -> Iterator[Cause]:
    for low, high, named, sentence in _ORDERED:
        if low in given and high in given and given[low] > given[high]:
            why = sentence.format(limit[low][name], limit[high][name])
            yield causes.invalid(f"{path}.{named}[{name}]", limit[named][name], why)
    ratio = given.get("maxLimitRequestRatio")
    where = f"{path}.maxLimitRequestRatio[{name}]"
    if ratio is None:
        return
    shown_ratio = limit["maxLimitRequestRatio"][name]
    if ratio < 10**9:
        yield causes.invalid(where, shown_ratio, f"ratio {shown_ratio} is less than 1")
    if "min" in given and "max" in given and ratio * given["min"] > given["max"] * 10**9:
        largest = given["max"] / given["min"] if given["min"] else 0
        why = f"ratio {shown_ratio} is greater than max/min = {largest:f}"
        yield causes.invalid(where, shown_ratio, why)


def _prepare_limit_range(obj: Object) -> None:
    """A LimitRange without a name has that of its uid."""
    if not obj["metadata"].get("name") and obj["metadata"].get("uid"):
        obj["metadata"] = {**obj["metadata"], "name": obj["metadata"]["uid"]}


def _prepare_account(obj: Object) -> None:
    if obj.get("secrets"):
        obj["secrets"] = _only_names(obj["secrets"])


def _prepare_account_update(new: Object, old: Object) -> Object:
    return {**new, "secrets": _only_names(new["secrets"])} if new.get("secrets") else new


def _only_names(secrets: Iterable[Object]) -> list[Object]:
    return [{"name": secret["name"]} if secret.get("name") else {} for secret in secrets]


def _secret_warnings(obj: Object) -> Iterator[str]:
    data = obj.get("data") or {}
    is_pair = obj.get("type") == "kubernetes.io/tls" and {"tls.crt", "tls.key"} <= set(data)
    if is_pair and (problem := _key_pair_problem(data["tls.crt"], data["tls.key"])):
        yield f"tls: {problem}"


def _key_pair_problem(certificate: str, key: str) -> str:
    """What keeps a certificate and a key from being a pair; empty where nothing does."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        loaded = x509.load_pem_x509_certificate(base64.b64decode(certificate))
    except ValueError:
        return "failed to find any PEM data in certificate input"
    try:
        private = load_pem_private_key(base64.b64decode(key), None)
    except (ValueError, TypeError):
        return "failed to find any PEM data in key input"
    if private.public_key() != loaded.public_key():
        return "private key does not match public key"
    return ""


def _check_immutable(new: Object, old: Object) -> Iterator[Cause]:
    """ConfigMap and Secret that said they are immutable."""
    if not old.get("immutable"):
        return
    why = "field is immutable when `immutable` is set"
    if not new.get("immutable"):
        yield causes.forbidden("immutable", why)
    for field in ("data", "binaryData"):
        if (new.get(field) or {}) != (old.get(field) or {}):
            yield causes.forbidden(field, why)


def _check_secret_update(new: Object, old: Object) -> Iterator[Cause]:
    yield from _check_immutable(new, old)
    yield from unchanged("type")(new, old)


def _prepare_namespace(obj: Object) -> None:
    spec = dict(obj.get("spec") or {})
    spec["finalizers"] = [
        *(finalizer for finalizer in spec.get("finalizers", ()) if finalizer != "kubernetes"),
        "kubernetes",
    ]
    obj["spec"] = spec


def _account_warnings(obj: Object) -> Iterator[str]:
    key = "kubernetes.io/enforce-mountable-secrets"
    if key in (obj["metadata"].get("annotations") or {}):
        why = (
            "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
        )
        yield f"metadata.annotations[{key}]: {why}"


def _namespace_cells(obj: Object, now: datetime) -> Cells:
    return [name_of(obj), lookup(obj, "status.phase", ""), age_of(obj, now)]


def _secret_cells(obj: Object, now: datetime) -> Cells:
    return [name_of(obj), obj.get("type", ""), len(obj.get("data") or ()), age_of(obj, now)]


def _config_map_cells(obj: Object, now: datetime) -> Cells:
    return [
        name_of(obj),
        len(obj.get("data") or ()) + len(obj.get("binaryData") or ()),
        age_of(obj, now),
    ]


def _quota_cells(obj: Object, now: datetime) -> Cells:
    used, hard = lookup(obj, "status.used", {}), lookup(obj, "status.hard", {})
    requests: list[str] = []
    limits: list[str] = []
    for resource, most in sorted(hard.items()):
        (limits if resource.startswith("limits") else requests).append(
            f"{resource}: {used.get(resource, 0)}/{most}"
        )
    return [name_of(obj), ", ".join(requests), ", ".join(limits), age_of(obj, now)]


def _prepare_namespace_update(new: Object, old: Object) -> Object:
    """Finalizers of the specification change through ``/finalize`` only."""
    return {**new, "spec": old.get("spec", {})}


def _prepare_finalize(new: Object, old: Object) -> Object:
    spec = {key: value for key, value in old.get("spec", {}).items() if key != "finalizers"}
    wanted = (new.get("spec") or {}).get("finalizers")
    return {**old, "spec": {**spec, "finalizers": wanted} if wanted else spec}


KINDS: dict[tuple[str, str], Rules] = {
    ("", "Namespace"): Rules(
        check=_check_namespace,
        defaults=_default_namespace,
        prepare_create=_prepare_namespace,
        columns=columns("Name", "Status", "Age"),
        cells=_namespace_cells,
        returned_on_delete=True,
        selectable=("status.phase",),
        name=names.label,
        initial_status=initial_phase("Active"),
        prepare_update=_prepare_namespace_update,
        prepare_subresource={"finalize": _prepare_finalize},
    ),
    ("", "ConfigMap"): Rules(
        changes_first=True,
        check=_check_config_map,
        check_update=_check_immutable,
        columns=columns("Name", "Data", "Age"),
        cells=_config_map_cells,
    ),
    ("", "Secret"): Rules(
        changes_first=True,
        warnings=_secret_warnings,
        defaults=_default_secret,
        check=_check_secret,
        check_update=_check_secret_update,
        columns=columns("Name", "Type", "Data", "Age"),
        cells=_secret_cells,
        selectable=("type",),
    ),
    ("", "ServiceAccount"): Rules(
        prepare_create=_prepare_account,
        prepare_update=_prepare_account_update,
        warnings=_account_warnings,
        returned_on_delete=True,
    ),
    ("", "ResourceQuota"): Rules(
        check_update=unchanged("spec.scopes"),
        check_subresource={"status": _check_quota_status},
        may_be_empty=("core.v1.ScopedResourceSelectorRequirement.*",),
        check=_check_quota,
        columns=columns("Name", "Request", "Limit", "Age"),
        cells=_quota_cells,
        returned_on_delete=True,
    ),
    ("", "LimitRange"): Rules(
        prepare_create=_prepare_limit_range,
        may_be_empty=("core.v1.LimitRangeSpec.limits", "core.v1.LimitRangeItem.type"),
        defaults=_default_limit_range,
        check=_check_limit_range,
        columns=NAME_AND_CREATION,
        cells=name_and_creation,
        created_by_update=True,
    ),
}
