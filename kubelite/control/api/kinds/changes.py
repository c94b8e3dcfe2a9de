"""What may not change in an object that exists. Old and new document in, causes out. Pure.

Rules are those of Kubernetes' ``Validate...Update`` functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds import kindcheck
from kubelite.control.api.kinds.metacheck import IMMUTABLE
from kubelite.control.api.wire import causes
from kubelite.objects.facts import quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
_POD = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_STATEFUL_SET = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_STATEFUL_SET_FIELDS = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)  # fmt: skip
_CLAIM = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
_JOB_FIELDS = (
    "selector",
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
)


def check(group: str, kind: str, new: Object, old: Object) -> Iterator[Cause]:
    """What changed and may not."""
    if rule := _KINDS.get((group, kind)):
        yield from rule(new, old)


def _same(*paths: str) -> Callable[[Object, Object], Iterator[Cause]]:
    """A rule for fields that never change once they are there."""

    def rule(new: Object, old: Object) -> Iterator[Cause]:
        for path in paths:
            now, was = _at(new, path), _at(old, path)
            if now != was:
                yield causes.invalid(path, now, IMMUTABLE)

    return rule


def _at(obj: Object, path: str) -> Any:
    found: Any = obj
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _pod(new: Object, old: Object) -> Iterator[Cause]:
    now, was = new.get("spec") or {}, old.get("spec") or {}
    if now == was:
        return
    for group in ("containers", "initContainers"):
        if len(now.get(group) or ()) != len(was.get(group) or ()):
            yield causes.forbidden(f"spec.{group}", "pod updates may not add or remove containers")
            return
    deadline, before = now.get("activeDeadlineSeconds"), was.get("activeDeadlineSeconds")
    if before is not None and (deadline is None or deadline > before):
        why = (
            "must be less than or equal to previous value"
            if deadline
            else "must not update from a positive integer to nil value"
        )
        yield causes.invalid("spec.activeDeadlineSeconds", deadline, why)
    kept = set(map(causes.shown, was.get("tolerations") or ()))
    if kept - set(map(causes.shown, now.get("tolerations") or ())):
        yield causes.forbidden(
            "spec.tolerations",
            "existing toleration can not be modified except its tolerationSeconds",
        )
    gates = {each.get("name") for each in was.get("schedulingGates") or ()}
    for index, gate in enumerate(now.get("schedulingGates") or ()):
        if gate.get("name") not in gates:
            yield causes.forbidden(
                f"spec.schedulingGates[{index}].name",
                "only deletion is allowed, but found new scheduling gate",
            )
    if _fixed(now, bool(gates)) != _fixed(was, bool(gates)):
        yield causes.forbidden("spec", _POD)


def _fixed(spec: Object, gated: bool) -> Object:
    """The part of a pod's spec that may not change; one that waits at a gate may still be told
    where to go.
    """
    loose = {
        "activeDeadlineSeconds",
        "tolerations",
        "schedulingGates",
        "containers",
        "initContainers",
        "ephemeralContainers",
    }
    loose |= {"nodeSelector", "affinity"} if gated else set()
    found = {key: value for key, value in spec.items() if key not in loose}
    for group in ("containers", "initContainers"):
        found[group] = [{**each, "image": ""} for each in spec.get(group) or ()]
    return found


def _ephemeral(new: Object, old: Object) -> Iterator[Cause]:
    now = {each["name"]: each for each in (new.get("spec") or {}).get("ephemeralContainers") or ()}
    for index, each in enumerate((old.get("spec") or {}).get("ephemeralContainers") or ()):
        if now.get(each["name"]) != each:
            why = "existing ephemeral containers may not be changed or removed"
            yield causes.forbidden(f"spec.ephemeralContainers[{index}]", why)


def _stateful_set(new: Object, old: Object) -> Iterator[Cause]:
    now = {key: value for key, value in new["spec"].items() if key not in _STATEFUL_SET_FIELDS}
    if now != {key: value for key, value in old["spec"].items() if key not in _STATEFUL_SET_FIELDS}:
        yield causes.forbidden("spec", _STATEFUL_SET)


def _job(new: Object, old: Object) -> Iterator[Cause]:
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


def _service(new: Object, old: Object) -> Iterator[Cause]:
    now, was = new.get("spec") or {}, old.get("spec") or {}
    if "ExternalName" in (now.get("type"), was.get("type")):
        return
    if was.get("clusterIP") and now.get("clusterIP") != was["clusterIP"]:
        yield causes.invalid(
            "spec.clusterIPs[0]", [now.get("clusterIP", "")], "may not change once set"
        )


def _unchangeable(new: Object, old: Object) -> Iterator[Cause]:
    """ConfigMap and Secret that said they are immutable."""
    if not old.get("immutable"):
        return
    why = "field is immutable when `immutable` is set"
    if not new.get("immutable"):
        yield causes.forbidden("immutable", why)
    for field in ("data", "binaryData"):
        if (new.get(field) or {}) != (old.get(field) or {}):
            yield causes.forbidden(field, why)


def _secret(new: Object, old: Object) -> Iterator[Cause]:
    yield from _unchangeable(new, old)
    yield from _same("type")(new, old)


def _claim(new: Object, old: Object) -> Iterator[Cause]:
    now, was = dict(new.get("spec") or {}), dict(old.get("spec") or {})
    for field in ("resources", "volumeAttributesClassName"):
        now.pop(field, None)
        was.pop(field, None)
    if not was.get("volumeName"):
        now.pop("volumeName", None)
    if was.get("storageClassName") is None:
        now.pop("storageClassName", None)
    if now != was:
        yield causes.forbidden("spec", _CLAIM)
    asked, given = (_at(each, "spec.resources.requests") or {} for each in (new, old))
    if (
        quantity.parse(str(asked.get("storage", "0"))).nano
        < quantity.parse(str(given.get("storage", "0"))).nano
    ):
        yield causes.forbidden(
            "spec.resources.requests.storage", "field can not be less than previous value"
        )


def _volume(new: Object, old: Object) -> Iterator[Cause]:
    if kindcheck.sources(new.get("spec") or {}) != kindcheck.sources(old.get("spec") or {}):
        why = "spec.persistentvolumesource is immutable after creation"
        yield causes.forbidden("spec.persistentvolumesource", why)
    yield from _same("spec.volumeMode")(new, old)


def _storage_class(new: Object, old: Object) -> Iterator[Cause]:
    for field in ("parameters", "provisioner", "reclaimPolicy"):
        if new.get(field) != old.get(field):
            yield causes.forbidden(field, f"updates to {field} are forbidden.")
    yield from _same("volumeBindingMode")(new, old)


def _binding(new: Object, old: Object) -> Iterator[Cause]:
    if new.get("roleRef") != old.get("roleRef"):
        yield causes.invalid("roleRef", new.get("roleRef"), "cannot change roleRef")


def _priority_class(new: Object, old: Object) -> Iterator[Cause]:
    if new.get("value", 0) != old.get("value", 0):
        yield causes.forbidden("value", "may not be changed in an update.")
    yield from _same("preemptionPolicy")(new, old)


def _node(new: Object, old: Object) -> Iterator[Cause]:
    for field in ("podCIDR", "providerID"):
        was = _at(old, f"spec.{field}")
        if was and _at(new, f"spec.{field}") != was:
            yield causes.forbidden(
                "spec", "node updates may only change labels, taints, or capacity"
            )


_SELECTOR = _same("spec.selector")
_KINDS: dict[tuple[str, str], Callable[[Object, Object], Iterator[Cause]]] = {
    ("", "Pod"): _pod,
    ("", "Pod/ephemeralcontainers"): _ephemeral,
    ("", "Service"): _service,
    ("", "ConfigMap"): _unchangeable,
    ("", "Secret"): _secret,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "PersistentVolume"): _volume,
    ("", "Node"): _node,
    ("apps", "Deployment"): _SELECTOR,
    ("apps", "ReplicaSet"): _SELECTOR,
    ("apps", "DaemonSet"): _SELECTOR,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "ControllerRevision"): _same("data"),
    ("batch", "Job"): _job,
    ("networking.k8s.io", "IngressClass"): _same("spec.controller"),
    ("node.k8s.io", "RuntimeClass"): _same("handler"),
    ("discovery.k8s.io", "EndpointSlice"): _same("addressType"),
    ("storage.k8s.io", "StorageClass"): _storage_class,
    ("storage.k8s.io", "VolumeAttachment"): _same("spec"),
    ("scheduling.k8s.io", "PriorityClass"): _priority_class,
    ("certificates.k8s.io", "CertificateSigningRequest"): _same("spec"),
    ("rbac.authorization.k8s.io", "RoleBinding"): _binding,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _binding,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _same(
        "spec.group", "spec.names.plural", "spec.scope"
    ),
}
