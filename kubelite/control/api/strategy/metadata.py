"""What is wrong with an object's metadata, when it is created and when it changes. Pure.

Rules are apimachinery's (``api/validation/objectmeta.go``); how a name must look depends on the
kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.metadata import IMMUTABLE, contents
from kubelite.control.api.kinds.registry import rules_of
from kubelite.control.api.wire import causes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
_KEPT = ("name", "namespace", "uid", "creationTimestamp")


def check_create(res: Resource, obj: Object) -> Iterator[Cause]:
    """Everything that is wrong with the metadata of a new object."""
    metadata = obj.get("metadata") or {}
    name = metadata.get("name", "")
    if not name:
        yield causes.required("metadata.name", "name or generateName is required")
    else:
        yield from _check_name(res, name)
    if res.namespaced and not metadata.get("namespace"):
        yield causes.required("metadata.namespace")
    if not res.namespaced and metadata.get("namespace"):
        yield causes.forbidden("metadata.namespace", "not allowed on this type")
    yield from contents(metadata, "metadata")


def _check_name(res: Resource, name: str) -> Iterator[Cause]:
    rules = rules_of(res)
    for problem in rules.name(name):
        yield causes.invalid("metadata.name", name, problem)
    if rules.max_name and len(name) > rules.max_name:
        why = f"must be no more than {rules.max_name} characters"
        yield causes.invalid("metadata.name", name, why)


def check_update(new: Object, old: Object) -> Iterator[Cause]:
    """Everything that is wrong with changed metadata."""
    now, before = new.get("metadata") or {}, old.get("metadata") or {}
    for key in _KEPT:
        if now.get(key) != before.get(key) and before.get(key) is not None:
            yield causes.invalid(f"metadata.{key}", now.get(key, ""), IMMUTABLE)
    known = set(before.get("finalizers") or ())
    added = [each for each in now.get("finalizers") or () if each not in known]
    if before.get("deletionTimestamp") and added:
        listed = ", ".join(f'"{each}"' for each in added)
        why = (
            "no new finalizers can be added if the object is being deleted, "
            f"found new finalizers []string{{{listed}}}"
        )
        yield causes.forbidden("metadata.finalizers", why)
    yield from contents(now, "metadata")
