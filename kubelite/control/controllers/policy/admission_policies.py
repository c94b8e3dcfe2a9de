"""ValidatingAdmissionPolicies: whether their expressions fit the kinds that they are about. Pure.

After kubernetes, ``pkg/controller/validatingadmissionpolicystatus`` and the type checker of
``apiserver/pkg/admission/plugin/policy/validating``. A policy whose expressions do not fit works
all the same: its status warns whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubelite.client.resources import VALIDATING_ADMISSION_POLICIES
from kubelite.control.controllers.actions import NOTHING, Plan, Update
from kubelite.control.controllers.controller import Controller, own_key
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    generation_of,
    spec_of,
    status_of,
    with_type,
)
from kubelite.control.controllers.view import View
from kubelite.objects.cel import checker, environments
from kubelite.objects.cel.syntax import UnreadableExpression
from kubelite.objects.facts import schema
from kubelite.objects.facts.kinds import KINDS, Kind

MOST_KINDS = 10
"""Of a policy about more kinds only so many are looked at."""


def plan(view: View, key: Key, now: float) -> Plan:
    """Writes down what the expressions of a policy are warned of, once for each generation."""
    del now
    policy = view.get(VALIDATING_ADMISSION_POLICIES, "", key[1])
    if policy is None or status_of(policy).get("observedGeneration") == generation_of(policy):
        return NOTHING
    warnings = [
        {"fieldRef": field, "warning": warning}
        for field, expression in _expressions(spec_of(policy))
        if (warning := warning_of(spec_of(policy), expression))
    ]
    status = {
        **status_of(policy),
        "observedGeneration": generation_of(policy),
        "typeChecking": {"expressionWarnings": warnings} if warnings else {},
    }
    body = with_type(policy, VALIDATING_ADMISSION_POLICIES.api_version, "ValidatingAdmissionPolicy")
    return Plan((Update(VALIDATING_ADMISSION_POLICIES, {**body, "status": status}, "status"),))


def _expressions(spec: Obj) -> Iterator[tuple[str, str]]:
    """The expressions that are looked at, and where they stand."""
    for index, validation in enumerate(spec.get("validations") or ()):
        for field in ("expression", "messageExpression"):
            if expression := validation.get(field):
                yield f"spec.validations[{index}].{field}", expression


def warning_of(spec: Obj, expression: str) -> str:
    """What is wrong with an expression of a policy for each kind that it is about; "" for
    nothing.
    """
    reports = []
    for kind in kinds_of(spec):
        about = environments.of_definition(
            schema.name_of(kind.group, kind.version, kind.kind) or ""
        )
        try:
            problems = checker.check(expression, environments.policy(spec, about=about)).problems
        except UnreadableExpression:
            return ""
        if problems:
            named = f"{kind.group}/{kind.version}, Kind={kind.kind}"
            reports.append(f"{named}: {checker.report(expression, problems)}\n")
    return "\n".join(reports)


def kinds_of(spec: Obj) -> list[Kind]:
    """The built-in kinds that a policy names one by one; what it says with ``*`` is not looked
    at.
    """
    rules = (spec.get("matchConstraints") or {}).get("resourceRules") or ()
    wanted = {
        (group, version, resource)
        for rule in rules
        for group in rule.get("apiGroups") or ()
        for version in rule.get("apiVersions") or ()
        for resource in rule.get("resources") or ()
    }
    kinds = [kind for kind in KINDS if (kind.group, kind.version, kind.plural) in wanted]
    return sorted(kinds, key=lambda kind: (kind.group, kind.version, kind.kind))[:MOST_KINDS]


VALIDATING_ADMISSION_POLICY_STATUS_CONTROLLER = Controller(
    "validatingadmissionpolicy-status-controller",
    "validatingadmissionpolicy-status-controller",
    "controllermanager",
    {VALIDATING_ADMISSION_POLICIES: own_key},
    plan,
)
