"""Pods and pod templates, as the API stores them. Pure.

Defaults and checks of a pod's spec are in ``kubelite/objects/rules/pods``, as ``pod up`` has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.common import metadata, pod_defaults
from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.schema import structs
from kubelite.control.api.tables import pod_cells
from kubelite.control.api.tables.columns import columns, wide
from kubelite.control.api.tables.text import (
    container_cells,
    lookup,
    name_of,
    shown_labels,
)
from kubelite.control.api.wire import causes
from kubelite.objects.rules import printing
from kubelite.objects.rules.cause import copied
from kubelite.objects.rules.pods import changes, checks, creation, warnings
from kubelite.objects.rules.pods.placement import SCHEDULING_GATED
from kubelite.objects.rules.pods.resources import qos_class
from kubelite.objects.rules.pods.volumes import HOST_PATH_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
Cells = list[Any]


def _default_pod(obj: Any) -> None:
    status = obj.status
    # Old clients know one address: it decides, and the list follows it.
    if status.podIP and (not status.podIPs or status.podIPs[0].ip != status.podIP):
        status.podIPs = [structs.new("core.v1.PodIP", ip=status.podIP)]


def _prepare_new_pod(obj: Object) -> None:
    if creation.is_written_into(obj):
        obj["spec"] = copied(obj["spec"])
        creation.merge_label_keys(obj)
        creation.app_armor_fields(obj)


def check_template(given: Object, path: str) -> Iterator[Cause]:
    """A pod template: its labels and annotations, and the specification of its pods."""
    return causes.of_rules(checks.template(given, (path,)))


def check_restarting_template(given: Object, path: str, kind: str) -> Iterator[Cause]:
    """A pod template of a kind whose pods are always started again."""
    yield from check_template(given, path)
    spec = given.get("spec") or {}
    policy = spec.get("restartPolicy", "Always")
    if policy != "Always":
        yield causes.unsupported(f"{path}.spec.restartPolicy", policy, ("Always",))
    if spec.get("activeDeadlineSeconds") is not None:
        why = f"activeDeadlineSeconds in {kind} is not Supported"
        yield causes.forbidden(f"{path}.spec.activeDeadlineSeconds", why)


def _check_pod(obj: Object) -> Iterator[Cause]:
    return causes.of_rules(checks.body(obj))


def _check_pod_template(obj: Object) -> Iterator[Cause]:
    return causes.of_rules(checks.template(obj.get("template") or {}, ("template",)))


def _check_new_pod(obj: Object) -> Iterator[Cause]:
    return causes.of_rules(checks.only_on_create(obj))


def _check_pod_update(new: Object, old: Object) -> Iterator[Cause]:
    return causes.of_rules(changes.on_update(new, old))


def _check_ephemeral_update(new: Object, old: Object) -> Iterator[Cause]:
    return causes.of_rules(changes.on_ephemeral_update(new, old))


def _check_resize(new: Object, old: Object) -> Iterator[Cause]:
    return causes.of_rules(changes.on_resize(new, old))


def _check_status_update(new: Object, old: Object) -> Iterator[Cause]:
    return causes.of_rules(changes.on_status_update(new, old))


def _pod_warnings(obj: Object) -> Iterator[str]:
    return warnings.of_pod(obj["metadata"], obj["spec"])


def _sent_warnings(obj: Object) -> Iterator[str]:
    return warnings.app_armor_annotations(obj["metadata"], obj.get("spec") or {})


def template_warnings(*steps: str) -> Callable[[Object], Iterator[str]]:
    """The ``warnings`` of a kind that has a pod template at a path."""

    def rule(obj: Object) -> Iterator[str]:
        here: Any = obj
        for step in steps:
            here = here.get(step) or {}
        return warnings.of_pod(
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
    status: Object = {"phase": "Pending", "qosClass": qos_class(pod["spec"])}
    if pod["spec"].get("schedulingGates"):
        status["conditions"] = [_gated_condition(pod)]
    return status


def _gated_condition(pod: Object) -> Object:
    """Says that no scheduler looks at the pod before its gates are gone."""
    return {
        "type": "PodScheduled",
        "status": "False",
        "reason": "SchedulingGated",
        "message": SCHEDULING_GATED,
        "lastProbeTime": None,
        "lastTransitionTime": pod["metadata"].get("creationTimestamp"),
    }


def _with_spec(old: Object, **parts: Any) -> Object:
    spec = {**old["spec"], **parts}
    return {**old, "spec": {key: value for key, value in spec.items() if value is not None}}


def _prepare_ephemeral(new: Object, old: Object) -> Object:
    return _pod_changed(
        _with_spec(old, ephemeralContainers=new["spec"].get("ephemeralContainers")), old
    )


def _prepare_resize(new: Object, old: Object) -> Object:
    """Only the resources of containers that exist, and their resize policies. A container more is
    left for the check to refuse.
    """
    parts: Object = {}
    for group in ("initContainers", "containers"):
        known = {container["name"]: container for container in old["spec"].get(group) or ()}
        if wanted := new["spec"].get(group):
            parts[group] = [
                _resized(container, known.get(container.get("name"), container))
                for container in wanted
            ]
    return _pod_changed(_with_spec(old, **parts), old)


def _resized(wanted: Object, container: Object) -> Object:
    return {
        **container,
        **{key: wanted[key] for key in ("resources", "resizePolicy") if key in wanted},
    }


def _pod_changed(new: Object, old: Object) -> Object:
    generation = old["metadata"].get("generation")
    if generation is None or new["spec"] == old["spec"]:
        return new
    return {**new, "metadata": metadata.with_generation(old["metadata"], generation + 1)}


KINDS: dict[tuple[str, str], Rules] = {
    ("", "Pod"): Rules(
        status_metadata=("annotations", "finalizers", "labels"),
        defaults=_default_pod,
        document_defaults=pod_defaults.pod,
        check=_check_pod,
        prepare_create=_prepare_new_pod,
        check_create=_check_new_pod,
        # Pods are changed by machines: nobody would read a warning.
        warns_on_update=False,
        check_update=_check_pod_update,
        warnings=_pod_warnings,
        sent_warnings=_sent_warnings,
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
        check_subresource={
            "ephemeralcontainers": _check_ephemeral_update,
            "resize": _check_resize,
            "status": _check_status_update,
        },
        row_conditions=printing.row_conditions,
        values={
            "core.v1.Toleration": {"effect": ("NoExecute", "NoSchedule", "PreferNoSchedule")},
            "core.v1.HostPathVolumeSource": {"type": HOST_PATH_TYPES},
        },
    ),
    ("", "PodTemplate"): Rules(
        document_defaults=pod_defaults.template,
        has_generation=True,
        check=_check_pod_template,
        warnings=template_warnings("template"),
        columns=columns("Name", "Containers", "Images", "Pod Labels"),
        cells=_pod_template_cells,
        returned_on_delete=True,
    ),
}
