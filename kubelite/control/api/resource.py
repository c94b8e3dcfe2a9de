"""A resource: what is served under one group, version and plural, built in or custom. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

OBJECT_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Resource(msgspec.Struct, frozen=True, eq=False):
    """One row of discovery, with where its objects are stored. ``crd`` is the version entry of a custom definition.

    ``prefix`` is the storage directory (``pods``, ``services/specs``, ``example.com/widgets``), shared by all
    versions of a resource; ``storage_version`` the group/version its objects are stored in.
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

    @property
    def gv(self) -> str:
        """``v1`` or ``apps/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """``pods`` or ``deployments.apps``, as messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def kind_of_list(self) -> str:
        """``PodList``."""
        return self.list_kind or self.kind + "List"
