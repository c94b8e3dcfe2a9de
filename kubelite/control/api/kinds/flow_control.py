"""FlowSchemas and PriorityLevelConfigurations: which requests share which part of the server. Pure.

Defaults and rules are those of ``flowcontrol.apiserver.k8s.io/v1``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.tables.columns import columns, integer
from kubelite.control.api.tables.text import age_of, lookup, name_of
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

_DEFAULT_PRECEDENCE, _MAX_PRECEDENCE = 1000, 10000
_DEFAULT_SHARES = 30
_QUEUES, _HAND, _QUEUE_LENGTH = 64, 8, 50
_DISTINGUISHERS = ("ByNamespace", "ByUser")


def _default_schema(obj: Any) -> None:
    obj.spec.matchingPrecedence = obj.spec.matchingPrecedence or _DEFAULT_PRECEDENCE


def _default_level(obj: Any) -> None:
    limited = obj.spec.limited
    if limited is not None:
        if limited.nominalConcurrencyShares is None:
            limited.nominalConcurrencyShares = _DEFAULT_SHARES
        if limited.lendablePercent is None:
            limited.lendablePercent = 0
        queuing = limited.limitResponse.queuing
        if queuing is not None:
            queuing.queues = queuing.queues or _QUEUES
            queuing.handSize = queuing.handSize or _HAND
            queuing.queueLengthLimit = queuing.queueLengthLimit or _QUEUE_LENGTH
    if obj.spec.exempt is not None:
        exempt = obj.spec.exempt
        exempt.nominalConcurrencyShares = exempt.nominalConcurrencyShares or 0
        exempt.lendablePercent = exempt.lendablePercent or 0


def _check_schema(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    precedence, name = spec.get("matchingPrecedence", 0), lookup(obj, "metadata.name", "")
    if not 0 < precedence <= _MAX_PRECEDENCE:
        why = f"must not be greater than {_MAX_PRECEDENCE}"
        yield causes.invalid("spec.matchingPrecedence", precedence, why)
    if precedence == 1 and name != "exempt":
        why = "only the schema named 'exempt' may have matchingPrecedence 1"
        yield causes.invalid("spec.matchingPrecedence", precedence, why)
    method = (spec.get("distinguisherMethod") or {}).get("type")
    if method is not None and method not in _DISTINGUISHERS:
        yield causes.unsupported(
            "spec.distinguisherMethod", spec["distinguisherMethod"], _DISTINGUISHERS
        )
    if not (spec.get("priorityLevelConfiguration") or {}).get("name"):
        why = "must reference a priority level"
        yield causes.required("spec.priorityLevelConfiguration.name", why)
    for index, rule in enumerate(spec.get("rules") or ()):
        yield from _check_rule(rule, f"spec.rules[{index}]")


def _check_rule(rule: Object, path: str) -> Iterator[Cause]:
    if not rule.get("subjects"):
        yield causes.required(f"{path}.subjects", "subjects must contain at least one value")
    for index, subject in enumerate(rule.get("subjects") or ()):
        yield from _check_subject(subject, f"{path}.subjects[{index}]")
    if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
        why = "at least one of resourceRules and nonResourceRules has to be non-empty"
        yield causes.required(path, why)
    for index, resource_rule in enumerate(rule.get("resourceRules") or ()):
        where = f"{path}.resourceRules[{index}]"
        for field in ("verbs", "apiGroups", "resources"):
            if not resource_rule.get(field):
                yield causes.required(
                    f"{where}.{field}", f"{field} must contain at least one value"
                )
        if not resource_rule.get("namespaces") and not resource_rule.get("clusterScope"):
            why = "resource rules that are not cluster scoped must supply at least one namespace"
            yield causes.required(f"{where}.namespaces", why)


def _check_subject(subject: Object, path: str) -> Iterator[Cause]:
    field = {"User": "user", "Group": "group", "ServiceAccount": "serviceAccount"}.get(
        subject.get("kind", "")
    )
    if field is None:
        kinds = ("Group", "ServiceAccount", "User")
        yield causes.unsupported(f"{path}.kind", subject.get("kind", ""), kinds)
    elif not (subject.get(field) or {}).get("name"):
        yield causes.required(f"{path}.{field}.name")


def _check_level(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    kind, name = spec.get("type", ""), lookup(obj, "metadata.name", "")
    if kind not in ("Exempt", "Limited"):
        yield causes.unsupported("spec.type", kind, ("Exempt", "Limited"))
    if (name == "exempt") != (kind == "Exempt"):
        why = "must be 'Exempt' if and only if the name is 'exempt'"
        yield causes.invalid("spec.type", kind, why)
    if kind == "Exempt" and spec.get("limited"):
        yield causes.forbidden("spec.limited", "must be nil if the type is not Limited")
    if kind == "Limited" and not spec.get("limited"):
        yield causes.required("spec.limited", "must not be empty when type is Limited")
    if kind == "Limited" and spec.get("exempt"):
        yield causes.forbidden("spec.exempt", "must be nil if the type is Limited")
    if spec.get("limited"):
        yield from _check_limited(spec["limited"], "spec.limited")


def _check_limited(limited: Object, path: str) -> Iterator[Cause]:
    shares, lendable = limited.get("nominalConcurrencyShares", 0), limited.get("lendablePercent", 0)
    if shares < 0:
        why = "must be a non-negative integer"
        yield causes.invalid(f"{path}.nominalConcurrencyShares", shares, why)
    if not 0 <= lendable <= 100:
        why = "must be between 0 and 100, inclusive"
        yield causes.invalid(f"{path}.lendablePercent", lendable, why)
    if limited.get("borrowingLimitPercent", 0) < 0:
        value = limited["borrowingLimitPercent"]
        why = "if specified, must be a non-negative integer"
        yield causes.invalid(f"{path}.borrowingLimitPercent", value, why)
    response = limited.get("limitResponse") or {}
    where, kind = f"{path}.limitResponse", response.get("type", "")
    if kind not in ("Queue", "Reject"):
        yield causes.unsupported(f"{where}.type", kind, ("Queue", "Reject"))
    if kind == "Queue" and not response.get("queuing"):
        why = "must not be empty if and only if type is 'Queue'"
        yield causes.required(f"{where}.queuing", why)
    if kind == "Reject" and response.get("queuing"):
        why = "must be nil if type is not Queue"
        yield causes.forbidden(f"{where}.queuing", why)
    queuing = response.get("queuing") or {}
    for field in ("queues", "handSize", "queueLengthLimit"):
        if queuing and queuing.get(field, 0) <= 0:
            yield causes.invalid(
                f"{where}.queuing.{field}", queuing.get(field, 0), "must be positive"
            )
    if queuing.get("handSize", 0) > queuing.get("queues", 0):
        why = f"should not be greater than queues ({queuing.get('queues', 0)})"
        yield causes.invalid(f"{where}.queuing.handSize", queuing["handSize"], why)


def _schema_cells(obj: Object, now: datetime) -> list[Any]:
    conditions = lookup(obj, "status.conditions", [])
    dangling = {condition.get("type"): condition.get("status") for condition in conditions}.get(
        "Dangling", "?"
    )
    return [
        name_of(obj),
        lookup(obj, "spec.priorityLevelConfiguration.name"),
        lookup(obj, "spec.matchingPrecedence"),
        lookup(obj, "spec.distinguisherMethod.type") or "<none>",
        age_of(obj, now),
        dangling,
    ]


def _level_cells(obj: Object, now: datetime) -> list[Any]:
    spec = lookup(obj, "spec", {})
    limited = spec.get("limited") or {}
    queuing = lookup(limited, "limitResponse.queuing", {})
    shown = [queuing.get(field, "<none>") for field in ("queues", "handSize", "queueLengthLimit")]
    shares = (limited or spec.get("exempt") or {}).get("nominalConcurrencyShares", "<none>")
    return [name_of(obj), spec.get("type", ""), shares, *shown, age_of(obj, now)]


_GROUP = "flowcontrol.apiserver.k8s.io"
KINDS: dict[tuple[str, str], Rules] = {
    (_GROUP, "FlowSchema"): Rules(
        defaults=_default_schema,
        check=_check_schema,
        has_generation=True,
        cells=_schema_cells,
        columns=columns(
            "Name",
            "PriorityLevel",
            integer("MatchingPrecedence"),
            "DistinguisherMethod",
            "Age",
            "MissingPL",
        ),
    ),
    (_GROUP, "PriorityLevelConfiguration"): Rules(
        defaults=_default_level,
        check=_check_level,
        has_generation=True,
        cells=_level_cells,
        columns=columns(
            "Name",
            "Type",
            "NominalConcurrencyShares",
            "Queues",
            "HandSize",
            "QueueLengthLimit",
            "Age",
        ),
    ),
}
