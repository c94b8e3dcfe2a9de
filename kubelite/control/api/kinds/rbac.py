"""Roles and their bindings. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.tables.columns import columns, wide
from kubelite.control.api.tables.text import (
    age_of,
    lookup,
    name_and_creation,
    name_of,
)
from kubelite.control.api.wire import causes
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
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
            if rule.get("apiGroups") or rule.get("resources"):
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


def _check_binding(obj: Object) -> Iterator[Cause]:
    namespaced = bool((obj.get("metadata") or {}).get("namespace"))
    if not namespaced and (obj.get("roleRef") or {}).get("kind") == "Role":
        yield causes.unsupported("roleRef.kind", "Role", ("ClusterRole",))
    for index, subject in enumerate(obj.get("subjects") or ()):
        if (
            subject.get("kind") == "ServiceAccount"
            and not subject.get("namespace")
            and not namespaced
        ):
            yield causes.required(f"subjects[{index}].namespace")


def _check_binding_update(new: Object, old: Object) -> Iterator[Cause]:
    if new.get("roleRef") != old.get("roleRef"):
        yield causes.invalid("roleRef", new.get("roleRef"), "cannot change roleRef")


def _binding_cells(obj: Object, now: datetime) -> Cells:
    groups: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for each in obj.get("subjects") or ():
        inside = f"{each.get('namespace', '')}/" if each.get("kind") == "ServiceAccount" else ""
        groups.setdefault(each.get("kind", ""), []).append(inside + each.get("name", ""))
    role = f"{lookup(obj, 'roleRef.kind', '')}/{lookup(obj, 'roleRef.name', '')}"
    return [
        name_of(obj),
        role,
        age_of(obj, now),
        *(", ".join(groups[kind]) for kind in ("User", "Group", "ServiceAccount")),
    ]


KINDS: dict[tuple[str, str], Rules] = {
    ("rbac.authorization.k8s.io", "Role"): Rules(
        check=_check_role,
        columns=columns("Name", "Created At"),
        cells=name_and_creation,
        created_by_update=True,
        name=names.path_segment,
        may_be_empty=("rbac.v1.PolicyRule.verbs",),
    ),
    ("rbac.authorization.k8s.io", "ClusterRole"): Rules(
        check=_check_role,
        columns=columns("Name", "Created At"),
        cells=name_and_creation,
        created_by_update=True,
        name=names.path_segment,
    ),
    ("rbac.authorization.k8s.io", "RoleBinding"): Rules(
        defaults=_default_binding,
        check=_check_binding,
        check_update=_check_binding_update,
        columns=columns(
            "Name", "Role", "Age", wide("Users"), wide("Groups"), wide("ServiceAccounts")
        ),
        cells=_binding_cells,
        created_by_update=True,
        name=names.path_segment,
        values={
            "rbac.v1.RoleRef": {"kind": ("ClusterRole", "Role")},
            "rbac.v1.Subject": {"kind": ("Group", "ServiceAccount", "User")},
        },
    ),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): Rules(
        defaults=_default_binding,
        check=_check_binding,
        check_update=_check_binding_update,
        columns=columns(
            "Name", "Role", "Age", wide("Users"), wide("Groups"), wide("ServiceAccounts")
        ),
        cells=_binding_cells,
        created_by_update=True,
        name=names.path_segment,
    ),
}
