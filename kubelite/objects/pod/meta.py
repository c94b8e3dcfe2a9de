"""What objects of every kind have in common (meta/v1). Pure."""

from typing import Any

from msgspec import field

from kubelite.objects.pod.base import Int64, Object, QuantityText, Time

__all__ = [
    "LabelSelector",
    "LabelSelectorRequirement",
    "LocalObjectReference",
    "ManagedFieldsEntry",
    "ObjectMeta",
    "OwnerReference",
    "Quantities",
]

Quantities = dict[str, QuantityText]


class OwnerReference(Object, kw_only=True, frozen=True):
    """An object that this one goes away with."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ManagedFieldsEntry(Object, kw_only=True, frozen=True):
    """Which fields a manager has set, for server-side apply."""

    manager: str | None = None
    operation: str | None = None
    api_version: str | None = None
    time: Time | None = None
    fields_type: str | None = None
    fields_v1: dict[str, Any] | None = None
    subresource: str | None = None


class ObjectMeta(Object, kw_only=True, frozen=True):
    """Name, labels and history of an object; times are RFC 3339 texts."""

    name: str | None = None
    generate_name: str | None = None
    namespace: str | None = None
    self_link: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: Int64 | None = None
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    deletion_grace_period_seconds: Int64 | None = None
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()
    managed_fields: tuple[ManagedFieldsEntry, ...] = ()


class LabelSelectorRequirement(Object, kw_only=True, frozen=True):
    """One of ``matchExpressions``."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(Object, kw_only=True, frozen=True):
    """Which objects are meant; all conditions together. :mod:`kubelite.objects.facts.labels`
    matches it.
    """

    match_labels: dict[str, str] = field(default_factory=dict)
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class LocalObjectReference(Object, kw_only=True, frozen=True):
    """An object of the same namespace, by name."""

    name: str | None = None
