"""A resource: what is served under one group, version and plural, built in or custom. Pure."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec

from kubelite.objects.facts import schema
from kubelite.objects.facts.kinds import KINDS, Kind

OBJECT_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Resource(msgspec.Struct, frozen=True, eq=False, weakref=True, dict=True):
    """One row of discovery, with where its objects are stored. ``crd`` is the version entry of a
    custom definition, with the definition's ``conversion``.

    ``prefix`` is the storage directory (``pods``, ``services/specs``, ``example.com/widgets``),
    shared by all versions of a resource; ``storage_version`` the group/version its objects are
    stored in. ``settled``: what is stored is what the schema says; a definition that has changed,
    or has several versions, may say something else of old objects.
    """

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    prefix: str
    storage_version: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = OBJECT_VERBS
    subresources: tuple[str, ...] = ()
    crd: dict[str, Any] | None = None
    list_kind: str = ""
    settled: bool = True

    @cached_property
    def gv(self) -> str:
        """``v1`` or ``apps/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def definition(self) -> str | None:
        """The definition of a built-in kind in the schema table."""
        if self.crd is not None:
            return None
        return schema.name_of(self.group, self.version, self.kind)

    @property
    def group_resource(self) -> str:
        """``pods`` or ``deployments.apps``, as messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @cached_property
    def as_stored(self) -> bool:
        """Whether objects are served as they are stored, so that their bytes can be given as they
        are.
        """
        return self.settled and self.gv == self.storage_version

    @property
    def kind_of_list(self) -> str:
        """``PodList``."""
        return self.list_kind or self.kind + "List"

    @property
    def go_type(self) -> str:
        """How the servers call the kind inside: ``*core.Pod``."""
        if self.crd is not None:
            return "*unstructured.Unstructured"
        package = _PACKAGES.get(self.group) or self.group.partition(".")[0]
        return f"*{package}.{self.kind}"

    @cached_property
    def deprecation(self) -> str:
        """What clients of a version of a custom kind are told that is going; "" for others."""
        if self.crd is None or not self.crd.get("deprecated"):
            return ""
        return self.crd.get("deprecationWarning") or f"{self.gv} {self.kind} is deprecated"

    @property
    def scale_paths(self) -> dict[str, str]:
        """Where the kind keeps its replicas; custom kinds say so in their definition."""
        if self.crd is not None:
            paths: dict[str, str] = self.crd.get("subresources", {}).get("scale", {})
            return paths
        return {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}


# Where the standard layout does not simply use the plural (kubernetes,
# ``kubeapiserver/default_storage_factory_builder.go``).
_PREFIXES = {
    ("", "nodes"): "minions",
    ("", "services"): "services/specs",
    ("", "endpoints"): "services/endpoints",
    ("", "replicationcontrollers"): "controllers",
    ("networking.k8s.io", "ingresses"): "ingress",
    (
        "apiextensions.k8s.io",
        "customresourcedefinitions",
    ): "apiextensions.k8s.io/customresourcedefinitions",
    ("apiregistration.k8s.io", "apiservices"): "apiregistration.k8s.io/apiservices",
}
_STORED_AS = {
    ("autoscaling", "horizontalpodautoscalers"): "autoscaling/v2",
    ("events.k8s.io", "events"): "v1",
}
METRICS = "metrics.k8s.io"
_PACKAGES = {"": "core", "events.k8s.io": "core"}


def builtin(*, metrics: bool = False) -> tuple[Resource, ...]:
    """Every built-in resource; those of metrics.k8s.io only where something provides them."""
    return tuple(_from_kind(kind) for kind in KINDS if metrics or kind.group != METRICS)


def _from_kind(kind: Kind) -> Resource:
    place = (kind.group, kind.plural)
    return Resource(
        group=kind.group,
        version=kind.version,
        kind=kind.kind,
        plural=kind.plural,
        singular=kind.singular,
        namespaced=kind.namespaced,
        prefix=f"{METRICS}/{kind.plural}"
        if kind.group == METRICS
        else _PREFIXES.get(place, kind.plural),
        storage_version=_STORED_AS.get(place, kind.api_version),
        short_names=kind.short,
        categories=kind.categories,
        verbs=kind.verbs,
        subresources=kind.subresources,
    )
