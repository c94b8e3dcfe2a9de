"""Rules that need no code of their own: which fields must be there, and which values some texts may
have. Pure.

What must be there comes from the schema table; the values are facts of the API, by definition and
field. Status is not looked at: it is written by components, which may know more than we do.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.schema import structs
from kubelite.control.api.wire import causes
from kubelite.objects.facts import schema

if TYPE_CHECKING:
    from kubelite.control.api.wire.status import Cause

_MAY_BE_EMPTY = {
    "core.v1.HTTPHeader.value", "core.v1.Sysctl.value", "meta.v1.Condition.message", "core.v1.LimitRangeSpec.limits",
    "batch.v1.PodFailurePolicy.rules", "storage.v1.CSINodeSpec.drivers", "events.v1.Event.eventTime",
    "authentication.v1.TokenReviewSpec.token", "batch.v1.CronJobSpec.schedule", "core.v1.ServicePort.port",
    "core.v1.ContainerPort.containerPort", "core.v1.EventSource.component", "discovery.v1.Endpoint.addresses",
    "apps.v1.DeploymentSpec.selector", "apps.v1.ReplicaSetSpec.selector", "apps.v1.StatefulSetSpec.selector",
    "apps.v1.DaemonSetSpec.selector", "rbac.v1.PolicyRule.verbs", "networking.v1.HTTPIngressPath.pathType",
    "certificates.v1.CertificateSigningRequestSpec.request", "storage.v1.CSIStorageCapacity.storageClassName",
    "meta.v1.OwnerReference.apiVersion", "meta.v1.OwnerReference.kind", "meta.v1.OwnerReference.name",
    "meta.v1.OwnerReference.uid",
}  # fmt: skip
_PROTOCOLS = "SCTP TCP UDP"
_ACCESS = "ReadOnlyMany ReadWriteMany ReadWriteOnce ReadWriteOncePod"
_VALUES = {
    "core.v1.PodSpec": "restartPolicy: Always OnFailure Never | dnsPolicy: ClusterFirst ClusterFirstWithHostNet Default None"
    " | preemptionPolicy: Never PreemptLowerPriority",
    "core.v1.Container": "imagePullPolicy: Always IfNotPresent Never | terminationMessagePolicy: FallbackToLogsOnError File"
    " | restartPolicy: Always Never OnFailure",
    "core.v1.EphemeralContainer": "imagePullPolicy: Always IfNotPresent Never",
    "core.v1.ContainerPort": f"protocol: {_PROTOCOLS}",
    "core.v1.ContainerResizePolicy": "restartPolicy: NotRequired RestartContainer",
    "core.v1.HTTPGetAction": "scheme: HTTP HTTPS",
    "core.v1.ServicePort": f"protocol: {_PROTOCOLS}",
    "core.v1.EndpointPort": f"protocol: {_PROTOCOLS}",
    "core.v1.ServiceSpec": "type: ClusterIP ExternalName LoadBalancer NodePort | sessionAffinity: ClientIP None"
    " | externalTrafficPolicy: Cluster Local | internalTrafficPolicy: Cluster Local"
    " | ipFamilyPolicy: PreferDualStack RequireDualStack SingleStack | ipFamilies: IPv4 IPv6",
    "core.v1.Toleration": "operator: Equal Exists Gt Lt | effect: NoExecute NoSchedule PreferNoSchedule",
    "core.v1.Taint": "effect: NoExecute NoSchedule PreferNoSchedule",
    "core.v1.NodeSelectorRequirement": "operator: DoesNotExist Exists Gt In Lt NotIn",
    "meta.v1.LabelSelectorRequirement": "operator: DoesNotExist Exists In NotIn",
    "core.v1.TopologySpreadConstraint": "whenUnsatisfiable: DoNotSchedule ScheduleAnyway"
    " | nodeAffinityPolicy: Honor Ignore | nodeTaintsPolicy: Honor Ignore",
    "core.v1.VolumeMount": "mountPropagation: Bidirectional HostToContainer None"
    " | recursiveReadOnly: Disabled Enabled IfPossible",
    "core.v1.HostPathVolumeSource": "type: BlockDevice CharDevice Directory DirectoryOrCreate File FileOrCreate Socket",
    "core.v1.PersistentVolumeSpec": f"accessModes: {_ACCESS} | persistentVolumeReclaimPolicy: Delete Recycle Retain"
    " | volumeMode: Block Filesystem",
    "core.v1.PersistentVolumeClaimSpec": f"accessModes: {_ACCESS} | volumeMode: Block Filesystem",
    "core.v1.SeccompProfile": "type: Localhost RuntimeDefault Unconfined",
    "core.v1.AppArmorProfile": "type: Localhost RuntimeDefault Unconfined",
    "core.v1.PodSecurityContext": "fsGroupChangePolicy: Always OnRootMismatch | supplementalGroupsPolicy: Merge Strict",
    "core.v1.SecurityContext": "procMount: Default Unmasked",
    "core.v1.PodOS": "name: linux windows",
    "apps.v1.DeploymentStrategy": "type: Recreate RollingUpdate",
    "apps.v1.StatefulSetUpdateStrategy": "type: OnDelete RollingUpdate",
    "apps.v1.DaemonSetUpdateStrategy": "type: OnDelete RollingUpdate",
    "apps.v1.StatefulSetSpec": "podManagementPolicy: OrderedReady Parallel",
    "batch.v1.JobSpec": "completionMode: Indexed NonIndexed | podReplacementPolicy: Failed TerminatingOrFailed",
    "batch.v1.CronJobSpec": "concurrencyPolicy: Allow Forbid Replace",
    "networking.v1.NetworkPolicySpec": "policyTypes: Egress Ingress",
    "networking.v1.NetworkPolicyPort": f"protocol: {_PROTOCOLS}",
    "networking.v1.HTTPIngressPath": "pathType: Exact ImplementationSpecific Prefix",
    "discovery.v1.EndpointSlice": "addressType: FQDN IPv4 IPv6",
    "autoscaling.v2.MetricSpec": "type: ContainerResource External Object Pods Resource",
    "autoscaling.v2.MetricTarget": "type: AverageValue Utilization Value",
    "autoscaling.v2.HPAScalingPolicy": "type: Percent Pods",
    "autoscaling.v2.HPAScalingRules": "selectPolicy: Disabled Max Min",
    "storage.v1.StorageClass": "reclaimPolicy: Delete Retain | volumeBindingMode: Immediate WaitForFirstConsumer",
    "scheduling.v1.PriorityClass": "preemptionPolicy: Never PreemptLowerPriority",
    "policy.v1.PodDisruptionBudgetSpec": "unhealthyPodEvictionPolicy: AlwaysAllow IfHealthyBudget",
    "admissionregistration.v1.MutatingWebhook": "failurePolicy: Fail Ignore | matchPolicy: Equivalent Exact"
    " | sideEffects: None NoneOnDryRun | reinvocationPolicy: IfNeeded Never",
    "admissionregistration.v1.ValidatingWebhook": "failurePolicy: Fail Ignore | matchPolicy: Equivalent Exact"
    " | sideEffects: None NoneOnDryRun",
    "rbac.v1.RoleRef": "kind: ClusterRole Role",
    "rbac.v1.Subject": "kind: Group ServiceAccount User",
}


_Place = tuple[str | int | tuple[str], ...]  # fields, indices of lists, keys of maps


class _Plan(NamedTuple):
    """What to look at in one definition: fields that must be there, fields with known values,
    structs to go into.
    """

    must: tuple[str, ...]
    values: tuple[tuple[str, tuple[str, ...]], ...]
    below: tuple[tuple[str, str], ...]


@cache
def _plan(name: str) -> _Plan:
    fields = schema.definition(name).fields.values()
    must = tuple(
        each.name
        for each in fields
        if each.required and each.type not in "bild" and f"{name}.{each.name}" not in _MAY_BE_EMPTY
    )
    values = []
    for part in filter(None, _VALUES.get(name, "").split("|")):
        field, _, allowed = part.partition(":")
        values.append((field.strip(), tuple(allowed.split())))
    below = [
        (each.name, each.type)
        for each in fields
        if each.name not in ("metadata", "status")
        and "." in each.item
        and each.item not in structs.UNTYPED
    ]
    return _Plan(
        must,
        tuple(values),
        tuple(each for each in below if _matters(each[1].lstrip("[{"), frozenset())),
    )


@cache
def _matters(name: str, above: frozenset[str]) -> bool:
    """Whether a definition, or one inside it, has anything to look at."""
    fields = schema.definition(name).fields.values()
    if name in _VALUES or any(
        each.required and f"{name}.{each.name}" not in _MAY_BE_EMPTY for each in fields
    ):
        return True
    inner = {each.item for each in fields if "." in each.item} - above - {name}
    return any(_matters(each, above | {name}) for each in inner)


def check(name: str, value: Any, path: str = "") -> list[Cause]:
    """What is missing from a document of a definition, and what it says that is not known."""
    found: list[Cause] = []
    _look(name, value, (path,), found)
    return found


def _look(name: str, value: Any, at: _Place, found: list[Cause]) -> None:
    plan = _plan(name)
    if not all(map(value.get, plan.must)):
        found += [
            causes.required(_written((*at, field)))
            for field in plan.must
            if value.get(field) in (None, "", [])
        ]
    for field, allowed in plan.values:
        if said := value.get(field):
            _known(said, allowed, (*at, field), found)
    for field, kind in plan.below:
        if below := value.get(field):
            _inside(kind, below, (*at, field), found)


def _known(said: Any, allowed: tuple[str, ...], at: _Place, found: list[Cause]) -> None:
    if isinstance(said, list):
        for index, each in enumerate(said):
            _known(each, allowed, (*at, index), found)
    elif said not in allowed:
        found.append(causes.unsupported(_written(at), said, allowed))


def _inside(kind: str, value: Any, at: _Place, found: list[Cause]) -> None:
    if kind[0] == "[":
        for index, each in enumerate(value):
            _inside(kind[1:], each, (*at, index), found)
    elif kind[0] == "{":
        for key, each in value.items():
            _inside(kind[1:], each, (*at, (key,)), found)
    elif isinstance(value, dict):
        _look(kind, value, at, found)


def _written(at: _Place) -> str:
    """A place as causes name it: ``spec.ports[0].name``, ``limits[cpu]``. Written only when there
    is one to name.
    """
    steps = (
        f"[{step}]"
        if isinstance(step, int)
        else f"[{step[0]}]"
        if isinstance(step, tuple)
        else f".{step}"
        for step in at
    )
    return "".join(steps).lstrip(".")
