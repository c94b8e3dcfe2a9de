"""What is wrong with workloads: what makes pods, scales them or guards them. Documents in, causes
out. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds import metacheck, podcheck
from kubelite.control.api.wire import causes
from kubelite.control.api.wire.selectors import matcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
_NOT_NEGATIVE = "must be greater than or equal to 0"
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


def not_negative(holder: Object, fields: Iterable[str], path: str) -> Iterator[Cause]:
    """Numbers that may be absent or zero, never less."""
    for field in fields:
        if isinstance(holder.get(field), int) and holder[field] < 0:
            yield causes.invalid(f"{path}.{field}", holder[field], _NOT_NEGATIVE)


def template(given: Object, path: str, restart: tuple[str, ...] = ("Always",)) -> Iterator[Cause]:
    """A pod template: its metadata, its spec, and how its pods may restart."""
    yield from metacheck.contents(given.get("metadata") or {}, f"{path}.metadata")
    spec = given.get("spec") or {}
    yield from podcheck.check(spec, f"{path}.spec")
    policy = spec.get("restartPolicy", "")
    if policy in ("Always", "OnFailure", "Never") and policy not in restart:
        yield causes.unsupported(f"{path}.spec.restartPolicy", policy, restart)
    if spec.get("ephemeralContainers"):
        yield causes.forbidden(
            f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template"
        )
    if restart == ("Always",) and spec.get("activeDeadlineSeconds") is not None:
        yield causes.forbidden(
            f"{path}.spec.activeDeadlineSeconds",
            "activeDeadlineSeconds in ReplicaSet is not Supported",
        )


def _selected(spec: Object, kind: str) -> Iterator[Cause]:
    """The selector is there, says something, and matches the template's own labels."""
    selector = spec.get("selector")
    if selector is None:
        yield causes.required("spec.selector")
        return
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield causes.invalid("spec.selector", selector, f"empty selector is invalid for {kind}")
    broken = list(metacheck.selector(selector, "spec.selector"))
    yield from broken
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not broken and not _known_operators(selector):
        return
    if not broken and not matcher(selector)(labels):
        yield causes.invalid(
            "spec.template.metadata.labels", labels, "`selector` does not match template `labels`"
        )


def _known_operators(selector: Object) -> bool:
    known = ("In", "NotIn", "Exists", "DoesNotExist")
    return all(each.get("operator") in known for each in selector.get("matchExpressions") or ())


def _deployment(obj: Object) -> Iterator[Cause]:
    spec = obj["spec"]
    yield from _selected(spec, "deployment")
    yield from template(spec.get("template") or {}, "spec.template")
    yield from not_negative(spec, ("replicas", "minReadySeconds", "revisionHistoryLimit"), "spec")
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
        yield causes.invalid(
            "spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"
        )
    strategy = spec.get("strategy") or {}
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type") == "Recreate" and rolling is not None:
        why = "may not be specified when strategy `type` is 'Recreate'"
        yield causes.forbidden("spec.strategy.rollingUpdate", why)
    elif rolling is not None:
        yield from _rolling(rolling, "spec.strategy.rollingUpdate")


def _rolling(rolling: Object, path: str) -> Iterator[Cause]:
    for field in ("maxUnavailable", "maxSurge"):
        yield from share(rolling.get(field), f"{path}.{field}")
    if _zero(rolling.get("maxUnavailable")) and _zero(rolling.get("maxSurge")):
        yield causes.invalid(
            f"{path}.maxUnavailable", rolling["maxUnavailable"], "may not be 0 when `maxSurge` is 0"
        )
    yield from _at_most_all(rolling.get("maxUnavailable"), f"{path}.maxUnavailable")


def _zero(value: Any) -> bool:
    return value in (0, "0", "0%")


def share(value: Any, path: str) -> Iterator[Cause]:
    """A number that is not negative, or a percentage."""
    if isinstance(value, int) and value < 0:
        yield causes.invalid(path, value, _NOT_NEGATIVE)
    elif isinstance(value, str) and not re.fullmatch(r"[0-9]+%", value):
        why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%')"
        yield causes.invalid(path, value, why)


def _at_most_all(value: Any, path: str) -> Iterator[Cause]:
    if isinstance(value, str) and re.fullmatch(r"[0-9]+%", value) and int(value[:-1]) > 100:
        yield causes.invalid(path, value, "must not be greater than 100%")


def _replica_set(obj: Object) -> Iterator[Cause]:
    yield from _selected(obj["spec"], "replicaset")
    yield from template(obj["spec"].get("template") or {}, "spec.template")
    yield from not_negative(obj["spec"], ("replicas", "minReadySeconds"), "spec")


def _replication_controller(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    selector, given = spec.get("selector") or {}, spec.get("template")
    if not selector:
        yield causes.required("spec.selector")
    if given is None:
        yield causes.required("spec.template")
        return
    labels = (given.get("metadata") or {}).get("labels") or {}
    if selector and any(labels.get(key) != value for key, value in selector.items()):
        yield causes.invalid(
            "spec.template.metadata.labels", labels, "`selector` does not match template `labels`"
        )
    yield from template(given, "spec.template")
    yield from not_negative(spec, ("replicas", "minReadySeconds"), "spec")


def _stateful_set(obj: Object) -> Iterator[Cause]:
    spec = obj["spec"]
    yield from _selected(spec, "statefulset")
    volumes = [
        {"name": (each.get("metadata") or {}).get("name", "")}
        for each in spec.get("volumeClaimTemplates") or ()
    ]
    yield from template(_with_claims(spec.get("template") or {}, volumes), "spec.template")
    yield from not_negative(spec, ("replicas", "minReadySeconds", "revisionHistoryLimit"), "spec")
    update = spec.get("updateStrategy") or {}
    yield from not_negative(
        update.get("rollingUpdate") or {}, ("partition",), "spec.updateStrategy.rollingUpdate"
    )


def _with_claims(given: Object, volumes: list[Object]) -> Object:
    """The template as its pods will have it: each claim template is a volume of its name."""
    if not volumes:
        return given
    spec = given.get("spec") or {}
    own = [
        each
        for each in spec.get("volumes") or ()
        if each.get("name") not in {v["name"] for v in volumes}
    ]
    claims = [{**each, "persistentVolumeClaim": {"claimName": each["name"]}} for each in volumes]
    return {**given, "spec": {**spec, "volumes": [*own, *claims]}}


def _daemon_set(obj: Object) -> Iterator[Cause]:
    spec = obj["spec"]
    yield from _selected(spec, "daemonset")
    yield from template(spec.get("template") or {}, "spec.template")
    yield from not_negative(spec, ("minReadySeconds", "revisionHistoryLimit"), "spec")
    rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate")
    if rolling is not None:
        yield from _rolling(rolling, "spec.updateStrategy.rollingUpdate")


def _job(obj: Object) -> Iterator[Cause]:
    yield from _job_spec(obj["spec"], "spec")


def _job_spec(spec: Object, path: str) -> Iterator[Cause]:
    fields = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
              "backoffLimitPerIndex", "maxFailedIndexes")  # fmt: skip
    yield from not_negative(spec, fields, path)
    yield from template(spec.get("template") or {}, f"{path}.template", ("OnFailure", "Never"))
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


def _cron_job(obj: Object) -> Iterator[Cause]:
    spec = obj["spec"]
    yield from _schedule(spec.get("schedule", ""))
    yield from not_negative(
        spec,
        ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"),
        "spec",
    )
    yield from _job_spec((spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec")
    if spec.get("timeZone") == "":
        yield causes.invalid("spec.timeZone", "", "timeZone must be nil or non-empty string")


def _schedule(text: str) -> Iterator[Cause]:
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


def _autoscaler(obj: Object) -> Iterator[Cause]:
    spec = obj["spec"]
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if least is not None and least < 1:
        yield causes.invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        yield causes.invalid("spec.maxReplicas", most, "must be greater than 0")
    if least is not None and most < least:
        yield causes.invalid(
            "spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"
        )
    for index, metric in enumerate(spec.get("metrics") or ()):
        yield from _metric(metric, f"spec.metrics[{index}]")


def _metric(metric: Object, path: str) -> Iterator[Cause]:
    kind = metric.get("type", "")
    field = kind[:1].lower() + kind[1:]
    source = metric.get(field)
    if not source:
        yield causes.required(
            f"{path}.{field}", "must populate information for the given metric source"
        )
        return
    target = source.get("target") or {}
    if not any(
        target.get(each) is not None for each in ("averageUtilization", "averageValue", "value")
    ):
        yield causes.required(
            f"{path}.{field}.target",
            "must set either a target raw value, a target utilization or an average value",
        )


def _disruption_budget(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        yield causes.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    for field in ("minAvailable", "maxUnavailable"):
        yield from share(spec.get(field), f"spec.{field}")
        yield from _at_most_all(spec.get(field), f"spec.{field}")
    yield from metacheck.selector(spec.get("selector"), "spec.selector")


def _pod(obj: Object) -> Iterator[Cause]:
    yield from podcheck.check(obj.get("spec") or {})


def _pod_template(obj: Object) -> Iterator[Cause]:
    yield from template(obj.get("template") or {}, "template", ("Always", "OnFailure", "Never"))


CHECKS = {
    ("", "Pod"): _pod,
    ("", "PodTemplate"): _pod_template,
    ("", "ReplicationController"): _replication_controller,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("batch", "Job"): _job,
    ("batch", "CronJob"): _cron_job,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("policy", "PodDisruptionBudget"): _disruption_budget,
}
