"""Role based access control: which rules a user has, and whether they allow something. Pure.

Semantics are those of ``rbac.authorization.k8s.io/v1`` (kubernetes,
``pkg/registry/rbac/validation/rule.go``): rules only allow, never deny; a RoleBinding gives rights
in its namespace, a ClusterRoleBinding everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.wire.selectors import matcher

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubelite.control.api.wire.attributes import AuthorizationAttributes
    from kubelite.control.api.wire.request import User

MASTERS = "system:masters"


class Rule(NamedTuple):
    """One PolicyRule."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    def allows(self, attributes: AuthorizationAttributes) -> bool:
        if attributes.verb not in self.verbs and "*" not in self.verbs:
            return False
        if attributes.path:
            return any(_path_matches(pattern, attributes.path) for pattern in self.paths)
        return (
            (attributes.group in self.groups or "*" in self.groups)
            and _resource_matches(self.resources, attributes.resource, attributes.sub)
            and (not self.names or attributes.name in self.names)
        )


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1]))


def _resource_matches(patterns: tuple[str, ...], resource: str, sub: str) -> bool:
    whole = f"{resource}/{sub}" if sub else resource
    return "*" in patterns or whole in patterns or bool(sub and f"*/{sub}" in patterns)


def rules_of(role: dict[str, Any]) -> tuple[Rule, ...]:
    """The rules of a Role or ClusterRole."""
    return tuple(
        Rule(
            tuple(rule.get("verbs") or ()),
            tuple(rule.get("apiGroups") or ()),
            tuple(rule.get("resources") or ()),
            tuple(rule.get("resourceNames") or ()),
            tuple(rule.get("nonResourceURLs") or ()),
        )
        for rule in role.get("rules") or ()
    )


def subject_is(subject: dict[str, Any], user: User, namespace: str) -> bool:
    """Whether a subject of a binding in a namespace means a user."""
    match subject.get("kind"):
        case "User":
            return bool(subject.get("name") == user.name)
        case "Group":
            return subject.get("name") in user.groups
        case "ServiceAccount":
            owner = subject.get("namespace") or namespace
            return (
                bool(owner) and user.name == f"system:serviceaccount:{owner}:{subject.get('name')}"
            )
    return False


def _called(subject: dict[str, Any], namespace: str) -> str:
    if subject["kind"] == "ServiceAccount":
        return f'ServiceAccount "{subject["name"]}/{subject.get("namespace") or namespace}"'
    return f'{subject["kind"]} "{subject["name"]}"'


_GROUP = "rbac.authorization.k8s.io"


class Policy(NamedTuple):
    """Everything that is bound: roles and bindings by (namespace, name); cluster ones have
    namespace "".
    """

    roles: dict[tuple[str, str], dict[str, Any]]
    bindings: dict[tuple[str, str], dict[str, Any]]

    def rules(self, user: User, namespace: str) -> list[Rule]:
        """The rules of a user in a namespace; "" gives those that hold everywhere."""
        granted: list[Rule] = []
        for (where, _), binding in self.bindings.items():
            if where in ("", namespace) and any(
                subject_is(subject, user, where) for subject in binding.get("subjects") or ()
            ):
                granted += self.rules_of_reference(binding.get("roleRef") or {}, where)
        return granted

    def rules_of_reference(self, reference: dict[str, Any], namespace: str) -> tuple[Rule, ...]:
        """The rules of the role that a binding in a namespace refers to."""
        where = namespace if reference.get("kind") == "Role" else ""
        return rules_of(self.roles.get((where, reference.get("name", ""))) or {})

    def allows(self, attributes: AuthorizationAttributes) -> bool:
        if MASTERS in attributes.user.groups:
            return True
        return any(
            rule.allows(attributes) for rule in self.rules(attributes.user, attributes.namespace)
        )

    def reason(self, attributes: AuthorizationAttributes) -> str:
        """Which binding allows something, in the servers' words, or, where none does, which roles
        that bindings refer to are not there; "" for none.
        """
        missing: list[str] = []
        for (where, name), binding in sorted(self.bindings.items()):
            if where not in ("", attributes.namespace):
                continue
            subject = next(
                (
                    subject
                    for subject in binding.get("subjects") or ()
                    if subject_is(subject, attributes.user, where)
                ),
                None,
            )
            reference = binding.get("roleRef") or {}
            if subject is None:
                continue
            if not self._has(reference, where):
                missing.append(_not_found(reference))
            if any(rule.allows(attributes) for rule in self.rules_of_reference(reference, where)):
                bound = f'RoleBinding "{name}/{where}"' if where else f'ClusterRoleBinding "{name}"'
                return (
                    f'RBAC: allowed by {bound} of {reference["kind"]} "{reference["name"]}" to '
                    f"{_called(subject, where)}"
                )
        return f"RBAC: {_listed(missing)}" if missing else ""

    def missing(self, user: User, namespace: str) -> str:
        """Which roles that bindings of a user refer to are not there; "" for none."""
        missing = []
        for (where, _), binding in sorted(self.bindings.items()):
            reference = binding.get("roleRef") or {}
            if (
                where in ("", namespace)
                and not self._has(reference, where)
                and any(
                    subject_is(subject, user, where) for subject in binding.get("subjects") or ()
                )
            ):
                missing.append(_not_found(reference))
        return _listed(missing)

    def _has(self, reference: dict[str, Any], namespace: str) -> bool:
        where = namespace if reference.get("kind") == "Role" else ""
        return (where, reference.get("name", "")) in self.roles


def _not_found(reference: dict[str, Any]) -> str:
    return f'{reference.get("kind", "").lower()}.{_GROUP} "{reference.get("name", "")}" not found'


def _listed(errors: list[str]) -> str:
    return errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]" if errors else ""


def covers(owned: Iterable[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The parts of the wanted rules that the owned ones do not allow, one verb and resource at a
    time.
    """
    rules = list(owned)
    return [
        part
        for rule in wanted
        for part in _parts(rule)
        if not any(_includes(owner, part) for owner in rules)
    ]


def _parts(rule: Rule) -> list[Rule]:
    """A rule taken apart into rules of one verb, group, resource and name each."""
    parts = [Rule((verb,), paths=(path,)) for verb in rule.verbs for path in rule.paths]
    names: tuple[tuple[str, ...], ...] = tuple((name,) for name in rule.names) or ((),)
    parts += [
        Rule((verb,), (group,), (resource,), name)
        for verb in rule.verbs
        for group in rule.groups
        for resource in rule.resources
        for name in names
    ]
    return parts


def _includes(owner: Rule, part: Rule) -> bool:
    if "*" not in owner.verbs and part.verbs[0] not in owner.verbs:
        return False
    if part.paths:
        return any(_path_matches(pattern, part.paths[0]) for pattern in owner.paths)
    resource, _, sub = part.resources[0].partition("/")
    return (
        ("*" in owner.groups or part.groups[0] in owner.groups)
        and ("*" in owner.resources or _resource_matches(owner.resources, resource, sub))
        and (not owner.names or bool(part.names and part.names[0] in owner.names))
    )


def aggregated(
    role: dict[str, Any], roles: Iterable[dict[str, Any]]
) -> list[dict[str, Any]] | None:
    """The rules that a ClusterRole with an aggregationRule shall have; None for one without."""
    wanted = role.get("aggregationRule")
    if not wanted:
        return None
    questions = [matcher(selector) for selector in wanted.get("clusterRoleSelectors") or ()]
    combined: list[dict[str, Any]] = []
    for candidate in sorted(roles, key=lambda one: str(one["metadata"]["name"])):
        labels = candidate["metadata"].get("labels") or {}
        if candidate["metadata"]["name"] != role["metadata"]["name"] and any(
            question(labels) for question in questions
        ):
            combined += [rule for rule in candidate.get("rules") or () if rule not in combined]
    return combined
