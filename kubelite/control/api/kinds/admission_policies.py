"""Configurations of admission: webhooks, policies and their bindings. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.schema import structs
from kubelite.control.api.tables.columns import columns, integer
from kubelite.control.api.tables.text import (
    UNSET,
    age_of,
    lookup,
    name_of,
)

if TYPE_CHECKING:
    from datetime import datetime


Object = dict[str, Any]
Cells = list[Any]


def _default_webhooks(obj: Any) -> None:
    for hook in obj.webhooks:
        hook.failurePolicy = hook.failurePolicy or "Fail"
        hook.matchPolicy = hook.matchPolicy or "Equivalent"
        hook.namespaceSelector = hook.namespaceSelector or structs.new("meta.v1.LabelSelector")
        hook.objectSelector = hook.objectSelector or structs.new("meta.v1.LabelSelector")
        hook.timeoutSeconds = 10 if hook.timeoutSeconds is None else hook.timeoutSeconds
        if hasattr(hook, "reinvocationPolicy"):
            hook.reinvocationPolicy = hook.reinvocationPolicy or "Never"
        for rule in hook.rules:
            rule.scope = rule.scope or "*"
        if hook.clientConfig.service is not None:
            default_service_port(hook.clientConfig.service)


def default_service_port(service: Any) -> None:
    """The port of a service that the API server calls."""
    service.port = 443 if service.port is None else service.port


def _webhooks_cells(obj: Object, now: datetime) -> Cells:
    return [name_of(obj), len(obj.get("webhooks") or ()), age_of(obj, now)]


def _admission_policy_cells(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    given = spec.get("paramKind")
    shown = f"{given.get('apiVersion', '')}/{given.get('kind', '')}" if given else UNSET
    return [
        name_of(obj),
        len(spec.get("validations") or spec.get("mutations") or ()),
        shown,
        age_of(obj, now),
    ]


def _admission_binding_cells(obj: Object, now: datetime) -> Cells:
    given = lookup(obj, "spec.paramRef")
    where = f"{given.get('namespace') or '*'}/{given.get('name', '')}" if given else UNSET
    return [name_of(obj), lookup(obj, "spec.policyName", ""), where, age_of(obj, now)]


KINDS: dict[tuple[str, str], Rules] = {
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): Rules(
        defaults=_default_webhooks,
        columns=columns("Name", integer("Webhooks"), "Age"),
        cells=_webhooks_cells,
        has_generation=True,
        values={
            "admissionregistration.v1.MutatingWebhook": {
                "failurePolicy": ("Fail", "Ignore"),
                "matchPolicy": ("Equivalent", "Exact"),
                "sideEffects": ("None", "NoneOnDryRun"),
                "reinvocationPolicy": ("IfNeeded", "Never"),
            }
        },
    ),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): Rules(
        defaults=_default_webhooks,
        columns=columns("Name", integer("Webhooks"), "Age"),
        cells=_webhooks_cells,
        has_generation=True,
        values={
            "admissionregistration.v1.ValidatingWebhook": {
                "failurePolicy": ("Fail", "Ignore"),
                "matchPolicy": ("Equivalent", "Exact"),
                "sideEffects": ("None", "NoneOnDryRun"),
            }
        },
    ),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): Rules(
        columns=columns("Name", integer("Validations"), "ParamKind", "Age"),
        cells=_admission_policy_cells,
        has_generation=True,
    ),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): Rules(
        columns=columns("Name", "PolicyName", "ParamRef", "Age"),
        cells=_admission_binding_cells,
        has_generation=True,
    ),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): Rules(
        columns=columns("Name", integer("Mutations"), "ParamKind", "Age"),
        cells=_admission_policy_cells,
    ),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"): Rules(
        columns=columns("Name", "PolicyName", "ParamRef", "Age"),
        cells=_admission_binding_cells,
    ),
}
