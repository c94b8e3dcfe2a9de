"""What is wrong with metadata that templates have too, and with label selectors. Pure.

Rules are apimachinery's (``api/validation/objectmeta.go``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kubelite.control.api.wire import causes
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
MAX_ANNOTATIONS = 256 * 1024
IMMUTABLE = "field is immutable"
_AFTER_GENERATION = (
    "creationTimestamp",
    "deletionTimestamp",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
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


def with_generation(metadata: Object, generation: int) -> Object:
    """Metadata with a generation, in its place in the servers' order."""
    result: Object = {}
    for key, value in metadata.items():
        if key in _AFTER_GENERATION:
            result.setdefault("generation", generation)
        if key != "generation":
            result[key] = value
    result.setdefault("generation", generation)
    return result
