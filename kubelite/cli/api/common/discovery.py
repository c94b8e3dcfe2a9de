"""The resources of a server, and what people call them. Pure.

Read from aggregated discovery (``apidiscovery.k8s.io/v2``), in the server's order: the core group
first, of each group its preferred version first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from kubelite.client.resources import GroupVersionResource
from kubelite.lib.json import Object


class UnknownType(ValueError):
    """The server has no such resource; the message is kubectl's."""


class ApiResource(NamedTuple):
    """A resource as discovery describes it; ``group`` is "" for the core."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()

    @property
    def gvr(self) -> GroupVersionResource:
        return GroupVersionResource(self.group, self.version, self.plural)

    @property
    def api_version(self) -> str:
        """``v1`` or ``apps/v1``."""
        return self.gvr.api_version

    @property
    def qualified(self) -> str:
        """``pods`` or ``deployments.apps``."""
        return str(self.gvr)

    def label(self, name: str) -> str:
        """An object in what is printed: ``pod/web``, ``deployment.apps/web``."""
        return f"{self.type_label}/{name}"

    @property
    def type_label(self) -> str:
        """``pod`` or ``deployment.apps``."""
        kind = self.kind.lower()
        return f"{kind}.{self.group}" if self.group else kind


class Resources:
    """All resources of a server."""

    def __init__(self, rows: Iterable[ApiResource]) -> None:
        self.rows = list(rows)

    def named(self, word: str) -> ApiResource:
        """The resource that a word means: plural, singular, short name or kind, alone or with
        ``.GROUP`` or ``.VERSION.GROUP``. Raises UnknownType.
        """
        lower = word.lower()
        name, _, rest = lower.partition(".")
        for row in self.rows:
            if lower in (row.plural, row.singular):
                return row
        for row in self.rows:
            if lower in row.short or (not rest and lower == row.kind.lower()):
                return row
        if rest:
            for row in self.rows:
                is_named = name in (row.plural, row.singular, *row.short, row.kind.lower())
                if is_named and rest in (row.group, f"{row.version}.{row.group}"):
                    return row
        raise UnknownType(f'the server doesn\'t have a resource type "{word}"')

    def of_category(self, word: str) -> list[ApiResource]:
        """The listable resources of a category such as ``all``, once for each kind."""
        chosen: dict[tuple[str, str], ApiResource] = {}
        for row in self.rows:
            if word in row.categories and "list" in row.verbs:
                chosen.setdefault((row.group, row.plural), row)
        return list(chosen.values())

    def of_kind(self, api_version: str, kind: str) -> ApiResource:
        """The resource of an object. Raises UnknownType."""
        for row in self.rows:
            if row.kind == kind and row.api_version == api_version:
                return row
        raise UnknownType(
            f'no matches for kind "{kind}" in version "{api_version}"\n'
            "ensure CRDs are installed first"
        )


def read(*documents: Object) -> Resources:
    """The resources in answers to ``/api`` and ``/apis``."""
    return Resources(
        row
        for document in documents
        for group in document.get("items") or ()
        for version in group.get("versions") or ()
        for row in _of_version(str((group.get("metadata") or {}).get("name") or ""), version)
    )


def _of_version(group: str, version: dict[str, Any]) -> Iterator[ApiResource]:
    for row in version.get("resources") or ():
        kind = row.get("responseKind") or {}
        yield ApiResource(
            group,
            str(version["version"]),
            str(row["resource"]),
            str(row.get("singularResource") or kind.get("kind", "").lower()),
            str(kind.get("kind") or ""),
            row.get("scope") == "Namespaced",
            tuple(row.get("shortNames") or ()),
            tuple(row.get("categories") or ()),
            tuple(row.get("verbs") or ()),
            tuple(sub["subresource"] for sub in row.get("subresources") or ()),
        )
