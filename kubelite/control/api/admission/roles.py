"""Nobody gives away what they do not have: the escalation and bind checks of RBAC, and roles that collect others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.commit import write
from kubelite.control.api.documents import load
from kubelite.control.api.rbac import MASTERS, Rule, aggregated, covers, rules_of
from kubelite.control.api.status import refused
from kubelite.control.api.verdict import Asked
from kubelite.control.store.types import Conflict

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt

GROUP = "rbac.authorization.k8s.io"
_ROLES, _BINDINGS = ("roles", "clusterroles"), ("rolebindings", "clusterrolebindings")
Object = dict[str, Any]


async def escalation(attempt: Attempt) -> None:
    """A role or binding may only give what its writer has, or may escalate or bind. Raises StatusError 403."""
    res, user = attempt.request.resource, attempt.request.user
    if res.group != GROUP or attempt.operation == "DELETE" or MASTERS in user.groups:
        return
    if res.plural in _ROLES:
        unchanged = attempt.old is not None and attempt.old.get("rules") == attempt.obj.get("rules")
        if unchanged and (attempt.old or {}).get("aggregationRule") == attempt.obj.get("aggregationRule"):
            return
        wanted = list(rules_of(attempt.obj))
        may = Asked(user, "escalate", GROUP, res.plural, "", attempt.namespace, attempt.name)
        if attempt.obj.get("aggregationRule"):
            wanted.append(Rule(("*",), ("*",), ("*",)))
    elif res.plural in _BINDINGS:
        reference = attempt.obj.get("roleRef") or {}
        wanted = list(attempt.context.authorizer.policy().rules_of_reference(reference, attempt.namespace))
        plural = "roles" if reference.get("kind") == "Role" else "clusterroles"
        may = Asked(user, "bind", GROUP, plural, "", attempt.namespace, reference.get("name", ""))
    else:
        return
    missing = covers(attempt.context.authorizer.rules(user, attempt.namespace), wanted)
    if missing and not attempt.context.authorizer.allows(may):
        groups = " ".join(f'"{group}"' for group in user.groups)
        listed = "\n".join(_shown(rule) for rule in missing)
        whom = f'user "{user.name}" (groups=[{groups}])'
        raise refused(res, attempt.name, f"{whom} is attempting to grant RBAC permissions not currently held:\n{listed}")


def _shown(rule: Rule) -> str:
    parts = (
        ("APIGroups", rule.groups),
        ("Resources", rule.resources),
        ("ResourceNames", rule.names),
        ("NonResourceURLs", rule.paths),
        ("Verbs", rule.verbs),
    )
    quoted = {name: ", ".join(f'"{value}"' for value in values) for name, values in parts if values}
    return "{" + ", ".join(f"{name}:[{values}]" for name, values in quoted.items()) + "}"


async def collect(attempt: Attempt) -> None:
    """Keeps the ClusterRoles that are the sum of others up to date with them."""
    if not attempt.of(GROUP, "clusterroles"):
        return
    store, res = attempt.context.store, attempt.request.resource
    for _ in range(3):  # a sum may itself be part of a sum
        entries = (await store.page(res.prefix)).entries
        roles = [load(entry) for entry in entries]
        changed = False
        for entry, role in zip(entries, roles, strict=True):
            wanted = aggregated(role, roles)
            if wanted is None or wanted == (role.get("rules") or []):
                continue
            try:
                await write(attempt.context, res, {**role, "rules": wanted}, entry, companions=[])
                changed = True
            except Conflict:
                continue
        if not changed:
            return
