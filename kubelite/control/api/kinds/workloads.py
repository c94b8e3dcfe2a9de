"""What keeps pods running: Deployments, ReplicaSets, StatefulSets, DaemonSets and
ReplicationControllers. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds import metadata, poddefaults
from kubelite.control.api.kinds.checks import (
    check_at_most_all,
    check_share,
    not_negative,
    unchanged,
)
from kubelite.control.api.kinds.pod import WORKLOAD_WARNINGS, check_template
from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.kinds.storage import default_claim
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

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
Cells = list[Any]


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
    poddefaults.template(spec.template.spec)


def _default_replica_set(obj: Any) -> None:
    _default_replicas(obj.spec)
    poddefaults.template(obj.spec.template.spec)


def _default_replication_controller(obj: Any) -> None:
    spec = obj.spec
    if spec.template is not None:
        labels = spec.template.metadata.labels
        spec.selector = spec.selector or dict(labels)
        obj.metadata.labels = obj.metadata.labels or dict(labels)
        poddefaults.template(spec.template.spec)
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
    poddefaults.template(spec.template.spec)


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
    poddefaults.template(spec.template.spec)


def _check_selector(spec: Object, kind: str) -> Iterator[Cause]:
    """The selector is there, says something, and matches the template's own labels."""
    selector = spec.get("selector")
    if selector is None:
        yield causes.required("spec.selector")
        return
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield causes.invalid("spec.selector", selector, f"empty selector is invalid for {kind}")
    broken = list(metadata.selector(selector, "spec.selector"))
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


def _check_deployment(obj: Object) -> Iterator[Cause]:
    spec = obj["spec"]
    yield from _check_selector(spec, "deployment")
    yield from check_template(spec.get("template") or {}, "spec.template")
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
        yield from _check_rolling_update(rolling, "spec.strategy.rollingUpdate")


def _check_rolling_update(rolling: Object, path: str) -> Iterator[Cause]:
    for field in ("maxUnavailable", "maxSurge"):
        yield from check_share(rolling.get(field), f"{path}.{field}")
    if _is_zero(rolling.get("maxUnavailable")) and _is_zero(rolling.get("maxSurge")):
        yield causes.invalid(
            f"{path}.maxUnavailable", rolling["maxUnavailable"], "may not be 0 when `maxSurge` is 0"
        )
    yield from check_at_most_all(rolling.get("maxUnavailable"), f"{path}.maxUnavailable")


def _is_zero(value: Any) -> bool:
    return value in (0, "0", "0%")


def _check_replica_set(obj: Object) -> Iterator[Cause]:
    yield from _check_selector(obj["spec"], "replicaset")
    yield from check_template(obj["spec"].get("template") or {}, "spec.template")
    yield from not_negative(obj["spec"], ("replicas", "minReadySeconds"), "spec")


def _check_replication_controller(obj: Object) -> Iterator[Cause]:
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
    yield from check_template(given, "spec.template")
    yield from not_negative(spec, ("replicas", "minReadySeconds"), "spec")


def _check_stateful_set(obj: Object) -> Iterator[Cause]:
    spec = obj["spec"]
    yield from _check_selector(spec, "statefulset")
    volumes = [
        {"name": (each.get("metadata") or {}).get("name", "")}
        for each in spec.get("volumeClaimTemplates") or ()
    ]
    yield from check_template(
        _with_claim_volumes(spec.get("template") or {}, volumes), "spec.template"
    )
    yield from not_negative(spec, ("replicas", "minReadySeconds", "revisionHistoryLimit"), "spec")
    update = spec.get("updateStrategy") or {}
    yield from not_negative(
        update.get("rollingUpdate") or {}, ("partition",), "spec.updateStrategy.rollingUpdate"
    )


def _with_claim_volumes(given: Object, volumes: list[Object]) -> Object:
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


def _check_daemon_set(obj: Object) -> Iterator[Cause]:
    spec = obj["spec"]
    yield from _check_selector(spec, "daemonset")
    yield from check_template(spec.get("template") or {}, "spec.template")
    yield from not_negative(spec, ("minReadySeconds", "revisionHistoryLimit"), "spec")
    rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate")
    if rolling is not None:
        yield from _check_rolling_update(rolling, "spec.updateStrategy.rollingUpdate")


_STATEFUL_SET = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


_STATEFUL_SET_FIELDS = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)  # fmt: skip


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
        each for each in lookup(obj, "metadata.ownerReferences", []) if each.get("controller")
    ]
    group = str(owners[0].get("apiVersion", "")).rpartition("/")[0] if owners else ""
    kind = owners[0].get("kind", "").lower() + (f".{group}" if group else "") if owners else ""
    return [
        name_of(obj),
        f"{kind}/{owners[0].get('name', '')}" if owners else NONE,
        obj.get("revision", 0),
        age_of(obj, now),
    ]


KINDS: dict[tuple[str, str], Rules] = {
    ("", "ReplicationController"): Rules(
        defaults=_default_replication_controller,
        check=_check_replication_controller,
        warnings=WORKLOAD_WARNINGS,
        columns=columns(
            "Name",
            integer("Desired"),
            integer("Current"),
            integer("Ready"),
            "Age",
            wide("Containers"),
            wide("Images"),
            wide("Selector"),
        ),
        cells=_replication_controller_cells,
        orphans_dependents=True,
        has_generation=True,
        selectable=("status.replicas",),
        hostname_use="Pod names and hostnames",
    ),
    ("apps", "Deployment"): Rules(
        defaults=_default_deployment,
        check=_check_deployment,
        check_update=_SAME_SELECTOR,
        warnings=WORKLOAD_WARNINGS,
        columns=columns(
            "Name",
            "Ready",
            "Up-to-date",
            "Available",
            "Age",
            wide("Containers"),
            wide("Images"),
            wide("Selector"),
        ),
        cells=_deployment_cells,
        has_generation=True,
        hostname_use="Pod names and hostnames",
        values={"apps.v1.DeploymentStrategy": {"type": ("Recreate", "RollingUpdate")}},
        may_be_empty=("apps.v1.DeploymentSpec.selector",),
    ),
    ("apps", "ReplicaSet"): Rules(
        defaults=_default_replica_set,
        check=_check_replica_set,
        check_update=_SAME_SELECTOR,
        warnings=WORKLOAD_WARNINGS,
        columns=columns(
            "Name",
            integer("Desired"),
            integer("Current"),
            integer("Ready"),
            "Age",
            wide("Containers"),
            wide("Images"),
            wide("Selector"),
        ),
        cells=_replica_set_cells,
        has_generation=True,
        selectable=("status.replicas",),
        hostname_use="Pod names and hostnames",
        may_be_empty=("apps.v1.ReplicaSetSpec.selector",),
    ),
    ("apps", "StatefulSet"): Rules(
        defaults=_default_stateful_set,
        check=_check_stateful_set,
        check_update=_check_stateful_set_update,
        warnings=WORKLOAD_WARNINGS,
        columns=columns("Name", "Ready", "Age", wide("Containers"), wide("Images")),
        cells=_stateful_set_cells,
        has_generation=True,
        max_name=63,
        hostname_use="Pod names and hostnames",
        values={
            "apps.v1.StatefulSetUpdateStrategy": {"type": ("OnDelete", "RollingUpdate")},
            "apps.v1.StatefulSetSpec": {"podManagementPolicy": ("OrderedReady", "Parallel")},
        },
        may_be_empty=("apps.v1.StatefulSetSpec.selector",),
    ),
    ("apps", "DaemonSet"): Rules(
        defaults=_default_daemon_set,
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
            wide("Containers"),
            wide("Images"),
            wide("Selector"),
        ),
        cells=_daemon_set_cells,
        has_generation=True,
        hostname_use="Pod names and hostnames",
        values={"apps.v1.DaemonSetUpdateStrategy": {"type": ("OnDelete", "RollingUpdate")}},
        may_be_empty=("apps.v1.DaemonSetSpec.selector",),
    ),
    ("apps", "ControllerRevision"): Rules(
        check_update=unchanged("data"),
        columns=columns("Name", "Controller", "Revision", "Age"),
        cells=_revision_cells,
    ),
}
