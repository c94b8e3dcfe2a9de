"""Roles and their bindings. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.common import metadata
from kubelite.control.api.kinds.common.checks import check_dns_name
from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.tables.columns import NAME_AND_CREATION, columns, wide
from kubelite.control.api.tables.text import (
    age_of,
    lookup,
    name_and_creation,
    name_of,
)
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Cells = list[Any]


RBAC = "rbac.authorization.k8s.io"


def _default_binding(obj: Any) -> None:
    obj.roleRef.apiGroup = obj.roleRef.apiGroup or RBAC
    for subject in obj.subjects:
        if not subject.apiGroup and subject.kind in ("User", "Group"):
            subject.apiGroup = RBAC


def _check_role(obj: Object) -> Iterator[Cause]:
    for index, rule in enumerate(obj.get("rules") or ()):
        path = f"rules[{index}]"
        if not rule.get("verbs"):
            yield causes.required(f"{path}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            if (obj.get("metadata") or {}).get("namespace"):
                why = "namespaced rules cannot apply to non-resource URLs"
                yield causes.invalid(f"{path}.nonResourceURLs", rule["nonResourceURLs"], why)
            if any(rule.get(field) for field in ("apiGroups", "resources", "resourceNames")):
                why = "rules cannot apply to both regular resources and non-resource URLs"
                yield causes.invalid(f"{path}.nonResourceURLs", rule["nonResourceURLs"], why)
            continue
        if not rule.get("apiGroups"):
            yield causes.required(
                f"{path}.apiGroups", "resource rules must supply at least one api group"
            )
        if not rule.get("resources"):
            yield causes.required(
                f"{path}.resources", "resource rules must supply at least one resource"
            )


def _check_cluster_role(obj: Object) -> Iterator[Cause]:
    yield from _check_role(obj)
    if (aggregation := obj.get("aggregationRule")) is None:
        return
    path, selectors = (
        "aggregationRule.clusterRoleSelectors",
        aggregation.get("clusterRoleSelectors"),
    )
    if not selectors:
        why = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        yield causes.required(path, why)
    for index, selector in enumerate(selectors or ()):
        yield from metadata.selector(selector, f"{path}[{index}]")
        if not metadata.is_selector(selector):
            yield causes.invalid(f"{path}[{index}]", None, "invalid label selector.")


def _check_binding(obj: Object) -> Iterator[Cause]:
    yield from _check_binding_to(obj, ("Role", "ClusterRole"), namespaced=True)


def _check_cluster_binding(obj: Object) -> Iterator[Cause]:
    yield from _check_binding_to(obj, ("ClusterRole",), namespaced=False)


def _check_binding_to(obj: Object, kinds: tuple[str, ...], *, namespaced: bool) -> Iterator[Cause]:
    role = obj.get("roleRef") or {}
    group, kind, name = role.get("apiGroup", ""), role.get("kind", ""), role.get("name", "")
    if group != RBAC:
        yield causes.unsupported("roleRef.apiGroup", group, (RBAC,))
    if kind not in kinds:
        yield causes.unsupported("roleRef.kind", kind, kinds)
    if not name:
        yield causes.required("roleRef.name")
    for problem in names.path_segment(name):
        yield causes.invalid("roleRef.name", name, problem)
    for index, subject in enumerate(obj.get("subjects") or ()):
        yield from _check_subject(subject, f"subjects[{index}]", namespaced=namespaced)


def _check_subject(subject: Object, path: str, *, namespaced: bool) -> Iterator[Cause]:
    kind, name, group = (subject.get(field, "") for field in ("kind", "name", "apiGroup"))
    if not name:
        yield causes.required(f"{path}.name")
    if kind == "ServiceAccount":
        if name:
            yield from check_dns_name(name, f"{path}.name")
        if group:
            yield causes.unsupported(f"{path}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            yield causes.required(f"{path}.namespace")
    elif kind not in ("Group", "User"):
        yield causes.unsupported(f"{path}.kind", kind, ("ServiceAccount", "User", "Group"))
    elif group != RBAC:
        yield causes.unsupported(f"{path}.apiGroup", group, (RBAC,))


def _check_binding_update(new: Object, old: Object) -> Iterator[Cause]:
    if new.get("roleRef") != old.get("roleRef"):
        why = "cannot change roleRef"
        yield causes.invalid("roleRef", new.get("roleRef"), why, "rbac.v1.RoleRef")


def _binding_cells(obj: Object, now: datetime) -> Cells:
    groups: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        inside = (
            f"{subject.get('namespace', '')}/" if subject.get("kind") == "ServiceAccount" else ""
        )
        groups.setdefault(subject.get("kind", ""), []).append(inside + subject.get("name", ""))
    role = f"{lookup(obj, 'roleRef.kind', '')}/{lookup(obj, 'roleRef.name', '')}"
    return [
        name_of(obj),
        role,
        age_of(obj, now),
        *(", ".join(groups[kind]) for kind in ("User", "Group", "ServiceAccount")),
    ]


_BINDING_COLUMNS = columns(
    "Name", "Role", "Age", wide("Users"), wide("Groups"), wide("ServiceAccounts")
)
KINDS: dict[tuple[str, str], Rules] = {
    ("rbac.authorization.k8s.io", "Role"): Rules(
        check=_check_role,
        columns=NAME_AND_CREATION,
        cells=name_and_creation,
        created_by_update=True,
        name=names.path_segment,
        may_be_empty=("rbac.v1.PolicyRule.verbs",),
    ),
    ("rbac.authorization.k8s.io", "ClusterRole"): Rules(
        check=_check_cluster_role,
        columns=NAME_AND_CREATION,
        cells=name_and_creation,
        created_by_update=True,
        name=names.path_segment,
    ),
    ("rbac.authorization.k8s.io", "RoleBinding"): Rules(
        may_be_empty=("rbac.v1.RoleRef.*", "rbac.v1.Subject.*"),
        defaults=_default_binding,
        check=_check_binding,
        check_update=_check_binding_update,
        columns=_BINDING_COLUMNS,
        cells=_binding_cells,
        created_by_update=True,
        name=names.path_segment,
    ),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): Rules(
        check=_check_cluster_binding,
        defaults=_default_binding,
        check_update=_check_binding_update,
        columns=_BINDING_COLUMNS,
        cells=_binding_cells,
        created_by_update=True,
        name=names.path_segment,
    ),
}
