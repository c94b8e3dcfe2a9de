"""What keeps pods running: Deployments, ReplicaSets, StatefulSets, DaemonSets and
ReplicationControllers. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.common import metadata, pod_defaults
from kubelite.control.api.kinds.common.checks import (
    NOT_NEGATIVE,
    check_at_most_all,
    check_share,
    not_negative,
    unchanged,
)
from kubelite.control.api.kinds.pod import WORKLOAD_WARNINGS, check_restarting_template
from kubelite.control.api.kinds.rules import CheckUpdate, Rules
from kubelite.control.api.kinds.storage import check_claim_spec, default_claim
from kubelite.control.api.schema import structs
from kubelite.control.api.tables.columns import columns, integer, wide
from kubelite.control.api.tables.text import (
    NONE,
    age_of,
    container_cells,
    lookup,
    name_of,
    shown_labels,
    shown_selector,
)
from kubelite.control.api.wire import causes
from kubelite.control.api.wire.selectors import matcher
from kubelite.lib.json import Object
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Cells = list[Any]
_RETENTION, _RETENTIONS = "persistentVolumeClaimRetentionPolicy", ("Retain", "Delete")
_STRATEGY = "apps.v1.DeploymentStrategy"
_DAEMON_STRATEGY = "apps.v1.DaemonSetUpdateStrategy"


def _default_replicas(spec: Any) -> None:
    if spec.replicas is None:
        spec.replicas = 1


def _default_history_limit(spec: Any) -> None:
    if spec.revisionHistoryLimit is None:
        spec.revisionHistoryLimit = 10


def _default_deployment(obj: Any) -> None:
    spec = obj.spec
    _default_replicas(spec)
    _default_history_limit(spec)
    strategy = spec.strategy
    strategy.type = strategy.type or "RollingUpdate"
    if strategy.type == "RollingUpdate":
        rolling = strategy.rollingUpdate = strategy.rollingUpdate or structs.new(
            "apps.v1.RollingUpdateDeployment"
        )
        rolling.maxUnavailable = "25%" if rolling.maxUnavailable is None else rolling.maxUnavailable
        rolling.maxSurge = "25%" if rolling.maxSurge is None else rolling.maxSurge
    if spec.progressDeadlineSeconds is None:
        spec.progressDeadlineSeconds = 600


def _default_replica_set(obj: Any) -> None:
    _default_replicas(obj.spec)


def _default_replication_controller(obj: Any) -> None:
    spec = obj.spec
    if spec.template is not None:
        labels = spec.template.metadata.labels
        spec.selector = spec.selector or dict(labels)
        obj.metadata.labels = obj.metadata.labels or dict(labels)
    _default_replicas(spec)


def _default_stateful_set(obj: Any) -> None:
    spec = obj.spec
    spec.podManagementPolicy = spec.podManagementPolicy or "OrderedReady"
    _default_replicas(spec)
    _default_history_limit(spec)
    update = spec.updateStrategy
    update.type = update.type or "RollingUpdate"
    if update.type == "RollingUpdate":
        rolling = update.rollingUpdate = update.rollingUpdate or structs.new(
            "apps.v1.RollingUpdateStatefulSetStrategy"
        )
        rolling.partition = rolling.partition or 0
        # Behind a feature gate that is off.
        rolling.maxUnavailable = None
    kept = spec.persistentVolumeClaimRetentionPolicy or structs.new(
        "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy"
    )
    kept.whenDeleted, kept.whenScaled = kept.whenDeleted or "Retain", kept.whenScaled or "Retain"
    spec.persistentVolumeClaimRetentionPolicy = kept
    for claim in spec.volumeClaimTemplates:
        claim.kind, claim.apiVersion = (
            claim.kind or "PersistentVolumeClaim",
            claim.apiVersion or "v1",
        )
        default_claim(claim)


def _default_daemon_set(obj: Any) -> None:
    spec = obj.spec
    _default_history_limit(spec)
    update = spec.updateStrategy
    update.type = update.type or "RollingUpdate"
    if update.type == "RollingUpdate":
        rolling = update.rollingUpdate = update.rollingUpdate or structs.new(
            "apps.v1.RollingUpdateDaemonSet"
        )
        rolling.maxUnavailable = 1 if rolling.maxUnavailable is None else rolling.maxUnavailable
        rolling.maxSurge = 0 if rolling.maxSurge is None else rolling.maxSurge
    # A server always writes it; clients that name it own it.
    obj.metadata.annotations.setdefault(_TEMPLATE_GENERATION, "0")


def _check_selector(spec: Object, kind: str = "") -> Iterator[Cause]:
    """The selector is there, says something, and matches the template's own labels. Only with a
    ``kind`` it must say something.
    """
    selector = spec.get("selector")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if selector is not None:
        if kind and not selector.get("matchLabels") and not selector.get("matchExpressions"):
            why = f"empty selector is invalid for {kind}"
            yield causes.invalid("spec.selector", selector, why, "meta.v1.LabelSelector")
        yield from metadata.selector(selector, "spec.selector")
        if not metadata.is_selector(selector):
            why = "invalid label selector"
            yield causes.invalid("spec.selector", selector, why, "meta.v1.LabelSelector")
            return
    if not matcher(selector)(labels):
        why = "`selector` does not match template `labels`"
        yield causes.invalid("spec.template.metadata.labels", labels or causes.NIL, why)


def _check_deployment(obj: Object) -> Iterator[Cause]:
    spec = obj["spec"]
    if spec.get("selector") is None:
        yield causes.required("spec.selector")
    yield from _check_selector(spec, "deployment")
    yield from check_restarting_template(spec.get("template") or {}, "spec.template", "ReplicaSet")
    numbers = ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    yield from not_negative(spec, numbers, "spec")
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
        why = "must be greater than minReadySeconds"
        yield causes.invalid("spec.progressDeadlineSeconds", deadline, why)
    yield from _check_strategy(spec.get("strategy") or {}, "spec.strategy")


def _check_strategy(strategy: Object, path: str) -> Iterator[Cause]:
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type") == "Recreate":
        if rolling is not None:
            why = "may not be specified when strategy `type` is 'Recreate'"
            yield causes.forbidden(f"{path}.rollingUpdate", why)
        return
    if strategy.get("type") != "RollingUpdate":
        yield causes.unsupported(path, strategy, ("Recreate", "RollingUpdate"), _STRATEGY)
        return
    where = f"{path}.rollingUpdate"
    rolling = rolling or {}
    for field in ("maxUnavailable", "maxSurge"):
        yield from check_share(rolling.get(field), f"{where}.{field}")
    if _is_zero(rolling.get("maxUnavailable")) and _is_zero(rolling.get("maxSurge")):
        why = "may not be 0 when `maxSurge` is 0"
        yield causes.invalid(f"{where}.maxUnavailable", rolling["maxUnavailable"], why)
    yield from check_at_most_all(rolling.get("maxUnavailable"), f"{where}.maxUnavailable")


def _is_zero(value: Any) -> bool:
    """Whether a number or a percentage is none; a text that is neither counts as 0 too."""
    if isinstance(value, str):
        return not re.fullmatch(r"[0-9]+%", value) or int(value[:-1]) == 0
    return not value


def _check_replica_set(obj: Object) -> Iterator[Cause]:
    spec = obj["spec"]
    if spec.get("selector") is None:
        yield causes.required("spec.selector")
    yield from _check_selector(spec, "deployment")
    yield from check_restarting_template(spec.get("template") or {}, "spec.template", "ReplicaSet")
    yield from not_negative(spec, ("replicas", "minReadySeconds"), "spec")


def _check_replication_controller(obj: Object) -> Iterator[Cause]:
    spec = obj.get("spec") or {}
    selector, given = spec.get("selector") or {}, spec.get("template")
    if not selector:
        yield causes.required("spec.selector")
    yield from not_negative(spec, ("replicas", "minReadySeconds"), "spec")
    if given is None:
        yield causes.required("spec.template")
        return
    labels = (given.get("metadata") or {}).get("labels") or {}
    if selector and any(labels.get(key) != value for key, value in selector.items()):
        why = "`selector` does not match template `labels`"
        yield causes.invalid("spec.template.metadata.labels", labels or causes.NIL, why)
    yield from check_restarting_template(given, "spec.template", "ReplicationController")


def _check_stateful_set(obj: Object) -> Iterator[Cause]:
    spec = obj["spec"]
    if spec.get("selector") is None:
        yield causes.required("spec.selector")
    yield from _check_selector(spec, "statefulset")
    claims = spec.get("volumeClaimTemplates") or ()
    claimed = dict.fromkeys((claim.get("metadata") or {}).get("name", "") for claim in claims)
    template = _as_pods_have_it(spec.get("template") or {}, [*claimed])
    yield from check_restarting_template(template, "spec.template", "StatefulSet")
    yield from not_negative(spec, ("replicas", "minReadySeconds", "revisionHistoryLimit"), "spec")
    yield from not_negative(spec.get("ordinals") or {}, ("start",), "spec.ordinals")
    if spec.get("podManagementPolicy") not in ("OrderedReady", "Parallel"):
        why = "must be 'OrderedReady' or 'Parallel'"
        yield causes.invalid("spec.podManagementPolicy", spec.get("podManagementPolicy"), why)
    yield from _check_stateful_update(spec.get("updateStrategy") or {}, "spec.updateStrategy")
    kept, path = spec.get(_RETENTION) or {}, f"spec.{_RETENTION}"
    for field in ("whenDeleted", "whenScaled"):
        if kept.get(field) not in _RETENTIONS:
            yield causes.unsupported(f"{path}.{field}", kept.get(field, ""), _RETENTIONS)


def _check_new_stateful_set(obj: Object) -> Iterator[Cause]:
    service = obj["spec"].get("serviceName", "")
    for problem in names.label(service) if service else ():
        yield causes.invalid("spec.serviceName", service, problem)
    for index, claim in enumerate(obj["spec"].get("volumeClaimTemplates") or ()):
        yield from check_claim_spec(
            claim.get("spec") or {}, f"spec.volumeClaimTemplates[{index}].spec"
        )


def _check_stateful_update(strategy: Object, path: str) -> Iterator[Cause]:
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type") == "OnDelete":
        if rolling is not None:
            why = "only allowed for updateStrategy 'RollingUpdate'"
            kind = "apps.v1.RollingUpdateStatefulSetStrategy"
            yield causes.invalid(f"{path}.rollingUpdate", rolling, why, kind)
    elif strategy.get("type") != "RollingUpdate":
        why = "must be 'RollingUpdate' or 'OnDelete'"
        yield causes.invalid(path, strategy, why, "apps.v1.StatefulSetUpdateStrategy")
    elif rolling is not None:
        yield from not_negative(rolling, ("partition",), f"{path}.rollingUpdate")


def _as_pods_have_it(template: Object, claimed: list[str]) -> Object:
    """The template as its pods will have it: each claim template is a volume of its name, and the
    hostname is the pod's own.
    """
    spec = {key: value for key, value in (template.get("spec") or {}).items() if key != "hostname"}
    if claimed:
        own = [volume for volume in spec.get("volumes") or () if volume.get("name") not in claimed]
        claims = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claimed]
        spec["volumes"] = [*own, *claims]
    return {**template, "spec": spec}


def _check_daemon_set(obj: Object) -> Iterator[Cause]:
    spec = obj["spec"]
    yield from _check_selector(spec, "daemonset")
    yield from check_restarting_template(spec.get("template") or {}, "spec.template", "DaemonSet")
    yield from not_negative(spec, ("minReadySeconds", "revisionHistoryLimit"), "spec")
    strategy, path = spec.get("updateStrategy") or {}, "spec.updateStrategy"
    if strategy.get("type") not in ("OnDelete", "RollingUpdate"):
        yield causes.unsupported(path, strategy, ("RollingUpdate", "OnDelete"), _DAEMON_STRATEGY)
    elif strategy["type"] == "RollingUpdate":
        yield from _check_daemon_update(strategy.get("rollingUpdate") or {}, path)


def _check_daemon_update(rolling: Object, path: str) -> Iterator[Cause]:
    where = f"{path}.rollingUpdate"
    for field in ("maxUnavailable", "maxSurge"):
        yield from check_share(rolling.get(field), f"{where}.{field}")
        yield from check_at_most_all(rolling.get(field), f"{where}.{field}")
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    if not _is_zero(unavailable) and not _is_zero(surge):
        why = "may not be set when maxUnavailable is non-zero"
        yield causes.invalid(f"{where}.maxSurge", surge, why)
    elif _is_zero(unavailable) and _is_zero(surge):
        yield causes.required(f"{where}.maxUnavailable", "cannot be 0 when maxSurge is 0")


_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def _prepare_daemon_set(obj: Object) -> None:
    _count_template(obj, max(_template_generation(obj), 1))


def _prepare_daemon_set_update(new: Object, old: Object) -> Object:
    """The generation of the template is counted in an annotation, which clients cannot change."""
    generation = _template_generation(old)
    changed = new["spec"].get("template") != old["spec"].get("template")
    result = {**new, "metadata": dict(new["metadata"])}
    _count_template(result, generation + 1 if changed else generation)
    return result


def _template_generation(obj: Object) -> int:
    given = (obj["metadata"].get("annotations") or {}).get(_TEMPLATE_GENERATION, "0")
    return int(given) if given.isdigit() else 0


def _count_template(obj: Object, generation: int) -> None:
    annotations = obj["metadata"].get("annotations") or {}
    counted = {**annotations, _TEMPLATE_GENERATION: str(generation)}
    obj["metadata"]["annotations"] = dict(sorted(counted.items()))


def _check_counts(*fields: str, within: dict[str, str] | None = None) -> CheckUpdate:
    """A rule for numbers of a status: none is negative, and some are part of others, which are
    given as messages name them.
    """

    def check(new: Object, old: Object) -> Iterator[Cause]:
        status = new.get("status") or {}
        yield from not_negative(status, fields, "status")
        for pair, whole in (within or {}).items():
            part = pair.split("/")[0]
            if status.get(part, 0) > status.get(whole.removeprefix("status."), 0):
                why = f"cannot be greater than {whole}"
                yield causes.invalid(f"status.{part}", status.get(part, 0), why)

    return check


_check_replica_status = _check_counts(
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "observedGeneration",
    "terminatingReplicas",
    within={
        "fullyLabeledReplicas": "status.replicas",
        "readyReplicas": "status.replicas",
        "availableReplicas": "status.replicas",
        "availableReplicas/ready": "readyReplicas",
    },
)


_check_deployment_status = _check_counts(
    "observedGeneration",
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "terminatingReplicas",
    "collisionCount",
    within={
        "updatedReplicas": "status.replicas",
        "readyReplicas": "status.replicas",
        "availableReplicas": "status.replicas",
        "availableReplicas/ready": "readyReplicas",
    },
)
_check_stateful_set_status = _check_counts(
    "replicas",
    "readyReplicas",
    "currentReplicas",
    "updatedReplicas",
    "availableReplicas",
    "observedGeneration",
    "collisionCount",
    within={
        "readyReplicas": "status.replicas",
        "currentReplicas": "status.replicas",
        "updatedReplicas": "status.replicas",
        "availableReplicas": "status.replicas",
        "availableReplicas/ready": "status.readyReplicas",
    },
)
_check_daemon_set_status = _check_counts(
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
    "collisionCount",
)


def _check_revision_data(obj: Object) -> Iterator[Cause]:
    if obj.get("data") is None:
        yield causes.required("data", "data is mandatory")


def _check_revision(obj: Object) -> Iterator[Cause]:
    if obj.get("revision", 0) < 0:
        yield causes.invalid("revision", obj["revision"], NOT_NEGATIVE)


_STATEFUL_SET = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
    "'minReadySeconds' are forbidden"
)


_STATEFUL_SET_FIELDS = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def _check_stateful_set_update(new: Object, old: Object) -> Iterator[Cause]:
    now = {key: value for key, value in new["spec"].items() if key not in _STATEFUL_SET_FIELDS}
    if now != {key: value for key, value in old["spec"].items() if key not in _STATEFUL_SET_FIELDS}:
        yield causes.forbidden("spec", _STATEFUL_SET)


_SAME_SELECTOR = unchanged("spec.selector")


def _deployment_cells(obj: Object, now: datetime) -> Cells:
    """Name, Ready, Up-to-date, Available, Age; Containers, Images, Selector."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}"
    numbers = [status.get("updatedReplicas", 0), status.get("availableReplicas", 0)]
    return [
        name_of(obj),
        ready,
        *numbers,
        age_of(obj, now),
        *container_cells(lookup(spec, "template.spec", {})),
        shown_selector(spec.get("selector")),
    ]


def _replica_set_cells(obj: Object, now: datetime) -> Cells:
    """Name, Desired, Current, Ready, Age; Containers, Images, Selector."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    numbers = [spec.get("replicas", 1), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [
        name_of(obj),
        *numbers,
        age_of(obj, now),
        *container_cells(lookup(spec, "template.spec", {})),
        shown_selector(spec.get("selector")),
    ]


def _replication_controller_cells(obj: Object, now: datetime) -> Cells:
    """As of a ReplicaSet; the selector is a plain map."""
    return [*_replica_set_cells(obj, now)[:-1], shown_labels(lookup(obj, "spec.selector"))]


def _stateful_set_cells(obj: Object, now: datetime) -> Cells:
    """Name, Ready, Age; Containers, Images."""
    ready = f"{lookup(obj, 'status.readyReplicas', 0)}/{lookup(obj, 'spec.replicas', 1)}"
    return [
        name_of(obj),
        ready,
        age_of(obj, now),
        *container_cells(lookup(obj, "spec.template.spec", {})),
    ]


def _daemon_set_cells(obj: Object, now: datetime) -> Cells:
    """Name, five counts, Node Selector, Age; Containers, Images, Selector."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    fields = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    template = lookup(spec, "template.spec", {})
    numbers = [status.get(field, 0) for field in fields]
    rest = [*container_cells(template), shown_selector(spec.get("selector"))]
    return [
        name_of(obj),
        *numbers,
        shown_labels(template.get("nodeSelector")),
        age_of(obj, now),
        *rest,
    ]


def _revision_cells(obj: Object, now: datetime) -> Cells:
    """Name, Controller, Revision, Age."""
    owners = [
        owner for owner in lookup(obj, "metadata.ownerReferences", []) if owner.get("controller")
    ]
    group = str(owners[0].get("apiVersion", "")).rpartition("/")[0] if owners else ""
    kind = owners[0].get("kind", "").lower() + (f".{group}" if group else "") if owners else ""
    return [
        name_of(obj),
        f"{kind}/{owners[0].get('name', '')}" if owners else NONE,
        obj.get("revision", 0),
        age_of(obj, now),
    ]


_TEMPLATE_COLUMNS = (wide("Containers"), wide("Images"), wide("Selector"))
_REPLICA_COLUMNS = columns(
    "Name",
    integer("Desired"),
    integer("Current"),
    integer("Ready"),
    "Age",
    *_TEMPLATE_COLUMNS,
)
KINDS: dict[tuple[str, str], Rules] = {
    ("", "ReplicationController"): Rules(
        check_subresource={"status": _check_replica_status},
        defaults=_default_replication_controller,
        document_defaults=pod_defaults.of_template,
        check=_check_replication_controller,
        warnings=WORKLOAD_WARNINGS,
        columns=_REPLICA_COLUMNS,
        cells=_replication_controller_cells,
        orphans_dependents=True,
        has_generation=True,
        selectable=("status.replicas",),
        hostname_use="Pod names and hostnames",
    ),
    ("apps", "Deployment"): Rules(
        status_metadata=("annotations", "finalizers", "ownerReferences"),
        check_subresource={"status": _check_deployment_status},
        defaults=_default_deployment,
        document_defaults=pod_defaults.of_template,
        check=_check_deployment,
        check_update=_SAME_SELECTOR,
        warnings=WORKLOAD_WARNINGS,
        columns=columns(
            "Name",
            "Ready",
            "Up-to-date",
            "Available",
            "Age",
            *_TEMPLATE_COLUMNS,
        ),
        cells=_deployment_cells,
        has_generation=True,
        counted_metadata=("annotations",),
        hostname_use="Pod names and hostnames",
        may_be_empty=("apps.v1.DeploymentSpec.selector",),
    ),
    ("apps", "ReplicaSet"): Rules(
        check_subresource={"status": _check_replica_status},
        defaults=_default_replica_set,
        document_defaults=pod_defaults.of_template,
        check=_check_replica_set,
        check_update=_SAME_SELECTOR,
        warnings=WORKLOAD_WARNINGS,
        columns=_REPLICA_COLUMNS,
        cells=_replica_set_cells,
        has_generation=True,
        hostname_use="Pod names and hostnames",
        may_be_empty=("apps.v1.ReplicaSetSpec.selector",),
    ),
    ("apps", "StatefulSet"): Rules(
        check_create=_check_new_stateful_set,
        check_subresource={"status": _check_stateful_set_status},
        name=names.label,
        defaults=_default_stateful_set,
        document_defaults=pod_defaults.of_template,
        check=_check_stateful_set,
        check_update=_check_stateful_set_update,
        warnings=WORKLOAD_WARNINGS,
        columns=columns("Name", "Ready", "Age", wide("Containers"), wide("Images")),
        cells=_stateful_set_cells,
        has_generation=True,
        hostname_use="Pod names and hostnames",
        may_be_empty=("apps.v1.StatefulSetSpec.selector",),
    ),
    ("apps", "DaemonSet"): Rules(
        field_annotations=(_TEMPLATE_GENERATION,),
        prepare_create=_prepare_daemon_set,
        prepare_update=_prepare_daemon_set_update,
        check_subresource={"status": _check_daemon_set_status},
        defaults=_default_daemon_set,
        document_defaults=pod_defaults.of_template,
        check=_check_daemon_set,
        check_update=_SAME_SELECTOR,
        warnings=WORKLOAD_WARNINGS,
        columns=columns(
            "Name",
            integer("Desired"),
            integer("Current"),
            integer("Ready"),
            integer("Up-to-date"),
            integer("Available"),
            "Node Selector",
            "Age",
            *_TEMPLATE_COLUMNS,
        ),
        cells=_daemon_set_cells,
        has_generation=True,
        hostname_use="Pod names and hostnames",
        may_be_empty=("apps.v1.DaemonSetSpec.selector",),
    ),
    ("apps", "ControllerRevision"): Rules(
        check_create=_check_revision_data,
        check=_check_revision,
        check_update=unchanged("data"),
        columns=columns("Name", "Controller", "Revision", "Age"),
        cells=_revision_cells,
    ),
}
