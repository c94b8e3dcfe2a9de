"""What extension servers say of themselves, as part of what this server says. Pure.

An APIService hands a group and version to an extension server (kube-aggregator): its resources are
listed beside ours, and its schemas are merged into our documents.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from kubelite.lib.json import Object

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_VERSION = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?")
_STAGES = {"alpha": 0, "beta": 1, None: 2}
_WORDS = ("shortNames", "categories")


class DelegatedVersion(NamedTuple):
    """A group and version of an extension server, with the priorities of its APIService.

    ``resources`` are the rows of its APIResourceList; ``current`` whether it answers. ``v3`` is its
    OpenAPI document of the version as bytes of JSON, ``v2`` its document of all, each None where it
    has none.
    """

    group: str
    version: str
    group_priority: int
    version_priority: int
    current: bool = False
    resources: tuple[Object, ...] = ()
    v3: bytes | None = None
    v3_hash: str = ""
    v2: Object | None = None

    @property
    def path(self) -> str:
        """``apis/GROUP/VERSION``."""
        return f"apis/{self.group}/{self.version}"


def at(delegated: Iterable[DelegatedVersion], path: str) -> DelegatedVersion | None:
    """The one whose :attr:`~DelegatedVersion.path` it is."""
    return next((version for version in delegated if version.path == path), None)


def version_order(version: str) -> tuple[int, int, int, str]:
    """Sorts versions as Kubernetes prefers them, the best last: ``v2``, ``v1``, ``v1beta1``, then
    others (apimachinery, ``version.CompareKubeAwareVersionStrings``).
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        return (-1, 0, 0, "".join(chr(0x10FFFF - ord(letter)) for letter in version + "\0"))
    return (_STAGES[match[2]], int(match[1]), int(match[3] or 0), "")


def aggregated_version(delegated: DelegatedVersion) -> Object:
    """Its entry in a document of ``apidiscovery.k8s.io``."""
    gv = (delegated.group, delegated.version)
    rows: dict[str, Object] = {}
    for listed in delegated.resources:
        plural, _, sub = listed["name"].partition("/")
        if not sub:
            rows[plural] = _row(listed, gv)
        elif plural in rows:
            below = {"subresource": sub, "responseKind": _kind(listed, gv), "verbs": _verbs(listed)}
            rows[plural].setdefault("subresources", []).append(below)
    freshness = "Current" if delegated.current else "Stale"
    return {
        "version": delegated.version,
        "resources": list(rows.values()),
        "freshness": freshness,
    }


def _row(listed: Object, gv: tuple[str, str]) -> Object:
    return {
        "resource": listed["name"],
        "responseKind": _kind(listed, gv),
        "scope": "Namespaced" if listed.get("namespaced") else "Cluster",
        "singularResource": listed.get("singularName", ""),
        "verbs": _verbs(listed),
        **{word: listed[word] for word in _WORDS if listed.get(word)},
    }


def _kind(listed: Object, gv: tuple[str, str]) -> Object:
    group, version = listed.get("group") or gv[0], listed.get("version") or gv[1]
    return {"group": group, "version": version, "kind": listed.get("kind", "")}


def _verbs(listed: Object) -> list[str]:
    return list(listed.get("verbs") or ())


def merge_v2(document: Object, delegated: Sequence[DelegatedVersion]) -> Object:
    """``/openapi/v2`` with the paths of delegated versions and the definitions of their servers. A
    definition that is there already stays: shared ones are those of Kubernetes.
    """
    paths, definitions = dict(document["paths"]), dict(document["definitions"])
    for version in delegated:
        if version.v2 is None:
            continue
        own = f"/{version.path}"
        theirs = version.v2.get("paths") or {}
        paths |= {
            path: theirs[path] for path in theirs if path == own or path.startswith(f"{own}/")
        }
        definitions = {**(version.v2.get("definitions") or {}), **definitions}
    return {
        **document,
        "paths": dict(sorted(paths.items())),
        "definitions": dict(sorted(definitions.items())),
    }
