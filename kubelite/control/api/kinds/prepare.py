"""What a server itself writes into an object before it is stored: status, generation, the parts a
path may not touch. Pure.

Kubernetes' strategies do this per kind (``PrepareForCreate``, ``PrepareForUpdate``); most of it is
one rule for all: the main resource does not touch ``status``, ``/status`` touches nothing else, and
a changed ``spec`` counts up the generation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.schema import structs
from kubelite.objects.facts import quantity, schema

if TYPE_CHECKING:
    from kubelite.control.api.wire.resource import Resource

Object = dict[str, Any]
KEEP_STATUS = (("", "Node"),)
_PHASES = {"Namespace": "Active", "PersistentVolumeClaim": "Pending", "PersistentVolume": "Pending"}
_GENERATED = {
    ("", "Pod"), ("", "ReplicationController"), ("apps", "Deployment"), ("apps", "ReplicaSet"), ("apps", "StatefulSet"),
    ("apps", "DaemonSet"), ("batch", "Job"), ("batch", "CronJob"), ("networking.k8s.io", "Ingress"),
    ("networking.k8s.io", "IngressClass"), ("networking.k8s.io", "NetworkPolicy"), ("policy", "PodDisruptionBudget"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"), ("discovery.k8s.io", "EndpointSlice"),
    ("scheduling.k8s.io", "PriorityClass"), ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
}  # fmt: skip
_UNCOUNTED = ("kind", "apiVersion", "metadata", "status")
_JOB_LABELS = "batch.kubernetes.io/"


def prepare_create(res: Resource, obj: Object) -> Object:
    """The object as it is first stored. It has its name, namespace and uid already."""
    made = {**obj, "metadata": dict(obj.get("metadata") or {})}
    if "status" in res.subresources and (res.group, res.kind) not in KEEP_STATUS:
        made.pop("status", None)
        if res.crd is None and (status := _first_status(res, made)) is not None:
            made["status"] = status
    made["metadata"].pop("generation", None)
    if res.crd is not None or (res.group, res.kind) in _GENERATED:
        made = {**made, "metadata": _with_generation(made["metadata"], 1)}
    if special := _CREATE.get((res.group, res.kind)):
        special(made)
    return made


def _first_status(res: Resource, obj: Object) -> Object | None:
    if (res.group, res.kind) == ("", "Pod"):
        return {"phase": "Pending", "qosClass": qos_class(obj["spec"])}
    if not res.group and res.kind in _PHASES:
        return {"phase": _PHASES[res.kind]}
    name = schema.name_of(res.group, res.version, res.kind)
    found: Object | None = structs.empty(name).get("status") if name else None
    return found


def _with_generation(metadata: Object, generation: int) -> Object:
    """Metadata with a generation, in its place in the servers' order."""
    found: Object = {}
    for key, value in metadata.items():
        if key in (
            "creationTimestamp",
            "deletionTimestamp",
            "labels",
            "annotations",
            "ownerReferences",
            "finalizers",
        ):
            found.setdefault("generation", generation)
        if key != "generation":
            found[key] = value
    found.setdefault("generation", generation)
    return found


def qos_class(spec: Object) -> str:
    """The quality of service class of a pod's spec: what it asks for of CPU and memory, against its
    limits.
    """
    sides: list[tuple[Object, Object]] = []
    for each in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        resources = each.get("resources") or {}
        sides.append((_counted(resources.get("requests")), _counted(resources.get("limits"))))
    if resources := spec.get("resources"):
        sides = [(_counted(resources.get("requests")), _counted(resources.get("limits")))]
    if not any(requests or limits for requests, limits in sides):
        return "BestEffort"
    exact = all(len(limits) == 2 and {**limits, **requests} == limits for requests, limits in sides)
    return "Guaranteed" if exact else "Burstable"


def _counted(amounts: Object | None) -> dict[str, int]:
    found = {
        name: quantity.parse(str(amount)).nano
        for name, amount in (amounts or {}).items()
        if name in ("cpu", "memory")
    }
    return {name: nano for name, nano in found.items() if nano}


def _namespace(obj: Object) -> None:
    spec = dict(obj.get("spec") or {})
    spec["finalizers"] = [
        *(each for each in spec.get("finalizers", ()) if each != "kubernetes"),
        "kubernetes",
    ]
    obj["spec"] = spec


def _job(obj: Object) -> None:
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


def _definition(obj: Object) -> None:
    obj["status"] = {"conditions": [], "acceptedNames": {"plural": "", "kind": ""}}
    obj["status"] = _with_stored(obj)


def _with_stored(obj: Object) -> Object:
    """The status of a definition, with the version that is stored now among those that ever were."""
    status = obj.get("status") or {}
    known = list(status.get("storedVersions") or ())
    now = [each["name"] for each in obj["spec"].get("versions") or () if each.get("storage")]
    return {**status, "storedVersions": known + [each for each in now if each not in known]}


_CREATE = {
    ("", "Namespace"): _namespace,
    ("batch", "Job"): _job,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}


def prepare_update(res: Resource, sub: str, new: Object, old: Object) -> Object:
    """The new state as far as a path may change it: the main resource, ``status``, or another part
    of the object.
    """
    if sub:
        return _PARTS[sub](new, old) if sub in _PARTS else new
    made = dict(new)
    if "status" in res.subresources:
        made.pop("status", None)
        made |= {"status": old["status"]} if "status" in old else {}
    if (res.group, res.kind) == ("", "Namespace"):
        made["spec"] = old.get("spec", {})
    if (res.group, res.kind) == ("apiextensions.k8s.io", "CustomResourceDefinition"):
        made["status"] = _with_stored(made)
    return _counted_up(res, made, old)


def _counted_up(res: Resource, new: Object, old: Object) -> Object:
    """The object with its generation: the old one, or one more when anything but metadata and
    status changed.
    """
    generation = old.get("metadata", {}).get("generation")
    if generation is None:
        if "generation" not in new.get("metadata", {}):
            return new
        return {**new, "metadata": {k: v for k, v in new["metadata"].items() if k != "generation"}}
    changed = any(new.get(key) != old.get(key) for key in {*new, *old} if key not in _UNCOUNTED)
    leaving = (
        "deletionTimestamp" in new.get("metadata", {})
        and "deletionTimestamp" not in old["metadata"]
    )
    wanted = generation + 1 if changed or leaving else generation
    if new["metadata"].get("generation") == wanted:
        return new
    return {**new, "metadata": _with_generation(new["metadata"], wanted)}


def _status(new: Object, old: Object) -> Object:
    made = {key: value for key, value in old.items() if key != "status"}
    made |= {"status": new["status"]} if "status" in new else {}
    held = new.get("metadata", {}).get("managedFields")
    return (
        made if held is None else {**made, "metadata": {**made["metadata"], "managedFields": held}}
    )


def _with_spec(old: Object, **parts: Any) -> Object:
    return {
        **old,
        "spec": {
            **old["spec"],
            **{key: value for key, value in parts.items() if value is not None},
        },
    }


def _ephemeral(new: Object, old: Object) -> Object:
    return _pod_changed(
        _with_spec(old, ephemeralContainers=new["spec"].get("ephemeralContainers")), old
    )


def _resize(new: Object, old: Object) -> Object:
    """Only the resources of containers that exist, and their resize policies."""
    parts: Object = {}
    for group in ("initContainers", "containers"):
        wanted = {each["name"]: each for each in new["spec"].get(group) or ()}
        if group in old["spec"]:
            parts[group] = [
                _resized(wanted.get(each["name"], each), each) for each in old["spec"][group]
            ]
    return _pod_changed(_with_spec(old, **parts), old)


def _resized(wanted: Object, each: Object) -> Object:
    return {**each, **{key: wanted[key] for key in ("resources", "resizePolicy") if key in wanted}}


def _pod_changed(new: Object, old: Object) -> Object:
    generation = old["metadata"].get("generation")
    if generation is None or new["spec"] == old["spec"]:
        return new
    return {**new, "metadata": _with_generation(old["metadata"], generation + 1)}


def _finalize(new: Object, old: Object) -> Object:
    spec = {key: value for key, value in old.get("spec", {}).items() if key != "finalizers"}
    wanted = (new.get("spec") or {}).get("finalizers")
    return {**old, "spec": {**spec, "finalizers": wanted} if wanted else spec}


def _approval(new: Object, old: Object) -> Object:
    status = {
        **(old.get("status") or {}),
        "conditions": (new.get("status") or {}).get("conditions", []),
    }
    return {**old, "status": status}


_PARTS = {
    "status": _status,
    "ephemeralcontainers": _ephemeral,
    "resize": _resize,
    "finalize": _finalize,
    "approval": _approval,
}
