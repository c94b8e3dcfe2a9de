"""Metadata of objects, owner references and times. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

Obj = Mapping[str, Any]
"""A decoded object. Those of a view are shared and must not be changed."""

Key = tuple[str, str]
"""Namespace and name; the namespace is "" for objects of the cluster."""


def key_of(obj: Obj) -> Key:
    """Namespace and name."""
    metadata = obj["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def name_of(obj: Obj) -> str:
    """The name."""
    return str(obj["metadata"]["name"])


def namespace_of(obj: Obj) -> str:
    """The namespace, "" for an object of the cluster."""
    return str(obj["metadata"].get("namespace") or "")


def uid_of(obj: Obj) -> str:
    """The uid, "" for an object that the server has not seen."""
    return str(obj["metadata"].get("uid") or "")


def labels_of(obj: Obj) -> Mapping[str, str]:
    """The labels."""
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Obj) -> Mapping[str, str]:
    """The annotations."""
    return obj["metadata"].get("annotations") or {}


def spec_of(obj: Obj) -> Obj:
    """The spec."""
    return obj.get("spec") or {}


def status_of(obj: Obj) -> Obj:
    """The status."""
    return obj.get("status") or {}


def generation_of(obj: Obj) -> int:
    """The generation of the spec."""
    return int(obj["metadata"].get("generation") or 0)


def is_deleting(obj: Obj) -> bool:
    """Whether the object is being deleted."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def created_at(obj: Obj) -> float:
    """When the object was created, in seconds since 1970; 0 where it does not say."""
    return parse_time(obj["metadata"].get("creationTimestamp"))


def controller_of(obj: Obj) -> Obj | None:
    """The owner reference that controls an object."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return owner  # type: ignore[no-any-return]
    return None


def is_controlled_by(obj: Obj, uid: str) -> bool:
    """Whether the object's controlling owner has this uid."""
    owner = controller_of(obj)
    return owner is not None and owner.get("uid") == uid


def owner_reference(owner: Obj, api_version: str, kind: str) -> dict[str, Any]:
    """A reference by which ``owner`` controls an object and blocks its own deletion on it."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def with_type(obj: Obj, api_version: str, kind: str) -> dict[str, Any]:
    """A shallow copy that says what it is: items of lists do not."""
    return {**obj, "apiVersion": api_version, "kind": kind}


@lru_cache(65536)
def parse_time(text: str | None) -> float:
    """Seconds since 1970 of an RFC 3339 time; 0 for none."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


@lru_cache(1024)
def _written(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_time(seconds: float) -> str:
    """A time as the API writes it: UTC, whole seconds."""
    return _written(int(seconds))
