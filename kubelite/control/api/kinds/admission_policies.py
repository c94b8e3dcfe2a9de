"""Policies of admission, validating and mutating, and their bindings. Pure.

Rules are those of Kubernetes' ``pkg/apis/admissionregistration/validation``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.control.api.kinds.common import matching, metadata
from kubelite.control.api.kinds.common.checks import check_dns_name
from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.tables.columns import columns, integer
from kubelite.control.api.tables.text import UNSET, age_of, lookup, name_of
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.cel import environments, types
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Cells = list[Any]
GROUP = "admissionregistration.k8s.io"
_ACTIONS = ("Audit", "Deny", "Warn")
_NOT_FOUND_ACTIONS = ("Deny", "Allow")
_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_REINVOCATION = ("IfNeeded", "Never")
_PATCHES = {
    "ApplyConfiguration": ("applyConfiguration", types.Type("Object")),
    "JSONPatch": ("jsonPatch", types.list_of(types.Type("JSONPatch"))),
}
_MUTATED = ("*", "CREATE", "UPDATE", "CONNECT")
_MAX_ANNOTATIONS = 20
_MAX_VALUE_EXPRESSION = 5 << 10  # bytes


def _default_policy(obj: Any) -> None:
    spec = obj.spec
    spec.failurePolicy = "Fail" if spec.failurePolicy is None else spec.failurePolicy
    if spec.matchConstraints is not None:
        _default_match(spec.matchConstraints)


def _default_binding(obj: Any) -> None:
    if obj.spec.matchResources is not None:
        _default_match(obj.spec.matchResources)


def _default_match(match: Any) -> None:
    matching.default_selection(match)
    matching.default_rules(match.resourceRules)
    matching.default_rules(match.excludeResourceRules)


def _check_match(match: Object, path: str) -> Iterator[Cause]:
    yield from matching.check_selection(match, path)
    for field in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(match.get(field) or ()):
            where, named = f"{path}.{field}[{index}]", rule.get("resourceNames") or []
            for number, name in enumerate(named):
                for problem in names.path_segment(name):
                    yield causes.invalid(f"{where}.resourceNames[{number}]", name, problem)
                if name in named[:number]:
                    yield causes.duplicate(f"{where}.resourceNames[{number}]", name)
            yield from matching.check_rule(rule, where)


def _check_common(spec: Object) -> Iterator[Cause]:
    """What policies of both sorts have."""
    yield from matching.check_failure_policy(spec, "spec")
    if (kind := spec.get("paramKind")) is not None:
        yield from _check_param_kind(kind, "spec.paramKind")
    match = spec.get("matchConstraints")
    if match is None:
        yield causes.required("spec.matchConstraints")
    else:
        yield from _check_match(match, "spec.matchConstraints")
        if not match.get("resourceRules"):
            yield causes.required("spec.matchConstraints.resourceRules")
    yield from matching.check_conditions(
        spec.get("matchConditions") or [],
        "spec.matchConditions",
        has_params=environments.has_params(spec),
    )
    yield from _check_variables(spec)


def _check_param_kind(kind: Object, path: str) -> Iterator[Cause]:
    version, name = kind.get("apiVersion", ""), kind.get("kind", "")
    if not version:
        yield causes.required(f"{path}.apiVersion")
    elif version.count("/") > 1:
        why = f"unexpected GroupVersion string: {version}"
        yield causes.invalid(f"{path}.apiVersion", version, why)
    else:
        group, _, short = version.rpartition("/")
        for problem in names.subdomain(group) if group else ():
            yield causes.invalid(f"{path}.apiVersion", group, problem)
        for problem in names.label_1035(short):
            yield causes.invalid(f"{path}.apiVersion", short, problem)
    if not name:
        yield causes.required(f"{path}.kind")
    elif problems := names.label_1035(name.lower()):
        why = f"may have mixed case, but should otherwise match: {problems[0]}"
        yield causes.invalid(f"{path}.kind", name, why)


def _check_variables(spec: Object) -> Iterator[Cause]:
    has_params, known = environments.has_params(spec), environments.policies_variables(spec)
    for index, variable in enumerate(spec.get("variables") or ()):
        path, name = f"spec.variables[{index}]", variable.get("name", "")
        if not name.strip():
            yield causes.required(f"{path}.name", "name is not specified")
        elif not environments.IDENTIFIER.fullmatch(name):
            yield causes.invalid(f"{path}.name", name, "name is not a valid CEL identifier")
        yield from matching.check_expression(
            variable.get("expression", ""),
            f"{path}.expression",
            environments.admission(has_params=has_params, variables=next(known)),
            why="expression is not specified",
        )


def _check_validating_policy(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    yield from _check_common(spec)
    validations, annotations = spec.get("validations") or [], spec.get("auditAnnotations") or []
    if not validations and not annotations:
        why = "validations or auditAnnotations must contain at least one item"
        yield causes.required("spec.validations", why)
        yield causes.required("spec.auditAnnotations", why)
    for index, validation in enumerate(validations):
        yield from _check_validation(validation, f"spec.validations[{index}]", spec)
    if len(annotations) > _MAX_ANNOTATIONS:
        why = f"must not have more than {_MAX_ANNOTATIONS} auditAnnotations"
        yield causes.invalid("spec.auditAnnotations", annotations, why)
    keys_taken: set[str] = set()
    policy = (obj.get("metadata") or {}).get("name", "")
    for index, annotation in enumerate(annotations):
        path, key = f"spec.auditAnnotations[{index}]", annotation.get("key", "")
        yield from _check_annotation_key(policy, key, f"{path}.key")
        yield from _check_annotation_value(
            annotation.get("valueExpression", "").strip(), f"{path}.valueExpression", spec
        )
        if key in keys_taken:
            yield causes.duplicate(f"{path}.key", key)
        keys_taken.add(key)


def _check_annotation_key(policy: str, key: str, path: str) -> Iterator[Cause]:
    """It stands in the audit log behind the name of its policy."""
    if not policy:
        yield causes.invalid(path, key, "requires metadata.name be non-empty")
        return
    for problem in names.qualified(f"{policy}/{key}"):
        yield causes.invalid(path, f"{policy}/{key}", problem)


def _check_annotation_value(expression: str, path: str, spec: Object) -> Iterator[Cause]:
    if len(expression.encode()) > _MAX_VALUE_EXPRESSION:
        why = f"must not exceed {_MAX_VALUE_EXPRESSION} bytes in length"
        yield causes.required(path, why)
        return
    yield from matching.check_expression(
        expression,
        path,
        environments.policy(spec),
        types.STRING,
        types.NULL,
        why="valueExpression is not specified",
    )


def _check_validation(validation: Object, path: str, spec: Object) -> Iterator[Cause]:
    expression = validation.get("expression", "")
    message = validation.get("message", "")
    yield from matching.check_expression(
        expression,
        f"{path}.expression",
        environments.policy(spec),
        types.BOOL,
        why="expression is not specified",
    )
    template, where = validation.get("messageExpression", ""), f"{path}.messageExpression"
    if template and not template.strip():
        yield causes.invalid(where, template, "must be non-empty if specified")
    elif template:
        known = environments.policy(spec, authorizer=False)
        yield from matching.check_expression(template, where, known, types.STRING)
    if message and not message.strip():
        yield causes.invalid(f"{path}.message", message, "message must be non-empty if specified")
    elif "\n" in message.strip():
        yield causes.invalid(f"{path}.message", message, "message must not contain line breaks")
    reason = validation.get("reason")
    if reason is not None and reason not in _REASONS:
        yield causes.unsupported(f"{path}.reason", reason, _REASONS)


def _check_mutating_policy(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    yield from _check_common(spec)
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
        for operation in rule.get("operations") or ():
            if operation not in _MUTATED:
                where = "spec.matchConstraints.resourceRules.operations"
                yield causes.unsupported(where, operation, _MUTATED)
    mutations = spec.get("mutations") or ()
    if not mutations:
        yield causes.required("spec.mutations", "mutations must contain at least one item")
    for index, mutation in enumerate(mutations):
        yield from _check_mutation(mutation, f"spec.mutations[{index}]", spec)
    again = spec.get("reinvocationPolicy", "")
    if not again:
        yield causes.required("spec.reinvocationPolicy")
    elif again not in _REINVOCATION:
        yield causes.unsupported("spec.reinvocationPolicy", again, _REINVOCATION)


def _check_mutation(mutation: Object, path: str, spec: Object) -> Iterator[Cause]:
    kind = mutation.get("patchType", "")
    if not kind:
        yield causes.required(f"{path}.patchType")
    elif kind not in _PATCHES:
        yield causes.unsupported(f"{path}.patchType", kind, tuple(_PATCHES))
    for patch, (field, wanted) in _PATCHES.items():
        given = mutation.get(field)
        if patch != kind:
            if given is not None and kind in _PATCHES:
                why = f"must not be specified when patchType is {kind}"
                yield causes.invalid(f"{path}.{field}", given, why)
        elif given is None:
            why = f"must be specified when patchType is {kind}"
            yield causes.required(f"{path}.{field}", why)
        else:
            yield from matching.check_expression(
                given.get("expression", ""),
                f"{path}.{field}.expression",
                environments.policy(spec),
                wanted,
            )


def _check_binding(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    policy = spec.get("policyName", "")
    if not policy:
        yield causes.required("spec.policyName")
    else:
        yield from check_dns_name(policy, "spec.policyName")
    if (reference := spec.get("paramRef")) is not None:
        yield from _check_param_reference(reference, "spec.paramRef")
    if (match := spec.get("matchResources")) is not None:
        yield from _check_match(match, "spec.matchResources")


def _check_param_reference(reference: Object, path: str) -> Iterator[Cause]:
    name, selector = reference.get("name", ""), reference.get("selector")
    for problem in names.path_segment(name):
        yield causes.invalid(f"{path}.name", name, problem)
    if name and selector is not None:
        for field in ("name", "selector"):
            yield causes.forbidden(f"{path}.{field}", "name and selector are mutually exclusive")
    elif selector is not None:
        yield from metadata.selector(selector, f"{path}.selector")
    elif not name:
        yield causes.required(path, "one of name or selector must be specified")
    action = reference.get("parameterNotFoundAction")
    if not action:
        yield causes.required(f"{path}.parameterNotFoundAction")
    elif action not in _NOT_FOUND_ACTIONS:
        where = f"{path}.parameterNotFoundAction"
        yield causes.unsupported(where, action, _NOT_FOUND_ACTIONS)


def _check_validating_binding(obj: Object) -> Iterator[Cause]:
    yield from _check_binding(obj)
    path, actions = "spec.validationActions", (obj.get("spec") or {}).get("validationActions") or []
    if not actions:
        yield causes.required(path, "at least one validation action is required")
    for index, action in enumerate(actions):
        if action not in _ACTIONS:
            yield causes.unsupported(f"{path}[{index}]", action, _ACTIONS)
        elif action in actions[:index]:
            yield causes.duplicate(f"{path}[{index}]", action)
    if {"Deny", "Warn"} <= set(actions):
        why = (
            "must not contain both Deny and Warn (repeating the same validation failure "
            "information in the API response and headers serves no purpose)"
        )
        yield causes.invalid(path, actions, why)


def _policy_cells(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    kind = spec.get("paramKind")
    shown = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else UNSET
    rules = spec.get("validations") or spec.get("mutations") or ()
    return [name_of(obj), len(rules), shown, age_of(obj, now)]


def _binding_cells(obj: Object, now: datetime) -> Cells:
    reference = lookup(obj, "spec.paramRef")
    where = UNSET
    if reference:
        where = f"{reference.get('namespace') or '*'}/{reference.get('name', '')}"
    return [name_of(obj), lookup(obj, "spec.policyName", ""), where, age_of(obj, now)]


_OWN = tuple(
    f"admissionregistration.v1.{name}.*"
    for name in (
        "AuditAnnotation",
        "MatchCondition",
        "Validation",
        "Variable",
        "ValidatingAdmissionPolicyBindingSpec",
        "MutatingAdmissionPolicySpec",
        "Mutation",
    )
)
_BINDING = Rules(
    any_finalizer=True,
    defaults=_default_binding,
    check=_check_binding,
    columns=columns("Name", "PolicyName", "ParamRef", "Age"),
    cells=_binding_cells,
    has_generation=True,
    unconditional_update=False,
)
KINDS: dict[tuple[str, str], Rules] = {
    (GROUP, "ValidatingAdmissionPolicy"): Rules(
        any_finalizer=True,
        status_metadata=(),
        defaults=_default_policy,
        check=_check_validating_policy,
        columns=columns("Name", integer("Validations"), "ParamKind", "Age"),
        cells=_policy_cells,
        has_generation=True,
        unconditional_update=False,
        may_be_empty=_OWN,
    ),
    (GROUP, "ValidatingAdmissionPolicyBinding"): msgspec.structs.replace(
        _BINDING, check=_check_validating_binding
    ),
    (GROUP, "MutatingAdmissionPolicy"): Rules(
        any_finalizer=True,
        defaults=_default_policy,
        check=_check_mutating_policy,
        columns=columns("Name", integer("Mutations"), "ParamKind", "Age"),
        cells=_policy_cells,
        has_generation=True,
        unconditional_update=False,
    ),
    (GROUP, "MutatingAdmissionPolicyBinding"): _BINDING,
}
