"""Pods and pod templates, as the API stores them; the rules of a pod's spec stand elsewhere. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds import metadata, podadvice, podcheck, poddefaults
from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.tables import pod_cells
from kubelite.control.api.tables.columns import columns, wide
from kubelite.control.api.tables.text import (
    container_cells,
    lookup,
    name_of,
    shown_labels,
)
from kubelite.control.api.wire import causes
from kubelite.objects.facts import quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
Cells = list[Any]


def _default_pod(obj: Any) -> None:
    poddefaults.pod(obj.spec)


def _default_pod_template(obj: Any) -> None:
    poddefaults.template(obj.template.spec)


def check_template(
    given: Object, path: str, restart: tuple[str, ...] = ("Always",)
) -> Iterator[Cause]:
    """A pod template: its metadata, its spec, and how its pods may restart."""
    yield from metadata.contents(given.get("metadata") or {}, f"{path}.metadata")
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


def _check_pod(obj: Object) -> Iterator[Cause]:
    yield from podcheck.check(obj.get("spec") or {})


def _check_pod_template(obj: Object) -> Iterator[Cause]:
    yield from check_template(
        obj.get("template") or {}, "template", ("Always", "OnFailure", "Never")
    )


_POD = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def _check_new_pod(obj: Object) -> Iterator[Cause]:
    if obj["spec"].get("ephemeralContainers"):
        yield causes.forbidden("spec.ephemeralContainers", "cannot be set on create")


def _check_pod_update(new: Object, old: Object) -> Iterator[Cause]:
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
    if _fixed_part(now, bool(gates)) != _fixed_part(was, bool(gates)):
        yield causes.forbidden("spec", _POD)


def _fixed_part(spec: Object, gated: bool) -> Object:
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


def _check_ephemeral_update(new: Object, old: Object) -> Iterator[Cause]:
    now = {each["name"]: each for each in (new.get("spec") or {}).get("ephemeralContainers") or ()}
    for index, each in enumerate((old.get("spec") or {}).get("ephemeralContainers") or ()):
        if now.get(each["name"]) != each:
            why = "existing ephemeral containers may not be changed or removed"
            yield causes.forbidden(f"spec.ephemeralContainers[{index}]", why)


def _pod_warnings(obj: Object) -> Iterator[str]:
    return podadvice.pod(obj["metadata"], obj["spec"])


def template_warnings(*steps: str) -> Callable[[Object], Iterator[str]]:
    """The ``warnings`` of a kind that has a pod template at a path."""

    def rule(obj: Object) -> Iterator[str]:
        here: Any = obj
        for step in steps:
            here = here.get(step) or {}
        return podadvice.pod(
            here.get("metadata") or {}, here.get("spec") or {}, ".".join(steps) + "."
        )

    return rule


WORKLOAD_WARNINGS = template_warnings("spec", "template")


def _pod_template_cells(obj: Object, now: datetime) -> Cells:
    """Name, Containers, Images, Pod Labels."""
    return [
        name_of(obj),
        *container_cells(lookup(obj, "template.spec", {})),
        shown_labels(lookup(obj, "template.metadata.labels")),
    ]


def _initial_pod_status(pod: Object) -> Object:
    return {"phase": "Pending", "qosClass": qos_class(pod["spec"])}


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


def _with_spec(old: Object, **parts: Any) -> Object:
    return {
        **old,
        "spec": {
            **old["spec"],
            **{key: value for key, value in parts.items() if value is not None},
        },
    }


def _prepare_ephemeral(new: Object, old: Object) -> Object:
    return _pod_changed(
        _with_spec(old, ephemeralContainers=new["spec"].get("ephemeralContainers")), old
    )


def _prepare_resize(new: Object, old: Object) -> Object:
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
    return {**new, "metadata": metadata.with_generation(old["metadata"], generation + 1)}


KINDS: dict[tuple[str, str], Rules] = {
    ("", "Pod"): Rules(
        defaults=_default_pod,
        check=_check_pod,
        check_create=_check_new_pod,
        check_update=_check_pod_update,
        warnings=_pod_warnings,
        columns=columns(
            "Name",
            "Ready",
            "Status",
            "Restarts",
            "Age",
            wide("IP"),
            wide("Node"),
            wide("Nominated Node"),
            wide("Readiness Gates"),
        ),
        cells=pod_cells.cells,
        returned_on_delete=True,
        has_generation=True,
        selectable=(
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ),
        initial_status=_initial_pod_status,
        hostname_use="the Pod's hostname",
        prepare_subresource={"ephemeralcontainers": _prepare_ephemeral, "resize": _prepare_resize},
        check_subresource={"ephemeralcontainers": _check_ephemeral_update},
        row_conditions=pod_cells.conditions,
        values={
            "core.v1.PodSpec": {
                "restartPolicy": ("Always", "OnFailure", "Never"),
                "dnsPolicy": ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
                "preemptionPolicy": ("Never", "PreemptLowerPriority"),
            },
            "core.v1.Container": {
                "imagePullPolicy": ("Always", "IfNotPresent", "Never"),
                "terminationMessagePolicy": ("FallbackToLogsOnError", "File"),
                "restartPolicy": ("Always", "Never", "OnFailure"),
            },
            "core.v1.EphemeralContainer": {"imagePullPolicy": ("Always", "IfNotPresent", "Never")},
            "core.v1.ContainerPort": {"protocol": ("SCTP", "TCP", "UDP")},
            "core.v1.ContainerResizePolicy": {"restartPolicy": ("NotRequired", "RestartContainer")},
            "core.v1.HTTPGetAction": {"scheme": ("HTTP", "HTTPS")},
            "core.v1.Toleration": {
                "operator": ("Equal", "Exists", "Gt", "Lt"),
                "effect": ("NoExecute", "NoSchedule", "PreferNoSchedule"),
            },
            "core.v1.NodeSelectorRequirement": {
                "operator": ("DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn")
            },
            "core.v1.TopologySpreadConstraint": {
                "whenUnsatisfiable": ("DoNotSchedule", "ScheduleAnyway"),
                "nodeAffinityPolicy": ("Honor", "Ignore"),
                "nodeTaintsPolicy": ("Honor", "Ignore"),
            },
            "core.v1.VolumeMount": {
                "mountPropagation": ("Bidirectional", "HostToContainer", "None"),
                "recursiveReadOnly": ("Disabled", "Enabled", "IfPossible"),
            },
            "core.v1.HostPathVolumeSource": {
                "type": (
                    "BlockDevice",
                    "CharDevice",
                    "Directory",
                    "DirectoryOrCreate",
                    "File",
                    "FileOrCreate",
                    "Socket",
                )
            },
            "core.v1.SeccompProfile": {"type": ("Localhost", "RuntimeDefault", "Unconfined")},
            "core.v1.AppArmorProfile": {"type": ("Localhost", "RuntimeDefault", "Unconfined")},
            "core.v1.PodSecurityContext": {
                "fsGroupChangePolicy": ("Always", "OnRootMismatch"),
                "supplementalGroupsPolicy": ("Merge", "Strict"),
            },
            "core.v1.SecurityContext": {"procMount": ("Default", "Unmasked")},
            "core.v1.PodOS": {"name": ("linux", "windows")},
        },
        may_be_empty=(
            "core.v1.ContainerPort.containerPort",
            "core.v1.HTTPHeader.value",
            "core.v1.Sysctl.value",
        ),
    ),
    ("", "PodTemplate"): Rules(
        defaults=_default_pod_template,
        check=_check_pod_template,
        warnings=template_warnings("template"),
        columns=columns("Name", "Containers", "Images", "Pod Labels"),
        cells=_pod_template_cells,
        returned_on_delete=True,
    ),
}
