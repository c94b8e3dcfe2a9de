"""Webhooks of admission: MutatingWebhookConfigurations and ValidatingWebhookConfigurations.
Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.common import client_config, matching
from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.tables.columns import columns, integer
from kubelite.control.api.tables.text import age_of, name_of
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

_SIDE_EFFECTS = ("None", "NoneOnDryRun")
_REINVOCATION = ("IfNeeded", "Never")
_REVIEW_VERSIONS = ("v1", "v1beta1")


def _default_webhooks(obj: Any) -> None:
    for hook in obj.webhooks:
        hook.failurePolicy = "Fail" if hook.failurePolicy is None else hook.failurePolicy
        matching.default_selection(hook)
        hook.timeoutSeconds = 10 if hook.timeoutSeconds is None else hook.timeoutSeconds
        if hasattr(hook, "reinvocationPolicy") and hook.reinvocationPolicy is None:
            hook.reinvocationPolicy = "Never"
        matching.default_rules(hook.rules)
        if hook.clientConfig.service is not None:
            client_config.default_service_port(hook.clientConfig.service)


def _check_webhooks(obj: Object) -> Iterator[Cause]:
    names_taken: set[str] = set()
    for index, hook in enumerate(obj.get("webhooks") or ()):
        path, name = f"webhooks[{index}]", hook.get("name", "")
        yield from _check_hook(hook, path)
        if name and name in names_taken:
            yield causes.duplicate(f"{path}.name", name)
        names_taken.add(name)


def _check_hook(hook: Object, path: str) -> Iterator[Cause]:
    yield from _check_name(hook.get("name", ""), f"{path}.name")
    for index, rule in enumerate(hook.get("rules") or ()):
        yield from matching.check_rule(rule, f"{path}.rules[{index}]")
    yield from matching.check_failure_policy(hook, path)
    yield from matching.check_selection(hook, path)
    effects = hook.get("sideEffects")
    if effects is None:
        why = f"must specify one of {', '.join(_SIDE_EFFECTS)}"
        yield causes.required(f"{path}.sideEffects", why)
    elif effects not in _SIDE_EFFECTS:
        yield causes.unsupported(f"{path}.sideEffects", effects, _SIDE_EFFECTS)
    seconds = hook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        why = "the timeout value must be between 1 and 30 seconds"
        yield causes.invalid(f"{path}.timeoutSeconds", seconds, why)
    again = hook.get("reinvocationPolicy")
    if again is not None and again not in _REINVOCATION:
        yield causes.unsupported(f"{path}.reinvocationPolicy", again, _REINVOCATION)
    yield from client_config.check_client_config(
        hook.get("clientConfig") or {}, f"{path}.clientConfig"
    )
    conditions = hook.get("matchConditions") or []
    yield from matching.check_conditions(conditions, f"{path}.matchConditions")
    yield from _check_review_versions(hook.get("admissionReviewVersions") or [], path)


def _check_name(name: str, path: str) -> Iterator[Cause]:
    if not name:
        yield causes.required(path)
        return
    problems = names.subdomain(name)
    for problem in problems:
        yield causes.invalid(path, name, problem)
    if not problems and name.count(".") < 2:
        why = "should be a domain with at least three segments separated by dots"
        yield causes.invalid(path, name, why)


def _check_review_versions(versions: list[str], path: str) -> Iterator[Cause]:
    where, listed = f"{path}.admissionReviewVersions", ", ".join(_REVIEW_VERSIONS)
    if not versions:
        yield causes.required(where, f"must specify one of {listed}")
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            yield causes.invalid(f"{where}[{index}]", version, "duplicate version")
            continue
        for problem in names.label_1035(version):
            yield causes.invalid(f"{where}[{index}]", version, problem)
    if not set(versions) & set(_REVIEW_VERSIONS):
        yield causes.invalid(where, versions, f"must include at least one of {listed}")


def _webhooks_cells(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), len(obj.get("webhooks") or ()), age_of(obj, now)]


_RULES = Rules(
    any_finalizer=True,
    defaults=_default_webhooks,
    check=_check_webhooks,
    columns=columns("Name", integer("Webhooks"), "Age"),
    cells=_webhooks_cells,
    has_generation=True,
    unconditional_update=False,
    may_be_empty=(
        "admissionregistration.v1.MutatingWebhook.*",
        "admissionregistration.v1.ValidatingWebhook.*",
        "admissionregistration.v1.MatchCondition.*",
        "admissionregistration.v1.ServiceReference.*",
    ),
)
KINDS: dict[tuple[str, str], Rules] = {
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _RULES,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _RULES,
}
