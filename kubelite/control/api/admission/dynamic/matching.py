"""Which writes a webhook or a policy is about. Pure.

Rules are those of ``admissionregistration.k8s.io/v1``: operations, groups, versions, resources with
their subresources, scope, and selectors of the namespace and the object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kubelite.control.api.wire.selectors import matcher
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kubelite.control.api.wire.resource import Resource

# Whoever configures admission must be able to undo it.
_EXEMPT = (
    "validatingwebhookconfigurations",
    "mutatingwebhookconfigurations",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
)


class Write(NamedTuple):
    """What is matched of a write. ``namespace_labels`` are those of its namespace, or of the
    Namespace that is written; None for other objects of the cluster.
    """

    operation: str
    resource: Resource
    sub: str
    name: str
    namespace: str
    obj: Object | None
    old: Object | None
    namespace_labels: dict[str, str] | None


def is_exempt(res: Resource) -> bool:
    """Whether nothing a user configures applies to a kind."""
    return res.group == "admissionregistration.k8s.io" and res.plural in _EXEMPT


def matched_resource(
    rules: Sequence[Object], policy: str, write: Write, versions: Callable[[], Iterable[Resource]]
) -> Resource | None:
    """The resource as which a write is matched by one of the rules; None for no match.

    ``policy`` Equivalent lets a rule about another version of the resource match too; ``versions``
    gives all that are served.
    """
    if not rules:
        return None
    if any(_fits(rule, write, write.resource) for rule in rules):
        return write.resource
    for res in versions() if policy != "Exact" else ():
        if res.gv != write.resource.gv and any(_fits(rule, write, res) for rule in rules):
            return res
    return None


def _fits(rule: Object, write: Write, res: Resource) -> bool:
    scope = rule.get("scope") or "*"
    names = rule.get("resourceNames")
    return (
        _has(rule.get("operations"), write.operation)
        and _has(rule.get("apiGroups"), res.group)
        and _has(rule.get("apiVersions"), res.version)
        and (scope == "*" or (scope == "Namespaced") == res.namespaced)
        and (not names or write.name in names)
        and any(
            _is_resource(pattern, res.plural, write.sub) for pattern in rule.get("resources") or ()
        )
    )


def _has(listed: list[str] | None, value: str) -> bool:
    return listed is not None and ("*" in listed or value in listed)


def _is_resource(pattern: str, plural: str, sub: str) -> bool:
    resource, _, below = pattern.partition("/")
    if resource not in ("*", plural):
        return False
    if not sub:
        return below in ("", "*") if resource == "*" and below else not below or below == "*"
    return below in ("*", sub)


def selectors_match(namespace: Object | None, objects: Object | None, write: Write) -> bool:
    """Whether the selectors of a webhook or policy take a write; None selects everything."""
    labels = write.namespace_labels
    if namespace is not None and labels is not None and not matcher(namespace)(labels):
        return False
    if objects is None:
        return True
    question = matcher(objects)
    return any(
        question((document.get("metadata") or {}).get("labels") or {})
        for document in (write.obj, write.old)
        if document
    )
