"""Nobody gives away what they do not have: the escalation and bind checks of RBAC, and roles that
collect others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.auth.rbac import MASTERS, Rule, aggregated, covers, rules_of
from kubelite.control.api.strategy.commit import write
from kubelite.control.api.wire.attributes import AuthorizationAttributes
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.status import not_found, refused
from kubelite.control.store.types import Conflict
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt

GROUP = "rbac.authorization.k8s.io"
_ROLES, _BINDINGS = ("roles", "clusterroles"), ("rolebindings", "clusterrolebindings")
_EVERYTHING = (Rule(("*",), ("*",), ("*",)), Rule(("*",), paths=("*",)))


async def escalation(attempt: Attempt) -> None:
    """A role or binding may only give what its writer has, or may escalate or bind. Raises
    StatusError 403.
    """
    res, user = attempt.request.resource, attempt.request.user
    if res.group != GROUP or attempt.operation == "DELETE" or MASTERS in user.groups:
        return
    if attempt.old is not None and _without_owners(attempt.old) == _without_owners(attempt.obj):
        return
    if res.plural in _ROLES:
        may = AuthorizationAttributes(
            user, "escalate", GROUP, res.plural, "", attempt.namespace, attempt.name
        )
        wanted = list(rules_of(attempt.obj))
        if attempt.obj.get("aggregationRule") or (attempt.old or {}).get("aggregationRule"):
            wanted += _EVERYTHING
    elif res.plural in _BINDINGS:
        reference = attempt.obj.get("roleRef") or {}
        plural = "roles" if reference.get("kind") == "Role" else "clusterroles"
        may = AuthorizationAttributes(
            user, "bind", GROUP, plural, "", attempt.namespace, reference.get("name", "")
        )
        wanted = list(
            attempt.context.authorizer.policy().rules_of_reference(reference, attempt.namespace)
        )
    else:
        return
    if attempt.context.authorizer.allows(may):
        return
    if res.plural in _BINDINGS:
        _check_there(attempt, plural, reference)
    missing = covers(attempt.context.authorizer.rules(user, attempt.namespace), wanted)
    if missing:
        groups = " ".join(f'"{group}"' for group in user.groups)
        listed = "\n".join(_shown(rule) for rule in missing)
        whom = f'user "{user.name}" (groups=[{groups}])'
        raise refused(
            res,
            attempt.name,
            f"{whom} is attempting to grant RBAC permissions not currently held:\n{listed}",
        )


def _without_owners(obj: Object) -> Object:
    """What matters about a role: its labels do, for other roles may collect it by them; who owns it
    does not.
    """
    ours = ("ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation")
    return {
        **obj,
        "metadata": {key: value for key, value in obj["metadata"].items() if key not in ours},
    }


def _check_there(attempt: Attempt, plural: str, reference: Object) -> None:
    """A role that is not there yet may be anything one day, and is bound by those only who may bind
    it. Raises StatusError 404.
    """
    place = attempt.namespace if plural == "roles" else "", reference.get("name", "")
    if place not in attempt.context.authorizer.policy().roles:
        raise not_found(attempt.request.resource, place[1])  # as the servers name it


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
                await write(
                    attempt.context.store, res, {**role, "rules": wanted}, entry, companions=[]
                )
                changed = True
            except Conflict:
                continue
        if not changed:
            return
