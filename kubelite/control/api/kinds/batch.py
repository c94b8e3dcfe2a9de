"""Jobs and CronJobs. Pure."""

from __future__ import annotations

import zoneinfo
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.common import job_status, metadata, pod_defaults
from kubelite.control.api.kinds.common.checks import (
    not_negative,
)
from kubelite.control.api.kinds.pod import WORKLOAD_WARNINGS, check_template, template_warnings
from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.tables.columns import boolean, columns, integer, wide
from kubelite.control.api.tables.text import (
    NONE,
    age_of,
    container_cells,
    lookup,
    name_of,
    shown_bool,
    shown_selector,
)
from kubelite.control.api.wire import causes
from kubelite.control.api.wire.selectors import matcher
from kubelite.lib.json import Object
from kubelite.objects.facts import ages, cron, names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Cells = list[Any]


def _default_job(obj: Any) -> None:
    spec = obj.spec
    if spec.completions is None and spec.parallelism is None:
        spec.completions = 1
    spec.parallelism = 1 if spec.parallelism is None else spec.parallelism
    spec.manualSelector = bool(spec.manualSelector)
    if spec.backoffLimit is None:
        spec.backoffLimit = 6 if spec.backoffLimitPerIndex is None else 2**31 - 1
    spec.completionMode = "NonIndexed" if spec.completionMode is None else spec.completionMode
    spec.suspend = bool(spec.suspend)
    replace = "TerminatingOrFailed" if spec.podFailurePolicy is None else "Failed"
    if spec.podReplacementPolicy is None:
        spec.podReplacementPolicy = replace
    for rule in spec.podFailurePolicy.rules or () if spec.podFailurePolicy else ():
        for pattern in rule.onPodConditions or ():
            pattern.status = pattern.status or "True"


def _default_cron_job(obj: Any) -> None:
    spec = obj.spec
    spec.concurrencyPolicy = spec.concurrencyPolicy or "Allow"
    spec.suspend = bool(spec.suspend)
    if spec.successfulJobsHistoryLimit is None:
        spec.successfulJobsHistoryLimit = 3
    if spec.failedJobsHistoryLimit is None:
        spec.failedJobsHistoryLimit = 1


def _default_job_document(document: Object) -> None:
    """A Job without labels has those of its template, the very same: what the server adds to the
    ones it adds to the others. Equal labels of its own are others.
    """
    pod_defaults.of_template(document)
    of_pods = (document["spec"]["template"].get("metadata") or {}).get("labels")
    if of_pods and not document["metadata"].get("labels"):
        document["metadata"]["labels"] = of_pods


def _default_job_pods(document: Object) -> None:
    pod_defaults.of_template(document["spec"]["jobTemplate"])


_FINISHED = ("Complete", "Failed")
_MAX_RULES = 20
_MAX_PATTERNS = 20
_MAX_EXIT_CODES = 255
_MAX_INDEXED = 100_000
_MAX_WITH_MANY_COMPLETIONS = 10_000
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_GENERATED = "`selector` will be auto-generated"
_REPLACEMENTS = ("Failed", "TerminatingOrFailed")
_INDEXED_ONLY = "requires indexed completion mode"
_PREFIX = "batch.kubernetes.io/"


def _check_job(obj: Object) -> Iterator[Cause]:
    spec = obj["spec"]
    if spec.get("selector") is not None and not spec.get("manualSelector"):
        yield from _check_generated_selector(obj)
    yield from _check_job_spec(spec, "spec")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    selector = spec.get("selector")
    if selector is None:
        yield causes.required("spec.selector")
    else:
        yield from metadata.selector(selector, "spec.selector")
    if metadata.is_selector(selector) and not matcher(selector)(labels):
        why = "`selector` does not match template `labels`"
        yield causes.invalid("spec.template.metadata.labels", labels or causes.NIL, why)
    completions, name = spec.get("completions") or 0, (obj.get("metadata") or {}).get("name", "")
    # The host name of the last pod of an indexed job.
    hostname = f"{name}-{completions - 1}"
    if spec.get("completionMode") == "Indexed" and completions > 0 and names.label(hostname):
        why = f"will not able to create pod with invalid DNS label: {hostname}"
        yield causes.invalid("metadata.name", name, why)


def _check_generated_selector(obj: Object) -> Iterator[Cause]:
    """The labels and the selector that the server adds must not be given otherwise."""
    spec, expected = obj["spec"], _own_labels(obj)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    for key, value in expected.items():
        path, why = f"spec.template.metadata.labels[{key}]", f"must be '{value}'"
        if key not in labels:
            yield causes.required(path, why)
        elif labels[key] != value:
            yield causes.invalid(path, labels, why)
    selector = spec.get("selector")
    if metadata.is_selector(selector) and not matcher(selector)(expected):
        why = "`selector` not auto-generated"
        yield causes.invalid("spec.selector", selector, why, "meta.v1.LabelSelector")


def _own_labels(obj: Object) -> dict[str, str]:
    uid, name = obj["metadata"].get("uid", ""), obj["metadata"].get("name", "")
    values = {"controller-uid": uid, "job-name": name}
    return {**values, **{_PREFIX + key: value for key, value in values.items()}}


def _check_job_spec(spec: Object, path: str) -> Iterator[Cause]:
    yield from not_negative(
        spec,
        (
            "parallelism",
            "completions",
            "activeDeadlineSeconds",
            "backoffLimit",
            "ttlSecondsAfterFinished",
            "backoffLimitPerIndex",
            "maxFailedIndexes",
        ),
        path,
    )
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        why = "when maxFailedIndexes is specified"
        yield causes.required(f"{path}.backoffLimitPerIndex", why)
    if (manager := spec.get("managedBy")) is not None:
        yield from _check_manager(manager, f"{path}.managedBy")
    yield from _check_completion_mode(spec, path)
    if (policy := spec.get("podFailurePolicy")) is not None:
        yield from _check_failure_policy(spec, policy, f"{path}.podFailurePolicy")
    if (policy := spec.get("successPolicy")) is not None:
        yield from _check_success_policy(spec, policy, f"{path}.successPolicy")
    replacement = spec.get("podReplacementPolicy")
    if spec.get("podFailurePolicy") is None:
        if replacement not in (None, *_REPLACEMENTS):
            yield causes.unsupported(f"{path}.podReplacementPolicy", replacement, _REPLACEMENTS)
    elif replacement not in (None, "Failed"):
        yield causes.unsupported(f"{path}.podReplacementPolicy", replacement, ("Failed",))
    yield from _check_job_template(spec, f"{path}.template")


def _check_manager(manager: str, path: str) -> Iterator[Cause]:
    for problem in names.domain_path(manager):
        yield causes.required(path) if not manager else causes.invalid(path, manager, problem)
    if len(manager) > 63:
        yield causes.too_long(path, 63)


def _check_job_template(spec: Object, path: str) -> Iterator[Cause]:
    yield from check_template(spec.get("template") or {}, path)
    policy = ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy")
    where = f"{path}.spec.restartPolicy"
    if policy == "Always":
        # The default of pods, so it counts as missing.
        yield causes.required(where, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        yield causes.unsupported(where, policy, ("OnFailure", "Never"))
    elif policy != "Never" and spec.get("podFailurePolicy") is not None:
        why = 'only "Never" is supported when podFailurePolicy is specified'
        yield causes.invalid(where, policy, why)


def _check_completion_mode(spec: Object, path: str) -> Iterator[Cause]:
    mode = spec.get("completionMode")
    if mode is not None and mode not in _COMPLETION_MODES:
        yield causes.unsupported(f"{path}.completionMode", mode, _COMPLETION_MODES)
    if mode in (None, "NonIndexed"):
        for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(field) is not None:
                yield causes.invalid(f"{path}.{field}", spec[field], _INDEXED_ONLY)
    if mode != "Indexed":
        return
    completions, failed = spec.get("completions"), spec.get("maxFailedIndexes")
    parallelism = spec.get("parallelism")
    if completions is None:
        yield causes.required(f"{path}.completions", "when completion mode is Indexed")
    if parallelism is not None and parallelism > _MAX_INDEXED:
        when = " when completion mode is Indexed"
        yield _above(f"{path}.parallelism", parallelism, _MAX_INDEXED, when)
    if completions is not None and failed is not None and failed > completions:
        why = "must be less than or equal to completions"
        yield causes.invalid(f"{path}.maxFailedIndexes", failed, why)
    if failed is not None and failed > _MAX_INDEXED:
        yield _above(f"{path}.maxFailedIndexes", failed, _MAX_INDEXED)
    if completions is None or completions <= _MAX_INDEXED:
        return
    if spec.get("backoffLimitPerIndex") is None:
        return
    if failed is None:
        why = f"must be specified when completions is above {_MAX_INDEXED}"
        yield causes.required(f"{path}.maxFailedIndexes", why)
    when = f" when completions are above {_MAX_INDEXED} and used with backoff limit per index"
    for field in ("parallelism", "maxFailedIndexes"):
        if (spec.get(field) or 0) > _MAX_WITH_MANY_COMPLETIONS:
            yield _above(f"{path}.{field}", spec[field], _MAX_WITH_MANY_COMPLETIONS, when)


def _above(path: str, value: int, limit: int, when: str = "") -> Cause:
    return causes.invalid(path, value, f"must be less than or equal to {limit}{when}")


def _check_failure_policy(spec: Object, policy: Object, path: str) -> Iterator[Cause]:
    pod = (spec.get("template") or {}).get("spec") or {}
    containers = {
        container.get("name", "")
        for group in ("initContainers", "containers")
        for container in pod.get(group) or ()
    }
    rules = policy.get("rules") or ()
    if len(rules) > _MAX_RULES:
        yield causes.too_many(f"{path}.rules", len(rules), _MAX_RULES)
    for index, rule in enumerate(rules):
        where = f"{path}.rules[{index}]"
        yield from _check_action(spec, rule.get("action", ""), f"{where}.action")
        codes, patterns = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None:
            yield from _check_exit_codes(codes, containers, f"{where}.onExitCodes")
        yield from _check_patterns(patterns or (), f"{where}.onPodConditions")
        if codes is not None and patterns:
            why = "specifying both OnExitCodes and OnPodConditions is not supported"
            yield causes.without_value(where, why)
        if codes is None and not patterns:
            why = "specifying one of OnExitCodes and OnPodConditions is required"
            yield causes.without_value(where, why)


def _check_action(spec: Object, action: str, path: str) -> Iterator[Cause]:
    if not action:
        yield causes.required(path, f"valid values: {causes.shown_list(_ACTIONS)}")
    elif action == "FailIndex":
        if spec.get("backoffLimitPerIndex") is None:
            yield causes.invalid(path, action, "requires the backoffLimitPerIndex to be set")
    elif action not in _ACTIONS:
        yield causes.unsupported(path, action, _ACTIONS)


def _check_exit_codes(rule: Object, containers: set[str], path: str) -> Iterator[Cause]:
    operator, values = rule.get("operator", ""), rule.get("values") or []
    if not operator:
        yield causes.required(f"{path}.operator", 'valid values: ["In" "NotIn"]')
    elif operator not in ("In", "NotIn"):
        yield causes.unsupported(f"{path}.operator", operator, ("In", "NotIn"))
    name = rule.get("containerName")
    if name is not None and name not in containers:
        why = "must be one of the container or initContainer names in the pod template"
        yield causes.invalid(f"{path}.containerName", name, why)
    if not values:
        yield causes.invalid(f"{path}.values", values, "at least one value is required")
    elif len(values) > _MAX_EXIT_CODES:
        yield causes.too_many(f"{path}.values", len(values), _MAX_EXIT_CODES)
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            why = "must not be 0 for the In operator"
            yield causes.invalid(f"{path}.values[{index}]", value, why)
        if value in values[:index]:
            yield causes.duplicate(f"{path}.values[{index}]", value)
    if any(first > second for first, second in pairwise(values)):
        yield causes.invalid(f"{path}.values", values, "must be ordered")


def _check_patterns(patterns: Iterable[Object], path: str) -> Iterator[Cause]:
    patterns = list(patterns)
    if len(patterns) > _MAX_PATTERNS:
        yield causes.too_many(path, len(patterns), _MAX_PATTERNS)
    for index, pattern in enumerate(patterns):
        where, status = f"{path}[{index}]", pattern.get("status", "")
        for problem in names.qualified(pattern.get("type", "")):
            yield causes.invalid(f"{where}.type", pattern.get("type", ""), problem)
        if not status:
            yield causes.required(f"{where}.status", 'valid values: ["False" "True" "Unknown"]')
        elif status not in ("False", "True", "Unknown"):
            yield causes.unsupported(f"{where}.status", status, ("False", "True", "Unknown"))


def _check_success_policy(spec: Object, policy: Object, path: str) -> Iterator[Cause]:
    if spec.get("completionMode") != "Indexed":
        yield causes.invalid(path, policy, _INDEXED_ONLY, "batch.v1.SuccessPolicy")
        return
    rules = policy.get("rules") or ()
    if not rules:
        why = "at least one rules must be specified when the successPolicy is specified"
        yield causes.required(f"{path}.rules", why)
    if len(rules) > _MAX_RULES:
        yield causes.too_many(f"{path}.rules", len(rules), _MAX_RULES)
    for index, rule in enumerate(rules):
        yield from _check_success_rule(rule, spec.get("completions") or 0, f"{path}.rules[{index}]")


def _check_success_rule(rule: Object, completions: int, path: str) -> Iterator[Cause]:
    count, text = rule.get("succeededCount"), rule.get("succeededIndexes")
    if count is None and text is None:
        yield causes.required(
            path, "at least one of succeededCount or succeededIndexes must be specified"
        )
    indexes = None
    if text is not None:
        indexes, problem = job_status.parsed_indexes(text, completions)
        if problem:
            why = f"error parsing succeededIndexes: {problem}"
            yield causes.invalid(f"{path}.succeededIndexes", text, why)
    if count is None:
        return
    where = f"{path}.succeededCount"
    yield from not_negative(rule, ("succeededCount",), path)
    if count > completions:
        why = f"must be less than or equal to {completions} (the number of specified completions)"
        yield causes.invalid(where, count, why)
    if indexes is not None and count > indexes:
        why = (
            f"must be less than or equal to {indexes} (the number of indexes in the specified "
            "succeededIndexes field)"
        )
        yield causes.invalid(where, count, why)


def _check_cron_job(obj: Object) -> Iterator[Cause]:
    spec = obj["spec"]
    yield from _check_schedule(spec)
    yield from not_negative(
        spec,
        ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"),
        "spec",
    )
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    path = "spec.jobTemplate.spec"
    yield from _check_job_spec(job, path)
    if job.get("selector") is not None:
        selector = job["selector"]
        yield causes.invalid(f"{path}.selector", selector, _GENERATED, "meta.v1.LabelSelector")
    if job.get("manualSelector"):
        yield causes.unsupported(f"{path}.manualSelector", True, ("nil", "false"))
    if (zone := spec.get("timeZone")) is not None:
        yield from _check_time_zone(zone)


def _check_schedule(spec: Object) -> Iterator[Cause]:
    schedule = spec.get("schedule", "")
    if not schedule:
        yield causes.required("spec.schedule")
        return
    if "TZ" in schedule:
        both = spec.get("timeZone") is not None
        why = (
            "cannot use both timeZone field and TZ or CRON_TZ in schedule"
            if both
            else "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        )
        yield causes.invalid("spec.schedule", schedule, why)
    elif problem := cron.problem(schedule):
        yield causes.invalid("spec.schedule", schedule, problem)


def _check_time_zone(zone: str) -> Iterator[Cause]:
    path = "spec.timeZone"
    if not zone:
        yield causes.invalid(path, zone, "timeZone must be nil or non-empty string")
    elif zone.casefold() == "local":
        why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        yield causes.invalid(path, zone, why)
    elif not _is_time_zone(zone):
        yield causes.invalid(path, zone, f"unknown time zone {zone}")


def _is_time_zone(zone: str) -> bool:
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


_FIXED = (
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
)
# What a job that is suspended may still be told about its pods (kueue and its like do).
_DIRECTIVES = ("nodeSelector", "tolerations", "schedulingGates")


def _check_job_update(new: Object, old: Object) -> Iterator[Cause]:
    spec, before = new["spec"], old["spec"]
    completions = spec.get("completions")
    if completions != before.get("completions"):
        if spec.get("completionMode") != "Indexed":
            yield causes.immutable("spec.completions", new, completions)
        elif completions is not None and completions != spec.get("parallelism"):
            why = "can only be modified in tandem with spec.parallelism"
            yield causes.invalid("spec.completions", completions, why)
    if spec.get("selector") != before.get("selector"):
        yield causes.immutable("spec.selector", new, spec.get("selector"))
    template, previous = spec.get("template") or {}, before.get("template") or {}
    if not _takes_directives(old):
        if template != previous:
            yield causes.immutable("spec.template", new, template)
    elif _without_directives(template) != _without_directives(previous):
        yield causes.immutable("spec.template.spec", new, template.get("spec"))
    for field in _FIXED:
        if spec.get(field) != before.get(field):
            yield causes.immutable(f"spec.{field}", new, spec.get(field))


def _takes_directives(job: Object) -> bool:
    """Whether a job is suspended, and has no pods that would not heed a change."""
    status = job.get("status") or {}
    is_suspended = any(
        condition.get("type") == "Suspended" and condition.get("status") == "True"
        for condition in status.get("conditions") or ()
    )
    rests = not status.get("active") and (not status.get("startTime") or is_suspended)
    return bool(job["spec"].get("suspend")) and rests


_COMPLETION_MODES = ("NonIndexed", "Indexed")


def _without_directives(template: Object) -> Object:
    """What a suspended job cannot change either of the pods of a template."""
    pod = {k: v for k, v in (template.get("spec") or {}).items() if k not in _DIRECTIVES}
    affinity = {**(pod.pop("affinity", None) or {})}
    affinity.pop("nodeAffinity", None)
    pod["affinity"] = affinity
    for group in ("initContainers", "containers"):
        pod[group] = [{**container, "resources": None} for container in pod.get(group) or ()]
    return pod


def _prepare_job(obj: Object) -> None:
    """A Job finds its pods by its own uid, unless ``manualSelector`` says that it has a selector of
    its own.
    """
    spec = obj["spec"]
    template = spec.get("template") or {}
    given = template.get("metadata") or {}
    labels = given.get("labels") or {}
    if not spec.get("manualSelector"):
        own = _own_labels(obj)
        missing = {key: value for key, value in own.items() if key not in labels}
        selector = dict(spec.get("selector") or {})
        uid = {f"{_PREFIX}controller-uid": own["controller-uid"]}
        selector["matchLabels"] = dict(
            sorted({**uid, **(selector.get("matchLabels") or {})}.items())
        )
        # Where neither has labels, what is no label is told of the template alone.
        own_labels = obj["metadata"].get("labels")
        are_labels = not any(names.label_value(value) for value in missing.values())
        if own_labels is labels if labels else are_labels and not own_labels:
            obj["metadata"] = {
                **obj["metadata"],
                "labels": dict(sorted({**labels, **missing}.items())),
            }
        given = {**given, "labels": dict(sorted({**labels, **missing}.items()))}
        template = {**template, "metadata": given}
        obj["spec"] = {**spec, "selector": selector, "template": template}


def _job_cells(obj: Object, now: datetime) -> Cells:
    """Name, Status, Completions, Duration, Age; Containers, Images, Selector."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    done, wanted, parallel = (
        status.get("succeeded", 0),
        spec.get("completions"),
        spec.get("parallelism", 1),
    )
    completions = (
        f"{done}/{wanted}"
        if wanted is not None
        else f"{done}/1 of {parallel}"
        if parallel > 1
        else f"{done}/1"
    )
    start, end = status.get("startTime"), status.get("completionTime")
    took = ages.since(start, ages.parsed(end) if end else now) if start else ""
    rest = [
        *container_cells(lookup(spec, "template.spec", {})),
        shown_selector(spec.get("selector")),
    ]
    return [name_of(obj), _job_status(obj), completions, took, age_of(obj, now), *rest]


def _job_status(obj: Object) -> str:
    held = {
        condition.get("type")
        for condition in lookup(obj, "status.conditions", [])
        if condition.get("status") == "True"
    }
    if lookup(obj, "metadata.deletionTimestamp"):
        return "Terminating"
    known = ("Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet")
    return next((kind for kind in known if kind in held), "Running")


def _cron_job_cells(obj: Object, now: datetime) -> Cells:
    """Name, Schedule, Timezone, Suspend, Active, Last Schedule, Age; Containers, Images,
    Selector.
    """
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    last = ages.since(status["lastScheduleTime"], now) if status.get("lastScheduleTime") else NONE
    _job_cells = lookup(spec, "jobTemplate.spec", {})
    rest = [
        *container_cells(lookup(_job_cells, "template.spec", {})),
        shown_selector(_job_cells.get("selector")),
    ]
    head = [
        name_of(obj),
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        shown_bool(bool(spec.get("suspend"))),
    ]
    return [*head, len(status.get("active") or ()), last, age_of(obj, now), *rest]


_ORPHANS = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background"
    " to remove them or set propagationPolicy=Orphan to suppress this warning"
)

KINDS: dict[tuple[str, str], Rules] = {
    ("batch", "Job"): Rules(
        defaults=_default_job,
        document_defaults=_default_job_document,
        check=_check_job,
        check_update=_check_job_update,
        check_subresource={"status": job_status.check},
        prepare_create=_prepare_job,
        warnings=WORKLOAD_WARNINGS,
        columns=columns(
            "Name",
            "Status",
            "Completions",
            "Duration",
            "Age",
            wide("Containers"),
            wide("Images"),
            wide("Selector"),
        ),
        cells=_job_cells,
        orphans_dependents=True,
        deletion_warning=_ORPHANS,
        has_generation=True,
        selectable=("status.successful",),
        unselectable='field label "{path}" not supported for Job',
        hostname_use="Pod names and hostnames",
        may_be_empty=(
            "batch.v1.PodFailurePolicy.rules",
            "batch.v1.PodFailurePolicyRule.action",
            "batch.v1.PodFailurePolicyOnExitCodesRequirement.operator",
            "batch.v1.PodFailurePolicyOnExitCodesRequirement.values",
            "batch.v1.PodFailurePolicyOnPodConditionsPattern.type",
            "batch.v1.PodFailurePolicyOnPodConditionsPattern.status",
            "batch.v1.SuccessPolicy.rules",
        ),
    ),
    ("batch", "CronJob"): Rules(
        defaults=_default_cron_job,
        document_defaults=_default_job_pods,
        check=_check_cron_job,
        warnings=template_warnings("spec", "jobTemplate", "spec", "template"),
        columns=columns(
            "Name",
            "Schedule",
            "Timezone",
            boolean("Suspend"),
            integer("Active"),
            "Last Schedule",
            "Age",
            wide("Containers"),
            wide("Images"),
            wide("Selector"),
        ),
        cells=_cron_job_cells,
        has_generation=True,
        max_name=52,
        values={"batch.v1.CronJobSpec": {"concurrencyPolicy": ("Allow", "Forbid", "Replace")}},
        may_be_empty=("batch.v1.CronJobSpec.schedule",),
    ),
}
