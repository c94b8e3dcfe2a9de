"""What a server says of itself: versions, groups, and the resources of each, plain and aggregated.
Pure.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from kubelite.control.api.discovery.delegated import aggregated_version, version_order
from kubelite.control.api.discovery.priorities import (
    CUSTOM_VERSION,
    group_priority,
    version_priority,
)
from kubelite.lib.json import Object
from kubelite.objects.facts import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kubelite.control.api.discovery.delegated import DelegatedVersion
    from kubelite.control.api.wire.resource import Resource

_PARTS = ("get", "patch", "update")
_STREAM = ("create", "get")
_PROXY = ("create", "delete", "get", "patch", "update")
# Kind and its group and version (None: those of the resource itself), and the verbs.
_SUBRESOURCES: dict[str, tuple[str | None, tuple[str, str] | None, tuple[str, ...]]] = {
    "status": (None, None, _PARTS),
    "scale": ("Scale", ("autoscaling", "v1"), _PARTS),
    "approval": (None, None, _PARTS),
    "ephemeralcontainers": (None, None, _PARTS),
    "resize": (None, None, _PARTS),
    "finalize": (None, None, ("update",)),
    "log": (None, None, ("get",)),
    "exec": ("PodExecOptions", None, _STREAM),
    "attach": ("PodAttachOptions", None, _STREAM),
    "portforward": ("PodPortForwardOptions", None, _STREAM),
    "binding": ("Binding", None, ("create",)),
    "eviction": ("Eviction", ("policy", "v1"), ("create",)),
    "token": ("TokenRequest", ("authentication.k8s.io", "v1"), ("create",)),
}


_CUSTOM_VERBS = "delete deletecollection get list patch create update watch".split()
# Where a Kubernetes of this level stores a version that it does not serve any more.
_STORED_BY_KUBERNETES = {
    "mutatingadmissionpolicies": "admissionregistration.k8s.io/v1beta1",
    "mutatingadmissionpolicybindings": "admissionregistration.k8s.io/v1beta1",
    "customresourcedefinitions": "apiextensions.k8s.io/v1beta1",
}


def version_info() -> Object:
    """``/version``: the API level that is spoken."""
    major, minor = schema.LEVEL.split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"v{schema.LEVEL}.0+kubelite",
        "gitCommit": "0" * 40,  # hexadecimal, as clients expect; nobody knows it once installed
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "linux",
    }


def core_versions(address: str) -> Object:
    """``/api``: the versions of the core group, and where the server is reached."""
    reached = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": reached}


def groups(resources: Iterable[Resource], delegated: Sequence[DelegatedVersion] = ()) -> Object:
    """``/apis``: every named group."""
    versions = _versions(resources, delegated)
    listed = [_group(name, served) for name, served in versions.items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def group(
    resources: Iterable[Resource], name: str, delegated: Sequence[DelegatedVersion] = ()
) -> Object | None:
    """``/apis/GROUP``; None where nothing is served under the name."""
    versions = _versions(resources, delegated).get(name) if name else None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)} if versions else None


def _versions(
    resources: Iterable[Resource], delegated: Sequence[DelegatedVersion]
) -> dict[str, list[str]]:
    """The versions of each group, in the order of their APIServices' priorities."""
    priorities: dict[str, int] = {}
    by_group: dict[str, dict[str, int]] = {}
    for res in resources:
        priorities.setdefault(res.group, group_priority(res.group))
        is_custom = res.crd is not None
        version = CUSTOM_VERSION if is_custom else version_priority(res.group, res.version)
        by_group.setdefault(res.group, {}).setdefault(res.version, version)
    for theirs in delegated:
        priorities[theirs.group] = max(priorities.get(theirs.group, 0), theirs.group_priority)
        by_group.setdefault(theirs.group, {})[theirs.version] = theirs.version_priority
    mixed = {theirs.group for theirs in delegated}
    names = sorted(by_group, key=lambda name: (-priorities[name], name))
    return {
        name: _ordered(by_group[name]) if name in mixed else [*by_group[name]] for name in names
    }


def _ordered(versions: dict[str, int]) -> list[str]:
    """Versions by priority, those of the same as Kubernetes prefers them."""
    return sorted(versions, key=lambda name: (versions[name], version_order(name)), reverse=True)


def _group(name: str, versions: list[str]) -> Object:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def resource_list(resources: Iterable[Resource], group: str, version: str) -> Object | None:
    """``/api/v1`` or ``/apis/GROUP/VERSION``; None where nothing is served there."""
    rows = [
        row
        for res in resources
        if (res.group, res.version) == (group, version)
        for row in (_row(res), *_sub_rows(res))
    ]
    if not rows:
        return None
    # The list of the core group comes from a time before lists had versions.
    about = {"kind": "APIResourceList", **({"apiVersion": "v1"} if group else {})}
    name = f"{group}/{version}" if group else version
    return {**about, "groupVersion": name, "resources": rows}


def _row(res: Resource) -> Object:
    head = {
        "name": res.plural,
        "singularName": res.singular,
        "namespaced": res.namespaced,
        "kind": res.kind,
    }
    row = {**head, "verbs": _verbs(res), **_words(res)}
    return {**row, "storageVersionHash": _storage_hash(res)} if "list" in res.verbs else row


def _storage_hash(res: Resource) -> str:
    """What changes when objects are stored in another version (apiserver,
    ``discovery.StorageVersionHash``).
    """
    stored = res.storage_version if "/" in res.storage_version else f"/{res.storage_version}"
    stored = _STORED_BY_KUBERNETES.get(res.plural, stored) if res.crd is None else stored
    digest = hashlib.sha256(f"{stored}/{res.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def _verbs(res: Resource) -> list[str]:
    return list(_CUSTOM_VERBS) if res.crd is not None else sorted(res.verbs)


def _subresources(res: Resource) -> list[str]:
    """In the order of the alphabet; of custom kinds the status first."""
    return sorted(res.subresources, reverse=res.crd is not None)


def _words(res: Resource) -> Object:
    names: Object = {"shortNames": list(res.short_names), "categories": list(res.categories)}
    return {key: value for key, value in names.items() if value}


def _sub_rows(res: Resource) -> Iterable[Object]:
    for name in _subresources(res):
        kind, home, verbs = _subresource(res, name)
        where = {"group": home[0], "version": home[1]} if home else {}
        row = {
            "name": f"{res.plural}/{name}",
            "singularName": "",
            "namespaced": res.namespaced,
            **where,
            "kind": kind,
        }
        yield {**row, "verbs": list(verbs)}


def _subresource(res: Resource, name: str) -> tuple[str, tuple[str, str] | None, tuple[str, ...]]:
    kind, home, verbs = _SUBRESOURCES.get(name, (f"{res.kind}ProxyOptions", None, _PROXY))
    return kind or res.kind, home, verbs


def aggregated(
    resources: Iterable[Resource],
    core: bool,
    version: str = "v2",
    delegated: Sequence[DelegatedVersion] = (),
) -> Object:
    """``/api`` (``core``) or ``/apis`` as one document of ``apidiscovery.k8s.io``."""
    served = [res for res in resources if (not res.group) == core]
    theirs = {} if core else {(item.group, item.version): item for item in delegated}
    items = []
    for name, versions in _versions(served, tuple(theirs.values())).items():
        listed = [
            aggregated_version(theirs[name, group_version])
            if (name, group_version) in theirs
            else _aggregated_version(served, name, group_version)
            for group_version in versions
        ]
        items.append({"metadata": {"name": name} if name else {}, "versions": listed})
    about = {"kind": "APIGroupDiscoveryList", "apiVersion": f"apidiscovery.k8s.io/{version}"}
    return {**about, "metadata": {}, "items": items}


def _aggregated_version(served: list[Resource], group: str, version: str) -> Object:
    rows = [_aggregated_row(res) for res in served if (res.group, res.version) == (group, version)]
    return {"version": version, "resources": rows, "freshness": "Current"}


def _response_kind(res: Resource, kind: str, home: tuple[str, str] | None) -> Object:
    """What a resource answers with. Built-in kinds that answer with themselves say no group."""
    group, version = home or ((res.group, res.version) if res.crd is not None else ("", ""))
    return {"group": group, "version": version, "kind": kind}


def _aggregated_row(res: Resource) -> Object:
    row = {
        "resource": res.plural,
        "responseKind": _response_kind(res, res.kind, None),
        "scope": "Namespaced" if res.namespaced else "Cluster",
        "singularResource": res.singular,
        "verbs": _verbs(res),
        **_words(res),
    }
    below = []
    for name in _subresources(res):
        kind, home, verbs = _subresource(res, name)
        about = _response_kind(res, kind, home)
        below.append({"subresource": name, "responseKind": about, "verbs": list(verbs)})
    return {**row, "subresources": below} if below else row
