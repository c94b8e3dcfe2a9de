"""What is wrong with an object's metadata, when it is created and when it changes. Pure.

Rules are apimachinery's (``api/validation/objectmeta.go``); how a name must look depends on the
kind.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kubelite.control.api.wire import causes
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
MAX_ANNOTATIONS = 256 * 1024
IMMUTABLE = "field is immutable"
_KEPT = ("name", "namespace", "uid", "creationTimestamp")


def _segment(text: str) -> list[str]:
    """A name that is only one part of a path: RBAC's names may hold colons and more."""
    found = [f"may not be '{text}'"] if text in (".", "..") else []
    return found + [f"may not contain '{each}'" for each in "/%" if each in text]


_RULES: dict[tuple[str, str], Callable[[str], list[str]]] = {
    ("", "Namespace"): names.label,
    ("", "Service"): names.label_1035,
    ("certificates.k8s.io", "CertificateSigningRequest"): _segment,
    ("rbac.authorization.k8s.io", "Role"): _segment,
    ("rbac.authorization.k8s.io", "ClusterRole"): _segment,
    ("rbac.authorization.k8s.io", "RoleBinding"): _segment,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _segment,
    ("networking.k8s.io", "IPAddress"): lambda text: [],
}
_LONGEST = {("batch", "CronJob"): 52, ("batch", "Job"): 63, ("apps", "StatefulSet"): 63}


def on_create(res: Resource, obj: Object) -> Iterator[Cause]:
    """Everything that is wrong with the metadata of a new object."""
    metadata = obj.get("metadata") or {}
    name = metadata.get("name", "")
    if not name:
        yield causes.required("metadata.name", "name or generateName is required")
    else:
        yield from _name(res, name)
    if res.namespaced and not metadata.get("namespace"):
        yield causes.required("metadata.namespace")
    if not res.namespaced and metadata.get("namespace"):
        yield causes.forbidden("metadata.namespace", "not allowed on this type")
    yield from contents(metadata, "metadata")


def _name(res: Resource, name: str) -> Iterator[Cause]:
    key = (res.group, res.kind)
    for why in _RULES.get(key, names.subdomain)(name):
        yield causes.invalid("metadata.name", name, why)
    if len(name) > _LONGEST.get(key, len(name)):
        yield causes.invalid(
            "metadata.name", name, f"must be no more than {_LONGEST[key]} characters"
        )


def contents(metadata: Object, path: str) -> Iterator[Cause]:
    """Labels, annotations, finalizers and owners: what templates have too."""
    yield from labels(metadata.get("labels") or {}, f"{path}.labels")
    annotations = metadata.get("annotations") or {}
    for key in annotations:
        for why in names.annotation(key):
            yield causes.invalid(f"{path}.annotations", key, why)
    if sum(len(key) + len(value) for key, value in annotations.items()) > MAX_ANNOTATIONS:
        yield causes.too_long(f"{path}.annotations", MAX_ANNOTATIONS)
    for index, finalizer in enumerate(metadata.get("finalizers") or ()):
        for why in names.qualified(finalizer):
            yield causes.invalid(f"{path}.finalizers[{index}]", finalizer, why)
    yield from _owners(metadata.get("ownerReferences") or (), path)


def labels(given: dict[str, str], path: str) -> Iterator[Cause]:
    """Keys and values of labels, or of a selector made of them."""
    for key, value in given.items():
        for why in names.qualified(key):
            yield causes.invalid(path, key, why)
        for why in names.label_value(value):
            yield causes.invalid(path, value, why)


def _owners(owners: Any, path: str) -> Iterator[Cause]:
    controllers = [each.get("name") for each in owners if each.get("controller")]
    if len(controllers) > 1:
        yield causes.invalid(
            f"{path}.ownerReferences",
            list(owners),
            f"Only one reference can have Controller set to true. Found {controllers}",
        )
    for index, each in enumerate(owners):
        for key in ("apiVersion", "kind", "name", "uid"):
            if not each.get(key):
                yield causes.required(f"{path}.ownerReferences[{index}].{key}", "must not be empty")


def on_update(res: Resource, new: Object, old: Object) -> Iterator[Cause]:
    """Everything that is wrong with changed metadata."""
    now, was = new.get("metadata") or {}, old.get("metadata") or {}
    for key in _KEPT:
        if now.get(key) != was.get(key) and was.get(key) is not None:
            yield causes.invalid(f"metadata.{key}", now.get(key, ""), IMMUTABLE)
    before = set(was.get("finalizers") or ())
    added = [each for each in now.get("finalizers") or () if each not in before]
    if was.get("deletionTimestamp") and added:
        listed = ", ".join(f'"{each}"' for each in added)
        why = f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{listed}}}"
        yield causes.forbidden("metadata.finalizers", why)
    yield from contents(now, "metadata")


def selector(given: Object | None, path: str) -> Iterator[Cause]:
    """What is wrong with a LabelSelector."""
    yield from labels((given or {}).get("matchLabels") or {}, f"{path}.matchLabels")
    for index, each in enumerate((given or {}).get("matchExpressions") or ()):
        here, operator = f"{path}.matchExpressions[{index}]", each.get("operator")
        if operator in ("In", "NotIn") and not each.get("values"):
            yield causes.required(
                f"{here}.values", "must be specified when `operator` is 'In' or 'NotIn'"
            )
        if operator in ("Exists", "DoesNotExist") and each.get("values"):
            yield causes.forbidden(
                f"{here}.values",
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )
        for why in names.qualified(each.get("key", "")):
            yield causes.invalid(f"{here}.key", each.get("key", ""), why)


CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")


def config_key(key: str) -> list[str]:
    """What is wrong with the key of a ConfigMap or a Secret."""
    found = ["must be no more than 253 characters"] if len(key) > 253 else []
    if key in (".", "..") or key.startswith(".."):
        found.append("must not be '.' or begin with '..'")
    if not CONFIG_KEY.fullmatch(key):
        found.append("a valid config key must consist of alphanumeric characters, '-', '_' or '.'")
    return found
