"""Which requests are written to the audit log, and how much of each. Pure.

The form of a policy and of an event is that of ``audit.k8s.io/v1``: the first rule that fits a
request decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubelite.control.api.wire.attributes import AuditAttributes

LEVELS = ("None", "Metadata", "Request", "RequestResponse")
Object = dict[str, Any]


class PolicyError(ValueError):
    """The policy cannot be used; the message says where it is wrong."""


def read(policy: Any) -> list[Object]:
    """The rules of a policy. Raises PolicyError."""
    if (
        not isinstance(policy, dict)
        or policy.get("kind") != "Policy"
        or policy.get("apiVersion") != "audit.k8s.io/v1"
    ):
        raise PolicyError("want kind Policy of apiVersion audit.k8s.io/v1")
    rules = policy.get("rules")
    if not isinstance(rules, list) or not rules:
        raise PolicyError("rules: want at least one")
    for number, rule in enumerate(rules):
        if not isinstance(rule, dict) or rule.get("level") not in LEVELS:
            raise PolicyError(f"rules[{number}].level: want one of {', '.join(LEVELS)}")
    stages, bare = policy.get("omitStages") or [], bool(policy.get("omitManagedFields"))
    return [
        {
            **rule,
            "omitStages": [*stages, *(rule.get("omitStages") or ())],
            "omitManagedFields": rule.get("omitManagedFields", bare),
        }
        for rule in rules
    ]


def chosen(rules: list[Object], seen: AuditAttributes) -> Object:
    """The rule that decides how much of a request is written."""
    return next((rule for rule in rules if _fits(rule, seen)), {"level": "None"})


def _fits(rule: Object, seen: AuditAttributes) -> bool:
    if rule.get("users") and seen.user.name not in rule["users"]:
        return False
    if rule.get("userGroups") and not set(rule["userGroups"]) & set(seen.user.groups):
        return False
    if rule.get("verbs") and seen.verb not in rule["verbs"]:
        return False
    if rule.get("namespaces") and (not seen.resource or seen.namespace not in rule["namespaces"]):
        return False
    if rule.get("nonResourceURLs"):
        return not seen.resource and any(
            _path_fits(each, seen.path) for each in rule["nonResourceURLs"]
        )
    return not rule.get("resources") or any(
        _resource_fits(each, seen) for each in rule["resources"]
    )


def _path_fits(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1]))


def _resource_fits(wanted: Object, seen: AuditAttributes) -> bool:
    if not seen.resource or wanted.get("group", "") != seen.group:
        return False
    if wanted.get("resourceNames") and seen.name not in wanted["resourceNames"]:
        return False
    whole = f"{seen.resource}/{seen.sub}" if seen.sub else seen.resource
    names = wanted.get("resources") or ("*",)
    return any(
        each in ("*", whole) or (bool(seen.sub) and each in (f"{seen.resource}/*", f"*/{seen.sub}"))
        for each in names
    )
