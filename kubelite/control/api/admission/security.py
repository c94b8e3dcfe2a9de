"""PodSecurity: the level that a namespace's labels demand of its pods, enforced, warned of, or
noted for audit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.admission.podsecurity import LEVELS, minor_of, violations
from kubelite.control.api.wire import causes
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.status import invalid, refused
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt
    from kubelite.control.api.wire.status import Cause

_LABEL = "pod-security.kubernetes.io/"
_MOST_PODS = 3000
_WORKLOADS = ("deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs")
_TEMPLATES = (*_WORKLOADS, "replicationcontrollers", "podtemplates")


async def levels(attempt: Attempt) -> None:
    """Checks new and changed pods; templates of pods are warned about and noted only. Raises
    StatusError 403, 422.
    """
    res = attempt.request.resource
    if attempt.operation == "DELETE":
        return
    if attempt.of("", "namespaces"):
        _check_labels(attempt)
        await _look_at_pods(attempt)
    is_pod = (
        res.group == ""
        and res.plural == "pods"
        and attempt.request.sub in ("", "ephemeralcontainers")
    )
    if not is_pod and (res.plural not in _TEMPLATES or attempt.request.sub):
        return
    entry = await attempt.context.store.get("namespaces", "", attempt.namespace)
    if entry is None or _LABEL.encode() not in entry.value or (is_pod and not _matters(attempt)):
        return
    labels = load(entry)["metadata"].get("labels") or {}
    metadata, spec = _pod_of(attempt.obj, is_pod)
    _note(attempt, labels, metadata, spec)
    if is_pod:
        _enforce(attempt, labels, metadata, spec)
    _warn(attempt, labels, metadata, spec)


def _matters(attempt: Attempt) -> bool:
    """Whether a pod is new, or changed in what the levels look at: a label or a finalizer of an old
    one is no matter.
    """
    old = attempt.old
    if old is None or old.get("spec") != attempt.obj.get("spec"):
        return True
    return bool(old["metadata"].get("annotations") != attempt.obj["metadata"].get("annotations"))


def _pod_of(obj: Object, is_pod: bool) -> tuple[Object, Object]:
    """Metadata and spec of the pod, or of the template in a workload."""
    if is_pod:
        return obj["metadata"], obj.get("spec", {})
    spec = obj.get("spec", {})
    inner = (spec.get("jobTemplate") or {}).get("spec") or spec
    template = inner.get("template") or obj.get("template") or {}
    return template.get("metadata") or {}, template.get("spec") or {}


def _note(attempt: Attempt, labels: dict[str, str], metadata: Object, spec: Object) -> None:
    """What the audit log is to say: the policy that is enforced, and what breaks the one to be
    noted.
    """
    notes = attempt.request.notes
    notes[f"{_LABEL}enforce-policy"] = ":".join(_level(labels, "enforce"))
    if text := _broken(labels, "audit", metadata, spec):
        notes[f"{_LABEL}audit-violations"] = f"would violate {text}"


def _enforce(attempt: Attempt, labels: dict[str, str], metadata: Object, spec: Object) -> None:
    if text := _broken(labels, "enforce", metadata, spec):
        raise refused(attempt.request.resource, attempt.name, f"violates {text}")


def _warn(attempt: Attempt, labels: dict[str, str], metadata: Object, spec: Object) -> None:
    if text := _broken(labels, "warn", metadata, spec):
        attempt.warnings.append(f"would violate {text}")


def _broken(labels: dict[str, str], mode: str, metadata: Object, spec: Object) -> str:
    """Which policy a pod breaks, and how; "" where it does not."""
    level, version = _level(labels, mode)
    broken = violations(level, metadata, spec, version)
    return f'PodSecurity "{level}:{version}": ' + ", ".join(broken) if broken else ""


async def _look_at_pods(attempt: Attempt) -> None:
    """Warns of the pods that a namespace's new policy would not let in; they stay."""
    labels = attempt.obj["metadata"].get("labels") or {}
    old = ((attempt.old or {}).get("metadata") or {}).get("labels") or {}
    level, version = _level(labels, "enforce")
    if attempt.old is None or level == "privileged" or (level, version) == _level(old, "enforce"):
        return
    page = await attempt.context.store.page("pods", attempt.name, limit=_MOST_PODS)
    broken: dict[str, list[str]] = {}
    for entry in page.entries:
        pod = load(entry)
        if broken_rules := violations(level, pod["metadata"], pod.get("spec", {}), version):
            broken.setdefault(
                ", ".join(rule.partition(" (")[0] for rule in broken_rules), []
            ).append(pod["metadata"]["name"])
    if page.remaining:
        looked, every = len(page.entries), len(page.entries) + page.remaining
        attempt.warnings.append(
            f"new PodSecurity enforce level only checked against the first {looked} of {every} "
            "existing pods"
        )
    if broken:
        policy = f"{level}:{version}"
        attempt.warnings.append(
            f'existing pods in namespace "{attempt.name}" violate the new PodSecurity enforce '
            f'level "{policy}"'
        )
    attempt.warnings.extend(sorted(f"{_counted(names)}: {text}" for text, names in broken.items()))


def _counted(names: list[str]) -> str:
    """The first of some pods, and how many others there are."""
    others = len(names) - 1
    return (
        f"{min(names)} (and {others} other pod{'s' if others > 1 else ''})" if others else names[0]
    )


def _level(labels: dict[str, str], mode: str) -> tuple[str, str]:
    return labels.get(f"{_LABEL}{mode}", "privileged"), labels.get(
        f"{_LABEL}{mode}-version", "latest"
    )


def _check_labels(attempt: Attempt) -> None:
    labels = attempt.obj["metadata"].get("labels") or {}
    wrong: list[Cause] = []
    for mode in ("enforce", "audit", "warn"):
        key = f"{_LABEL}{mode}"
        if labels.get(key, LEVELS[0]) not in LEVELS:
            wrong.append(
                causes.invalid(
                    f"metadata.labels[{key}]", labels[key], f"must be one of {', '.join(LEVELS)}"
                )
            )
        key += "-version"
        if minor_of(labels.get(key, "latest")) is None:
            wrong.append(
                causes.invalid(f"metadata.labels[{key}]", labels[key], 'must be "latest" or "v1.x"')
            )
    if wrong:
        raise invalid(attempt.request.resource, attempt.name, wrong)
