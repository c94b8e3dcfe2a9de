"""ValidatingAdmissionPolicies and MutatingAdmissionPolicies, enforced (apiserver,
``admission/plugin/policy``).

A binding turns a policy on, with parameters and, for validating ones, with what a failure does:
Deny, Warn or Audit.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from kubelite.control.api.admission.dynamic import matching
from kubelite.control.api.admission.dynamic.expressions import EvaluationError, Scope, all_hold
from kubelite.control.api.admission.dynamic.review import (
    admission_request,
    as_version,
    namespace_of,
)
from kubelite.control.api.patching import apply_merge, json_patch
from kubelite.control.api.schema import ownership_shape
from kubelite.control.api.strategy import strategy
from kubelite.control.api.wire.documents import copy, load
from kubelite.control.api.wire.selectors import matcher
from kubelite.control.api.wire.status import Cause, StatusError, details
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kubelite.control.api.admission.chain import Attempt
    from kubelite.control.api.admission.dynamic.configured import Configured
    from kubelite.control.api.wire.resource import Resource

_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}
_NOTE = "validation.policy.admission.k8s.io/validation_failure"


async def validate(configured: Configured, attempt: Attempt, write: matching.Write) -> None:
    """Evaluates all validating policies. Raises StatusError for the first that denies."""
    for binding in configured.all("validatingadmissionpolicybindings"):
        kind, name = "validatingadmissionpolicies", binding["spec"]["policyName"]
        policy = configured.policy(kind, name)
        if policy is None:
            continue
        namespaced = configured.asks_for_namespace(kind, name)
        try:
            async for scope in _scopes(attempt, write, policy, binding, namespaced):
                _judge(attempt, policy, binding, scope)
        except EvaluationError as error:
            if policy["spec"].get("failurePolicy", "Fail") == "Fail":
                _fail(attempt, policy, binding, {}, str(error))


def _judge(attempt: Attempt, policy: Object, binding: Object, scope: Scope) -> None:
    """The validations of a policy for one set of parameters. Raises StatusError,
    EvaluationError.
    """
    spec = policy["spec"]
    for validation in spec.get("validations") or ():
        expression = validation["expression"]
        try:
            if scope.holds(expression):
                continue
        except EvaluationError as error:
            if spec.get("failurePolicy", "Fail") == "Ignore":
                continue
            text = f"expression '{expression.strip()}' resulted in error: {error}"
            _fail(attempt, policy, binding, validation, text)
            continue
        message = (
            (validation.get("messageExpression") and scope.text(validation["messageExpression"]))
            or validation.get("message", "").strip()
            or f"failed expression: {expression.strip()}"
        )
        _fail(attempt, policy, binding, validation, message)
    for annotation in spec.get("auditAnnotations") or ():
        if value := scope.text(annotation["valueExpression"]):
            attempt.request.notes[f"{policy['metadata']['name']}/{annotation['key']}"] = value


def _fail(attempt: Attempt, policy: Object, binding: Object, validation: Object, text: str) -> None:
    """Does what the binding says about a failure. Raises StatusError where that is Deny."""
    names = (policy["metadata"]["name"], binding["metadata"]["name"])
    actions = binding["spec"].get("validationActions") or ["Deny"]
    if "Warn" in actions:
        attempt.warnings.append(
            f"Validation failed for ValidatingAdmissionPolicy '{names[0]}' with binding "
            f"'{names[1]}': {text}"
        )
    if "Audit" in actions:
        attempt.request.notes[_NOTE] = f"{names[0]}/{names[1]}: {text}"
    if "Deny" in actions:
        raise denied(
            attempt,
            f"ValidatingAdmissionPolicy '{names[0]}' with binding '{names[1]}' denied request: "
            f"{text}",
            validation.get("reason") or "Invalid",
            text,
        )


def denied(attempt: Attempt, why: str, reason: str, cause: str) -> StatusError:
    """The refusal of a policy, in the servers' words."""
    res = attempt.request.resource
    message = f'{res.group_resource} "{attempt.name}" is forbidden: {why}'
    filled = details(res, attempt.name, causes=[Cause("", cause)])
    return StatusError(_CODES.get(reason, 422), reason, message, filled)


async def mutate(configured: Configured, attempt: Attempt, write: matching.Write) -> None:
    """Carries out all mutating policies, in the order of their bindings. Raises StatusError."""
    for binding in configured.all("mutatingadmissionpolicybindings"):
        kind, name = "mutatingadmissionpolicies", binding["spec"]["policyName"]
        policy = configured.policy(kind, name)
        if policy is None:
            continue
        namespaced = configured.asks_for_namespace(kind, name)
        try:
            async for scope in _scopes(attempt, write, policy, binding, namespaced):
                for mutation in policy["spec"].get("mutations") or ():
                    attempt.obj = _mutated(attempt, mutation, scope)
        except EvaluationError as error:
            if policy["spec"].get("failurePolicy", "Fail") == "Fail":
                names = (policy["metadata"]["name"], binding["metadata"]["name"])
                why = (
                    f"MutatingAdmissionPolicy '{names[0]}' with binding '{names[1]}' denied "
                    f"request: {error}"
                )
                raise denied(attempt, why, "Invalid", str(error)) from error


def _mutated(attempt: Attempt, mutation: Object, scope: Scope) -> Object:
    """The object after one mutation, conforming to its kind. Raises EvaluationError."""
    res = attempt.request.resource
    patch = mutation.get("jsonPatch") or mutation.get("applyConfiguration") or {}
    value = scope.evaluate(patch.get("expression", ""))
    try:
        if mutation.get("jsonPatch"):
            changed = json_patch.apply(attempt.obj, value)
        elif isinstance(value, dict):
            changed = apply_merge.merge(ownership_shape.of(res), copy(attempt.obj), value)
        else:
            raise EvaluationError("an apply configuration must be an Object")
        conformed, _ = strategy.conform(res, changed, old=attempt.old)
    except StatusError as error:
        raise EvaluationError(str(error)) from error
    return conformed


async def _scopes(
    attempt: Attempt, write: matching.Write, policy: Object, binding: Object, namespaced: bool
) -> AsyncIterator[Scope]:
    """The names for a policy's expressions, once for each object of parameters; nothing where the
    policy is not about the write. ``namespaced``: expressions may name the namespace's object.
    Raises StatusError, EvaluationError.
    """
    spec = policy["spec"]
    matched = _matched(attempt, write, spec.get("matchConstraints") or {})
    if matched is None:
        return
    resources = binding["spec"].get("matchResources")
    if resources is not None and _matched(attempt, write, resources) is None:
        return
    names: Object = {
        "object": partial(as_version, attempt.obj or None, matched),
        "oldObject": partial(as_version, attempt.old, matched),
        "request": partial(request_of, attempt, matched),
        "namespaceObject": await _namespace_object(attempt) if namespaced else None,
        "params": None,
    }
    if not all_hold(spec.get("matchConditions"), Scope(names, spec.get("variables"))):
        return
    for params in await _params(attempt, spec, binding["spec"]):
        yield Scope({**names, "params": params}, spec.get("variables"))


def request_of(attempt: Attempt, matched: Resource) -> Object:
    """What expressions may name as ``request``."""
    return {**admission_request(attempt, matched), "object": None, "oldObject": None}


def _matched(attempt: Attempt, write: matching.Write, resources: Object) -> Resource | None:
    """The resource as which matchResources match a write; None for no match."""
    if not matching.selectors_match(
        resources.get("namespaceSelector"), resources.get("objectSelector"), write
    ):
        return None
    versions = partial(versions_of, attempt)
    policy = resources.get("matchPolicy") or "Equivalent"
    if matching.matched_resource(
        resources.get("excludeResourceRules") or (), policy, write, versions
    ):
        return None
    rules = resources.get("resourceRules")
    if not rules:
        return write.resource
    return matching.matched_resource(rules, policy, write, versions)


def versions_of(attempt: Attempt) -> list[Resource]:
    """Every version of the resource that a write is about."""
    res = attempt.request.resource
    return [
        resource
        for resource in attempt.context.registry.all()
        if (resource.group, resource.plural) == (res.group, res.plural)
    ]


async def _namespace_object(attempt: Attempt) -> Object | None:
    name = namespace_of(attempt)
    entry = await attempt.context.store.get("namespaces", "", name) if name else None
    return load(entry) if entry is not None else None


async def _params(attempt: Attempt, spec: Object, binding: Object) -> list[Object | None]:
    """The objects of parameters that a binding refers to. Raises EvaluationError."""
    kind, reference = spec.get("paramKind"), binding.get("paramRef")
    if not kind or not reference:
        return [None]
    res = next(
        (
            resource
            for resource in attempt.context.registry.all()
            if (resource.gv, resource.kind) == (kind["apiVersion"], kind["kind"])
        ),
        None,
    )
    if res is None:
        raise EvaluationError(f"failed to find resource referenced by paramKind: {kind['kind']}")
    namespace = ""
    if res.namespaced:
        namespace = reference.get("namespace") or attempt.namespace
    params: list[Object | None] = []
    if reference.get("name"):
        entry = await attempt.context.store.get(res.prefix, namespace, reference["name"])
        params = [strategy.served(res, load(entry))] if entry is not None else []
    else:
        question = matcher(reference.get("selector") or {})
        page = await attempt.context.store.page(res.prefix, namespace)
        objects = [strategy.served(res, load(entry)) for entry in page.entries]
        params = [
            candidate
            for candidate in objects
            if question(candidate["metadata"].get("labels") or {})
        ]
    if not params and (reference.get("parameterNotFoundAction") or "Deny") == "Deny":
        raise EvaluationError(
            "no params found for policy binding with `Deny` parameterNotFoundAction"
        )
    return params
