"""What a server itself writes into an object before it is stored: status, generation, the parts a
path may not touch. Pure.

Kubernetes' strategies do this per kind (``PrepareForCreate``, ``PrepareForUpdate``); most of it is
one rule for all: the main resource does not touch ``status``, ``/status`` touches nothing else, and
a changed ``spec`` counts up the generation. What is special stands in the kind's rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.kinds.common.metadata import with_generation
from kubelite.control.api.kinds.registry import rules_of
from kubelite.control.api.schema import structs
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from kubelite.control.api.wire.resource import Resource

_UNCOUNTED = ("kind", "apiVersion", "metadata", "status")


def prepare_create(res: Resource, obj: Object) -> Object:
    """The object as it is first stored. It has its name, namespace and uid already."""
    rules = rules_of(res)
    new = {**obj, "metadata": dict(obj.get("metadata") or {})}
    if "status" in res.subresources and not rules.keeps_status:
        new.pop("status", None)
        if res.crd is None and (status := _first_status(res, new)) is not None:
            new["status"] = status
    if res.crd is not None or (rules.has_generation and rules.first_generation):
        new = {**new, "metadata": with_generation(new["metadata"], rules.first_generation)}
    if rules.prepare_create is not None:
        rules.prepare_create(new)
    return new


def _first_status(res: Resource, obj: Object) -> Object | None:
    if (initial := rules_of(res).initial_status) is not None:
        return initial(obj)
    name = res.definition
    status: Object | None = structs.empty(name).get("status") if name else None
    return status


def prepare_update(res: Resource, sub: str, new: Object, old: Object) -> Object:
    """The new state as far as a path may change it: the main resource, ``status``, or another part
    of the object.
    """
    rules = rules_of(res)
    if sub == "status":
        return _status_of(res, new, old)
    if sub:
        prepare = rules.prepare_subresource.get(sub)
        return prepare(new, old) if prepare else new
    result = dict(new)
    if "status" in res.subresources:
        result.pop("status", None)
        result |= {"status": old["status"]} if "status" in old else {}
    if rules.prepare_update is not None:
        result = rules.prepare_update(result, old)
    counts = res.crd is not None or (rules.has_generation and rules.generation_counts)
    return _counted_up(result, old, counts=counts, metadata_too=rules.counted_metadata)


def _counted_up(new: Object, old: Object, *, counts: bool, metadata_too: tuple[str, ...]) -> Object:
    """The object with its generation: the old one, or one more when anything but metadata and
    status changed, or what counts of the metadata, or when its deletion begins.
    """
    generation = old.get("metadata", {}).get("generation")
    metadata = new.get("metadata", {})
    generation = generation or 0
    changed = any(
        new.get(key) != old.get(key) for key in {*new, *old} if key not in _UNCOUNTED
    ) or any(metadata.get(key) != old["metadata"].get(key) for key in metadata_too)
    deleted = "deletionTimestamp" in metadata and "deletionTimestamp" not in old["metadata"]
    counted = generation + 1 if deleted or (changed and counts) else generation
    if metadata.get("generation", 0) == counted:
        return new
    return {**new, "metadata": with_generation(metadata, counted)}


def _status_of(res: Resource, new: Object, old: Object) -> Object:
    """The old object with the new status, and with the metadata that may come along."""
    result = {key: value for key, value in old.items() if key != "status"}
    result |= {"status": new["status"]} if "status" in new else {}
    fields = ("managedFields", *(() if res.crd is not None else rules_of(res).status_metadata))
    given = new.get("metadata", {})
    metadata = {key: value for key, value in old["metadata"].items() if key not in fields}
    metadata |= {key: given[key] for key in fields if key in given}
    if "managedFields" not in given and "managedFields" in old["metadata"]:
        metadata["managedFields"] = old["metadata"]["managedFields"]
    return {**result, "metadata": metadata}
