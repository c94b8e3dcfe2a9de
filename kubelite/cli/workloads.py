"""Objects with a pod template as the pods that they are on one machine, without a cluster. Pure.

Names count from 0, so that a changed manifest finds the pods of the one before. Identity and claims
of a StatefulSet's pods and the index of an Indexed Job's are those that their controllers give.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

from kubelite.control.controllers.batch import job_pods
from kubelite.control.controllers.workloads import statefulset_claims, statefulset_pods
from kubelite.lib.json import Object
from kubelite.objects.pod.support import NO_EFFECT, Finding, Level
from kubelite.objects.rules.cause import Path

OWNER = "kubelite.io/owner"
"""The annotation of a pod that was made from a template: ``Deployment/web``."""
_TEMPLATE: Path = ("spec", "template")
_JOB: Path = ("spec", "jobTemplate")
_COUNTED = frozenset({"replicas", "selector", "template"})
_JOBS = frozenset(
    {"completions", "parallelism", "completionMode", "selector", "template", "suspend"}
)
_ALONE = "no controller looks after local pods"


class Family(NamedTuple):
    """How a kind has its pods: where its template stands, and which fields of its spec count."""

    template: Path
    honoured: frozenset[str]


FAMILIES = {
    ("v1", "ReplicationController"): Family(_TEMPLATE, _COUNTED),
    ("apps/v1", "ReplicaSet"): Family(_TEMPLATE, _COUNTED),
    ("apps/v1", "Deployment"): Family(_TEMPLATE, _COUNTED),
    ("apps/v1", "DaemonSet"): Family(_TEMPLATE, _COUNTED),
    ("apps/v1", "StatefulSet"): Family(
        _TEMPLATE, _COUNTED | {"serviceName", "ordinals", "volumeClaimTemplates"}
    ),
    ("batch/v1", "Job"): Family(_TEMPLATE, _JOBS),
    ("batch/v1", "CronJob"): Family((*_JOB, *_TEMPLATE), frozenset({"jobTemplate", "suspend"})),
}


def family_of(value: Any) -> Family | None:
    """How an object of a manifest has its pods; None for one that has none."""
    if not isinstance(value, dict):
        return None
    version, kind = value.get("apiVersion"), value.get("kind")
    if not isinstance(version, str) or not isinstance(kind, str):
        return None
    return FAMILIES.get((version, kind))


def owner_of(value: Object) -> str:
    """What its pods say of whom they belong to."""
    return f"{value['kind']}/{(value.get('metadata') or {}).get('name') or ''}"


def template_of(value: Object) -> Object:
    """The pod template of an object that has pods; empty where it is missing."""
    template: Any = value
    for step in FAMILIES[value["apiVersion"], value["kind"]].template:
        template = (template.get(step) or {}) if isinstance(template, dict) else {}
    return template if isinstance(template, dict) else {}


def pods(value: Object) -> list[Object]:
    """The pods of a defaulted or plain object; none where it asks for none."""
    kind = value["kind"]
    if kind in ("Job", "CronJob"):
        return _pods_of_job(value)
    first, count = 0, 1
    if kind == "StatefulSet":
        first, count = statefulset_pods.start_of(value), statefulset_pods.replicas_of(value)
    elif kind != "DaemonSet":
        replicas = value["spec"].get("replicas")
        count = 1 if replicas is None else replicas
    local_pods = [_pod(value, number) for number in range(first, first + count)]
    if kind == "StatefulSet":
        for number, pod in enumerate(local_pods, first):
            statefulset_pods.give_identity(value, pod, number)
    return local_pods


def _pods_of_job(value: Object) -> list[Object]:
    """All completions at once; without a number of them as many pods as may run at once."""
    job = value["spec"]["jobTemplate"] if value["kind"] == "CronJob" else value
    spec = job["spec"]
    if spec.get("suspend") or value["spec"].get("suspend"):
        return []
    count = spec.get("completions")
    if count is None:
        count = spec.get("parallelism")
    local_pods = [_pod(value, number) for number in range(1 if count is None else count)]
    if job_pods.is_indexed(job):
        for number, pod in enumerate(local_pods):
            job_pods.give_index(pod, value["metadata"]["name"], number)
    return local_pods


def _pod(value: Object, number: int) -> Object:
    template, owner = copy.deepcopy(template_of(value)), value.get("metadata") or {}
    given = template.get("metadata") or {}
    metadata = {**given, "name": f"{owner.get('name') or ''}-{number}"}
    metadata["annotations"] = {**(given.get("annotations") or {}), OWNER: owner_of(value)}
    if owner.get("namespace"):
        metadata["namespace"] = owner["namespace"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": template.get("spec") or {},
    }


def claims(value: Object) -> list[Object]:
    """The claims of a StatefulSet's pods, from its templates."""
    if value["kind"] != "StatefulSet":
        return []
    first = statefulset_pods.start_of(value)
    return [
        statefulset_claims.claim_of(value, template, number)
        for number in range(first, first + statefulset_pods.replicas_of(value))
        for template in statefulset_claims.claim_templates(value)
    ]


def findings(value: Object) -> Iterator[Finding]:
    """What of the object, beside its template, has no effect on one machine."""
    spec, family = value.get("spec") or {}, FAMILIES[value["apiVersion"], value["kind"]]
    if value["kind"] == "CronJob":
        text = "schedule has no effect: without a cluster the job runs once, now"
        yield Finding(Level.LOUD, ("spec", "schedule"), text, NO_EFFECT)
        yield from _without_effect(
            (spec.get("jobTemplate") or {}).get("spec") or {}, _JOBS, (*_JOB, "spec")
        )
    completions, parallelism = spec.get("completions") or 1, spec.get("parallelism")
    if value["kind"] == "Job" and parallelism is not None and completions > parallelism:
        text = f"parallelism has no effect: all {completions} completions run at once"
        yield Finding(Level.LOUD, ("spec", "parallelism"), text, NO_EFFECT)
    yield from _without_effect(spec, family.honoured | {"schedule"}, ("spec",))


def _without_effect(spec: Object, honoured: frozenset[str], path: Path) -> Iterator[Finding]:
    for field in spec:
        if field not in honoured:
            text = f"{field} has no effect: {_ALONE}"
            yield Finding(Level.QUIET, (*path, field), text, NO_EFFECT)
