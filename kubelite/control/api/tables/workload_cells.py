"""The cells of workloads: what makes pods, scales them or guards them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.tables.text import (
    NONE,
    UNKNOWN,
    UNSET,
    age,
    at,
    containers,
    human,
    joined,
    labels,
    moment,
    name,
    selector,
    since,
    true,
)  # fmt: skip

if TYPE_CHECKING:
    from datetime import datetime

Object = dict[str, Any]
Cells = list[Any]


def deployment(obj: Object, now: datetime) -> Cells:
    """Name, Ready, Up-to-date, Available, Age; Containers, Images, Selector."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}"
    numbers = [status.get("updatedReplicas", 0), status.get("availableReplicas", 0)]
    return [
        name(obj),
        ready,
        *numbers,
        age(obj, now),
        *containers(at(spec, "template.spec", {})),
        selector(spec.get("selector")),
    ]


def replica_set(obj: Object, now: datetime) -> Cells:
    """Name, Desired, Current, Ready, Age; Containers, Images, Selector."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    numbers = [spec.get("replicas", 1), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [
        name(obj),
        *numbers,
        age(obj, now),
        *containers(at(spec, "template.spec", {})),
        selector(spec.get("selector")),
    ]


def replication_controller(obj: Object, now: datetime) -> Cells:
    """As of a ReplicaSet; the selector is a plain map."""
    return [*replica_set(obj, now)[:-1], labels(at(obj, "spec.selector"))]


def stateful_set(obj: Object, now: datetime) -> Cells:
    """Name, Ready, Age; Containers, Images."""
    ready = f"{at(obj, 'status.readyReplicas', 0)}/{at(obj, 'spec.replicas', 1)}"
    return [name(obj), ready, age(obj, now), *containers(at(obj, "spec.template.spec", {}))]


def daemon_set(obj: Object, now: datetime) -> Cells:
    """Name, five counts, Node Selector, Age; Containers, Images, Selector."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    fields = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    template = at(spec, "template.spec", {})
    numbers = [status.get(field, 0) for field in fields]
    rest = [*containers(template), selector(spec.get("selector"))]
    return [name(obj), *numbers, labels(template.get("nodeSelector")), age(obj, now), *rest]


def job(obj: Object, now: datetime) -> Cells:
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
    took = human(((moment(end) if end else now) - moment(start)).total_seconds()) if start else ""
    rest = [*containers(at(spec, "template.spec", {})), selector(spec.get("selector"))]
    return [name(obj), _job_status(obj), completions, took, age(obj, now), *rest]


def _job_status(obj: Object) -> str:
    held = {
        each.get("type")
        for each in at(obj, "status.conditions", [])
        if each.get("status") == "True"
    }
    if at(obj, "metadata.deletionTimestamp"):
        return "Terminating"
    known = ("Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet")
    return next((each for each in known if each in held), "Running")


def cron_job(obj: Object, now: datetime) -> Cells:
    """Name, Schedule, Timezone, Suspend, Active, Last Schedule, Age; Containers, Images, Selector."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    last = since(status["lastScheduleTime"], now) if status.get("lastScheduleTime") else NONE
    job = at(spec, "jobTemplate.spec", {})
    rest = [*containers(at(job, "template.spec", {})), selector(job.get("selector"))]
    head = [
        name(obj),
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        true(bool(spec.get("suspend"))),
    ]
    return [*head, len(status.get("active") or ()), last, age(obj, now), *rest]


def autoscaler(obj: Object, now: datetime) -> Cells:
    """Name, Reference, Targets, MinPods, MaxPods, Replicas, Age."""
    spec = obj.get("spec") or {}
    target = f"{at(spec, 'scaleTargetRef.kind', '')}/{at(spec, 'scaleTargetRef.name', '')}"
    shown = joined(_targets(obj), UNKNOWN)
    least = UNSET if spec.get("minReplicas") is None else str(spec["minReplicas"])
    return [
        name(obj),
        target,
        shown.replace(",", ", "),
        least,
        spec.get("maxReplicas", 0),
        at(obj, "status.currentReplicas", 0),
        age(obj, now),
    ]


def _targets(obj: Object) -> list[str]:
    """``cpu: 10%/80%`` for each metric; the version 1 form knows only one."""
    if "targetCPUUtilizationPercentage" in obj.get("spec", {}):
        current = at(obj, "status.currentCPUUtilizationPercentage")
        return [f"cpu: {_share(current)}/{obj['spec']['targetCPUUtilizationPercentage']}%"]
    found = []
    measured = at(obj, "status.currentMetrics", []) or []
    for index, metric in enumerate(at(obj, "spec.metrics", [])):
        kind = metric.get("type", "")
        field = kind[:1].lower() + kind[1:]
        source, current = (
            metric.get(field) or {},
            at(measured[index] if index < len(measured) else {}, f"{field}.current", {}),
        )
        found.append(_target(source, current))
    return found


def _target(source: Object, current: Object) -> str:
    target = source.get("target") or {}
    prefix = f"{source['name']}: " if source.get("name") else ""
    if target.get("averageUtilization") is not None:
        return (
            f"{prefix}{_share(current.get('averageUtilization'))}/{target['averageUtilization']}%"
        )
    if target.get("averageValue") is not None:
        average = " (avg)" if not prefix else ""
        return f"{prefix}{current.get('averageValue', UNKNOWN)}/{target['averageValue']}{average}"
    return f"{prefix}{current.get('value', UNKNOWN)}/{target.get('value', '')}"


def _share(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value}%"


def disruption_budget(obj: Object, now: datetime) -> Cells:
    """Name, Min Available, Max Unavailable, Allowed Disruptions, Age."""
    bounds = [str(at(obj, f"spec.{field}", "N/A")) for field in ("minAvailable", "maxUnavailable")]
    return [name(obj), *bounds, at(obj, "status.disruptionsAllowed", 0), age(obj, now)]


def pod_template(obj: Object, now: datetime) -> Cells:
    """Name, Containers, Images, Pod Labels."""
    return [
        name(obj),
        *containers(at(obj, "template.spec", {})),
        labels(at(obj, "template.metadata.labels")),
    ]


def revision(obj: Object, now: datetime) -> Cells:
    """Name, Controller, Revision, Age."""
    owners = [each for each in at(obj, "metadata.ownerReferences", []) if each.get("controller")]
    group = str(owners[0].get("apiVersion", "")).rpartition("/")[0] if owners else ""
    kind = owners[0].get("kind", "").lower() + (f".{group}" if group else "") if owners else ""
    return [
        name(obj),
        f"{kind}/{owners[0].get('name', '')}" if owners else NONE,
        obj.get("revision", 0),
        age(obj, now),
    ]
