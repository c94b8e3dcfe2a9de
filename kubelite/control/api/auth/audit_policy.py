"""Which requests are written to the audit log, and how much of each. Pure.

The form of a policy and of an event is that of ``audit.k8s.io/v1``: the first rule that fits a
request decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.lib.json import Object

if TYPE_CHECKING:
    from kubelite.control.api.wire.attributes import AuditAttributes

LEVELS = ("None", "Metadata", "Request", "RequestResponse")


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


def rule_for(rules: list[Object], attributes: AuditAttributes) -> Object:
    """The rule that decides how much of a request is written."""
    return next((rule for rule in rules if _fits(rule, attributes)), {"level": "None"})


def _fits(rule: Object, attributes: AuditAttributes) -> bool:
    if rule.get("users") and attributes.user.name not in rule["users"]:
        return False
    if rule.get("userGroups") and not set(rule["userGroups"]) & set(attributes.user.groups):
        return False
    if rule.get("verbs") and attributes.verb not in rule["verbs"]:
        return False
    if rule.get("namespaces") and (
        not attributes.resource or attributes.namespace not in rule["namespaces"]
    ):
        return False
    if rule.get("nonResourceURLs"):
        return not attributes.resource and any(
            _path_fits(pattern, attributes.path) for pattern in rule["nonResourceURLs"]
        )
    return not rule.get("resources") or any(
        _resource_fits(resources, attributes) for resources in rule["resources"]
    )


def _path_fits(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1]))


def _resource_fits(wanted: Object, attributes: AuditAttributes) -> bool:
    if not attributes.resource or wanted.get("group", "") != attributes.group:
        return False
    if wanted.get("resourceNames") and attributes.name not in wanted["resourceNames"]:
        return False
    whole = f"{attributes.resource}/{attributes.sub}" if attributes.sub else attributes.resource
    names = wanted.get("resources") or ("*",)
    return any(
        resource in ("*", whole)
        or (
            bool(attributes.sub) and resource in (f"{attributes.resource}/*", f"*/{attributes.sub}")
        )
        for resource in names
    )
