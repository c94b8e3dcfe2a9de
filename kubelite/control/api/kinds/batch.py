"""Jobs and CronJobs. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds import poddefaults
from kubelite.control.api.kinds.checks import (
    not_negative,
)
from kubelite.control.api.kinds.metadata import IMMUTABLE
from kubelite.control.api.kinds.pod import WORKLOAD_WARNINGS, check_template, template_warnings
from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.tables.columns import boolean, columns, integer, wide
from kubelite.control.api.tables.text import (
    NONE,
    age_of,
    container_cells,
    lookup,
    name_of,
    parsed_time,
    shown_bool,
    shown_duration,
    shown_selector,
    time_since,
)
from kubelite.control.api.wire import causes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
Cells = list[Any]


def _default_job(obj: Any) -> None:
    spec = obj.spec
    if spec.completions is None and spec.parallelism is None:
        spec.completions = 1
    spec.parallelism = 1 if spec.parallelism is None else spec.parallelism
    if spec.backoffLimit is None:
        spec.backoffLimit = 6 if spec.backoffLimitPerIndex is None else 2**31 - 1
    spec.completionMode = spec.completionMode or "NonIndexed"
    spec.suspend = bool(spec.suspend)
    replace = "TerminatingOrFailed" if spec.podFailurePolicy is None else "Failed"
    spec.podReplacementPolicy = spec.podReplacementPolicy or replace
    obj.metadata.labels = obj.metadata.labels or dict(spec.template.metadata.labels)
    for rule in spec.podFailurePolicy.rules or () if spec.podFailurePolicy else ():
        for pattern in rule.onPodConditions or ():
            pattern.status = pattern.status or "True"
    poddefaults.template(spec.template.spec)


def _default_cron_job(obj: Any) -> None:
    spec = obj.spec
    spec.concurrencyPolicy = spec.concurrencyPolicy or "Allow"
    spec.suspend = bool(spec.suspend)
    if spec.successfulJobsHistoryLimit is None:
        spec.successfulJobsHistoryLimit = 3
    if spec.failedJobsHistoryLimit is None:
        spec.failedJobsHistoryLimit = 1
    poddefaults.template(spec.jobTemplate.spec.template.spec)


_MACROS = (
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
    "@every",
)


_CRON_FIELD = re.compile(r"(?i)[-0-9a-z*/,?#]+")


def _check_job(obj: Object) -> Iterator[Cause]:
    yield from _check_job_spec(obj["spec"], "spec")


def _check_job_spec(spec: Object, path: str) -> Iterator[Cause]:
    fields = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
              "backoffLimitPerIndex", "maxFailedIndexes")  # fmt: skip
    yield from not_negative(spec, fields, path)
    yield from check_template(
        spec.get("template") or {}, f"{path}.template", ("OnFailure", "Never")
    )
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        yield causes.required(f"{path}.completions", "when completion mode is Indexed")
    if (
        spec.get("podFailurePolicy")
        and ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy") != "Never"
    ):
        policy = ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy")
        yield causes.invalid(
            f"{path}.template.spec.restartPolicy",
            policy,
            'only "Never" is supported when podFailurePolicy is specified',
        )


def _check_cron_job(obj: Object) -> Iterator[Cause]:
    spec = obj["spec"]
    yield from _check_schedule(spec.get("schedule", ""))
    yield from not_negative(
        spec,
        ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"),
        "spec",
    )
    yield from _check_job_spec(
        (spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec"
    )
    if spec.get("timeZone") == "":
        yield causes.invalid("spec.timeZone", "", "timeZone must be nil or non-empty string")


def _check_schedule(text: str) -> Iterator[Cause]:
    if not text:
        yield causes.required("spec.schedule")
    elif "TZ" in text:
        yield causes.invalid(
            "spec.schedule",
            text,
            "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
        )
    elif text.split()[0] not in _MACROS:
        fields = text.split()
        if len(fields) != 5:
            yield causes.invalid(
                "spec.schedule",
                text,
                f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]",
            )
        for each in fields if len(fields) == 5 else ():
            if not _CRON_FIELD.fullmatch(each):
                yield causes.invalid("spec.schedule", text, f"failed to parse field {each}")


_JOB_FIELDS = (
    "selector",
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
)


def _check_job_update(new: Object, old: Object) -> Iterator[Cause]:
    now, was = new["spec"], old["spec"]
    fields = list(_JOB_FIELDS)
    # A job that has not started may still be given other scheduling directives (kueue and its like
    # do).
    if not was.get("suspend") or (old.get("status") or {}).get("startTime"):
        fields.append("template")
    if now.get("completionMode") != "Indexed":
        fields.append("completions")
    for field in fields:
        if now.get(field) != was.get(field):
            yield causes.invalid(f"spec.{field}", now.get(field), IMMUTABLE)


_JOB_LABELS = "batch.kubernetes.io/"


def _prepare_job(obj: Object) -> None:
    """A Job finds its pods by its own uid, unless ``manualSelector`` says that it has a selector of
    its own.
    """
    spec = obj["spec"]
    if spec.get("manualSelector"):
        return
    uid, name = obj["metadata"].get("uid", ""), obj["metadata"].get("name", "")
    labels = {
        f"{_JOB_LABELS}controller-uid": uid,
        f"{_JOB_LABELS}job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    template = spec["template"]
    metadata = template.get("metadata") or {}
    metadata = {
        **metadata,
        "labels": dict(sorted({**(metadata.get("labels") or {}), **labels}.items())),
    }
    selector = dict(spec.get("selector") or {})
    own = {f"{_JOB_LABELS}controller-uid": uid}
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), **own}
    obj["spec"] = {**spec, "selector": selector, "template": {**template, "metadata": metadata}}


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
    took = (
        shown_duration(((parsed_time(end) if end else now) - parsed_time(start)).total_seconds())
        if start
        else ""
    )
    rest = [
        *container_cells(lookup(spec, "template.spec", {})),
        shown_selector(spec.get("selector")),
    ]
    return [name_of(obj), _job_status(obj), completions, took, age_of(obj, now), *rest]


def _job_status(obj: Object) -> str:
    held = {
        each.get("type")
        for each in lookup(obj, "status.conditions", [])
        if each.get("status") == "True"
    }
    if lookup(obj, "metadata.deletionTimestamp"):
        return "Terminating"
    known = ("Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet")
    return next((each for each in known if each in held), "Running")


def _cron_job_cells(obj: Object, now: datetime) -> Cells:
    """Name, Schedule, Timezone, Suspend, Active, Last Schedule, Age; Containers, Images, Selector."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    last = time_since(status["lastScheduleTime"], now) if status.get("lastScheduleTime") else NONE
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
        check=_check_job,
        check_update=_check_job_update,
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
        max_name=63,
        hostname_use="Pod names and hostnames",
        values={
            "batch.v1.JobSpec": {
                "completionMode": ("Indexed", "NonIndexed"),
                "podReplacementPolicy": ("Failed", "TerminatingOrFailed"),
            }
        },
        may_be_empty=("batch.v1.PodFailurePolicy.rules",),
    ),
    ("batch", "CronJob"): Rules(
        defaults=_default_cron_job,
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
