"""Namespaces and what is configured in them: ConfigMaps, Secrets, ServiceAccounts, ResourceQuotas,
LimitRanges. Pure."""

from __future__ import annotations

import base64
import binascii
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.control.api.kinds.checks import (
    unchanged,
)
from kubelite.control.api.kinds.rules import Rules, initial_phase
from kubelite.control.api.tables.columns import columns
from kubelite.control.api.tables.text import (
    age_of,
    lookup,
    name_and_creation,
    name_of,
)
from kubelite.control.api.wire import causes
from kubelite.objects.facts import names, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
Cells = list[Any]


def _default_secret(obj: Any) -> None:
    obj.type = obj.type or "Opaque"
    obj.data |= {
        key: base64.b64encode(text.encode()).decode() for key, text in obj.stringData.items()
    }
    obj.stringData = {}


def _default_namespace(obj: Any) -> None:
    if obj.metadata.name:
        obj.metadata.labels["kubernetes.io/metadata.name"] = obj.metadata.name


def _default_limit_range(obj: Any) -> None:
    for item in obj.spec.limits or ():
        if item.type == "Container":
            item.default = {**item.max, **item.default}
            item.defaultRequest = {**item.min, **item.default, **item.defaultRequest}


_MAX_DATA = 1024 * 1024


_SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
}


def _check_config_map(obj: Object) -> Iterator[Cause]:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    yield from _check_keys(data, "data")
    yield from _check_keys(binary, "binaryData")
    for key in data:
        if key in binary:
            yield causes.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    size = sum(len(value.encode()) for value in data.values()) + sum(
        len(value) * 3 // 4 for value in binary.values()
    )
    if size > _MAX_DATA:
        yield causes.too_long("", _MAX_DATA)


def _check_keys(data: Object, path: str) -> Iterator[Cause]:
    for key in data:
        for why in names.config_key(key):
            yield causes.invalid(f"{path}[{key}]", key, why)


def _check_secret(obj: Object) -> Iterator[Cause]:
    data, kind = obj.get("data") or {}, obj.get("type", "")
    yield from _check_keys(data, "data")
    if sum(len(value) * 3 // 4 for value in data.values()) > _MAX_DATA:
        yield causes.too_long("data", _MAX_DATA)
    for key in _SECRET_KEYS.get(kind, ()):
        if key not in data:
            yield causes.required(f"data[{key}]")
        elif key.startswith(".docker") and not _is_json(data[key]):
            yield causes.invalid(
                f"data[{key}]",
                "<secret contents redacted>",
                "invalid character: the contents are not JSON",
            )
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        yield causes.required("data[username]")
        yield causes.required("data[password]")
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    if kind == "kubernetes.io/service-account-token" and not annotations.get(
        "kubernetes.io/service-account.name"
    ):
        yield causes.required("metadata.annotations[kubernetes.io/service-account.name]")


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(base64.b64decode(text))
    except (msgspec.DecodeError, binascii.Error):
        return False
    return True


def _check_quota(obj: Object) -> Iterator[Cause]:
    for name, text in ((obj.get("spec") or {}).get("hard") or {}).items():
        if quantity.parse(str(text)).nano < 0:
            yield causes.invalid(f"spec.hard[{name}]", text, "must be greater than or equal to 0")


def _check_limit_range(obj: Object) -> Iterator[Cause]:
    for index, item in enumerate((obj.get("spec") or {}).get("limits") or ()):
        path = f"spec.limits[{index}]"
        ordered = ("min", "defaultRequest", "default", "max")
        for name in {key for field in ordered for key in item.get(field) or {}}:
            known = [
                (field, item[field][name]) for field in ordered if name in (item.get(field) or {})
            ]
            for (low, less), (high, more) in pairwise(known):
                if quantity.parse(str(less)).nano > quantity.parse(str(more)).nano:
                    why = f"{low} value {less} is greater than {high} value {more}"
                    yield causes.invalid(f"{path}.{low}[{name}]", less, why)


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
        *(each for each in spec.get("finalizers", ()) if each != "kubernetes"),
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


def _service_account_cells(obj: Object, now: datetime) -> Cells:
    return [name_of(obj), len(obj.get("secrets") or ()), age_of(obj, now)]


def _quota_cells(obj: Object, now: datetime) -> Cells:
    used, hard = (
        lookup(obj, "status.used", {}),
        lookup(obj, "status.hard", {}) or lookup(obj, "spec.hard", {}),
    )
    requests: list[str] = []
    limits: list[str] = []
    for each, most in sorted(hard.items()):
        (limits if each.startswith("limits") else requests).append(
            f"{each}: {used.get(each, 0)}/{most}"
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
        check=_check_config_map,
        check_update=_check_immutable,
        columns=columns("Name", "Data", "Age"),
        cells=_config_map_cells,
    ),
    ("", "Secret"): Rules(
        defaults=_default_secret,
        check=_check_secret,
        check_update=_check_secret_update,
        columns=columns("Name", "Type", "Data", "Age"),
        cells=_secret_cells,
        selectable=("type",),
    ),
    ("", "ServiceAccount"): Rules(
        warnings=_account_warnings,
        columns=columns("Name", "Secrets", "Age"),
        cells=_service_account_cells,
        returned_on_delete=True,
    ),
    ("", "ResourceQuota"): Rules(
        check=_check_quota,
        columns=columns("Name", "Request", "Limit", "Age"),
        cells=_quota_cells,
        returned_on_delete=True,
    ),
    ("", "LimitRange"): Rules(
        defaults=_default_limit_range,
        check=_check_limit_range,
        columns=columns("Name", "Created At"),
        cells=name_and_creation,
        created_by_update=True,
        may_be_empty=("core.v1.LimitRangeSpec.limits",),
    ),
}
