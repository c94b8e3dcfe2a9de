"""PodSecurity: the level that a namespace's labels demand of its pods, enforced, warned of, or noted for audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.admission.podsecurity import LEVELS, violations
from kubelite.control.api.documents import load
from kubelite.control.api.status import Cause, invalid, refused

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt

Object = dict[str, Any]
_LABEL = "pod-security.kubernetes.io/"
_WORKLOADS = ("deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs")
_TEMPLATES = (*_WORKLOADS, "replicationcontrollers", "podtemplates")


async def levels(attempt: Attempt) -> None:
    """Checks new and changed pods; templates of pods are only warned about. Raises StatusError 403."""
    res = attempt.request.resource
    if attempt.of("", "namespaces") and attempt.operation != "DELETE":
        _check_labels(attempt)
    if attempt.operation == "DELETE" or not res.namespaced:
        return
    is_pod = res.group == "" and res.plural == "pods" and attempt.request.sub in ("", "ephemeralcontainers")
    if not is_pod and (res.plural not in _TEMPLATES or attempt.request.sub):
        return
    entry = await attempt.context.store.get("namespaces", "", attempt.namespace)
    if entry is None or _LABEL.encode() not in entry.value:
        return
    labels = load(entry)["metadata"].get("labels") or {}
    metadata, spec = _pod_of(attempt.obj, is_pod)
    if is_pod:
        _enforce(attempt, labels, metadata, spec)
    _warn(attempt, labels, metadata, spec)


def _pod_of(obj: Object, is_pod: bool) -> tuple[Object, Object]:
    """Metadata and spec of the pod, or of the template in a workload."""
    if is_pod:
        return obj["metadata"], obj.get("spec", {})
    spec = obj.get("spec", {})
    inner = (spec.get("jobTemplate") or {}).get("spec") or spec
    template = inner.get("template") or obj.get("template") or {}
    return template.get("metadata") or {}, template.get("spec") or {}


def _enforce(attempt: Attempt, labels: dict[str, str], metadata: Object, spec: Object) -> None:
    level, version = _level(labels, "enforce")
    found = violations(level, metadata, spec)
    if found:
        why = f'violates PodSecurity "{level}:{version}": ' + ", ".join(found)
        raise refused(attempt.request.resource, attempt.name, why)


def _warn(attempt: Attempt, labels: dict[str, str], metadata: Object, spec: Object) -> None:
    level, version = _level(labels, "warn")
    found = violations(level, metadata, spec)
    if found:
        attempt.warnings.append(f'would violate PodSecurity "{level}:{version}": ' + ", ".join(found))


def _level(labels: dict[str, str], mode: str) -> tuple[str, str]:
    return labels.get(f"{_LABEL}{mode}", "privileged"), labels.get(f"{_LABEL}{mode}-version", "latest")


def _check_labels(attempt: Attempt) -> None:
    labels = attempt.obj["metadata"].get("labels") or {}
    causes = [
        Cause("FieldValueInvalid", f'Invalid value: "{value}": must be one of {", ".join(LEVELS)}', f"metadata.labels[{key}]")
        for key, value in labels.items()
        if key in [f"{_LABEL}{mode}" for mode in ("enforce", "warn", "audit")] and value not in LEVELS
    ]
    if causes:
        raise invalid(attempt.request.resource, attempt.name, causes)
