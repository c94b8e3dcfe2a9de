"""What is wrong with an object's metadata, when it is created and when it changes. Pure.

Rules are apimachinery's (``api/validation/objectmeta.go``); how a name must look depends on the
kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.kinds.registry import rules_of
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.facts import names
from kubelite.objects.rules import metadata as general

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.api.wire.status import Cause

_KEPT = ("name", "namespace", "uid", "creationTimestamp")


def check_create(res: Resource, obj: Object) -> Iterator[Cause]:
    """Everything that is wrong with the metadata of a new object."""
    metadata, rules = obj.get("metadata") or {}, rules_of(res)
    yield from causes.of_rules(general.name(metadata, rules.name))
    name, namespace = metadata.get("name", ""), metadata.get("namespace", "")
    if rules.max_name and len(name) > rules.max_name:
        yield causes.invalid("metadata.name", name, names.too_long(rules.max_name))
    if res.namespaced:
        yield from causes.of_rules(general.namespace(namespace))
    elif namespace:
        yield causes.forbidden("metadata.namespace", "not allowed on this type")
    yield from _contents(res, metadata)


def check_update(res: Resource, new: Object, old: Object) -> Iterator[Cause]:
    """Everything that is wrong with changed metadata."""
    now, before = new.get("metadata") or {}, old.get("metadata") or {}
    for key in _KEPT:
        if now.get(key) != before.get(key) and before.get(key) is not None:
            yield causes.invalid(f"metadata.{key}", now.get(key, ""), causes.IMMUTABLE)
    if before.get("deletionTimestamp") and (added := _added_finalizers(now, before)):
        listed = ", ".join(f'"{finalizer}"' for finalizer in added)
        why = (
            "no new finalizers can be added if the object is being deleted, "
            f"found new finalizers []string{{{listed}}}"
        )
        yield causes.forbidden("metadata.finalizers", why)
    yield from _contents(res, now)


def _added_finalizers(now: Object, before: Object) -> list[str]:
    known = before.get("finalizers") or ()
    return [finalizer for finalizer in now.get("finalizers") or () if finalizer not in known]


def _contents(res: Resource, metadata: Object) -> Iterator[Cause]:
    problems = list(general.contents(metadata, ("metadata",)))
    if metadata.get("finalizers") and res.crd is None and not rules_of(res).any_finalizer:
        problems += general.kube_finalizers(metadata, ("metadata",))
    return causes.of_rules(problems)
