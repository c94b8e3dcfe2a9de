"""Defaults of the built-in kinds: structs of ``model``, filled in place. Pure.

Which fields are filled, and with what, is Kubernetes' (the ``defaults.go`` of each API group).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds import poddefaults
from kubelite.control.api.schema import structs

if TYPE_CHECKING:
    from collections.abc import Callable

RBAC = "rbac.authorization.k8s.io"


def fill(group: str, kind: str, obj: Any) -> None:
    """Fills an object of a kind; kinds without defaults are left alone."""
    if found := _KINDS.get((group, kind)):
        found(obj)


def _new(name: str, /, **values: Any) -> Any:
    return structs.struct(name)(**values)


def _pod(obj: Any) -> None:
    poddefaults.pod(obj.spec)


def _pod_template(obj: Any) -> None:
    poddefaults.template(obj.template.spec)


def _one(spec: Any) -> None:
    if spec.replicas is None:
        spec.replicas = 1


def _history(spec: Any) -> None:
    if spec.revisionHistoryLimit is None:
        spec.revisionHistoryLimit = 10


def _deployment(obj: Any) -> None:
    spec = obj.spec
    _one(spec)
    _history(spec)
    strategy = spec.strategy
    strategy.type = strategy.type or "RollingUpdate"
    if strategy.type == "RollingUpdate":
        rolling = strategy.rollingUpdate = strategy.rollingUpdate or _new(
            "apps.v1.RollingUpdateDeployment"
        )
        rolling.maxUnavailable = "25%" if rolling.maxUnavailable is None else rolling.maxUnavailable
        rolling.maxSurge = "25%" if rolling.maxSurge is None else rolling.maxSurge
    if spec.progressDeadlineSeconds is None:
        spec.progressDeadlineSeconds = 600
    poddefaults.template(spec.template.spec)


def _replica_set(obj: Any) -> None:
    _one(obj.spec)
    poddefaults.template(obj.spec.template.spec)


def _replication_controller(obj: Any) -> None:
    spec = obj.spec
    if spec.template is not None:
        labels = spec.template.metadata.labels
        spec.selector = spec.selector or dict(labels)
        obj.metadata.labels = obj.metadata.labels or dict(labels)
        poddefaults.template(spec.template.spec)
    _one(spec)


def _stateful_set(obj: Any) -> None:
    spec = obj.spec
    spec.podManagementPolicy = spec.podManagementPolicy or "OrderedReady"
    _one(spec)
    _history(spec)
    update = spec.updateStrategy
    update.type = update.type or "RollingUpdate"
    if update.type == "RollingUpdate":
        rolling = update.rollingUpdate = update.rollingUpdate or _new(
            "apps.v1.RollingUpdateStatefulSetStrategy"
        )
        rolling.partition = rolling.partition or 0
    kept = spec.persistentVolumeClaimRetentionPolicy or _new(
        "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy"
    )
    kept.whenDeleted, kept.whenScaled = kept.whenDeleted or "Retain", kept.whenScaled or "Retain"
    spec.persistentVolumeClaimRetentionPolicy = kept
    for claim in spec.volumeClaimTemplates:
        claim.kind, claim.apiVersion = (
            claim.kind or "PersistentVolumeClaim",
            claim.apiVersion or "v1",
        )
        _claim(claim)
    poddefaults.template(spec.template.spec)


def _daemon_set(obj: Any) -> None:
    spec = obj.spec
    _history(spec)
    update = spec.updateStrategy
    update.type = update.type or "RollingUpdate"
    if update.type == "RollingUpdate":
        rolling = update.rollingUpdate = update.rollingUpdate or _new(
            "apps.v1.RollingUpdateDaemonSet"
        )
        rolling.maxUnavailable = 1 if rolling.maxUnavailable is None else rolling.maxUnavailable
        rolling.maxSurge = 0 if rolling.maxSurge is None else rolling.maxSurge
    poddefaults.template(spec.template.spec)


def _job(obj: Any) -> None:
    spec = obj.spec
    if spec.completions is None and spec.parallelism is None:
        spec.completions = 1
    spec.parallelism = 1 if spec.parallelism is None else spec.parallelism
    if spec.backoffLimit is None:
        spec.backoffLimit = 6 if spec.backoffLimitPerIndex is None else 2**31 - 1
    spec.completionMode = spec.completionMode or "NonIndexed"
    spec.suspend = bool(spec.suspend)
    replace = "TerminatingOrFailed" if spec.podFailurePolicy is None else "Failed"
    spec.podReplacementPolicy = spec.podReplacementPolicy or replace
    obj.metadata.labels = obj.metadata.labels or dict(spec.template.metadata.labels)
    for rule in spec.podFailurePolicy.rules or () if spec.podFailurePolicy else ():
        for pattern in rule.onPodConditions or ():
            pattern.status = pattern.status or "True"
    poddefaults.template(spec.template.spec)


def _cron_job(obj: Any) -> None:
    spec = obj.spec
    spec.concurrencyPolicy = spec.concurrencyPolicy or "Allow"
    spec.suspend = bool(spec.suspend)
    if spec.successfulJobsHistoryLimit is None:
        spec.successfulJobsHistoryLimit = 3
    if spec.failedJobsHistoryLimit is None:
        spec.failedJobsHistoryLimit = 1
    poddefaults.template(spec.jobTemplate.spec.template.spec)


def _service(obj: Any) -> None:
    spec = obj.spec
    spec.type = spec.type or "ClusterIP"
    spec.sessionAffinity = spec.sessionAffinity or "None"
    if spec.sessionAffinity == "ClientIP":
        config = spec.sessionAffinityConfig = spec.sessionAffinityConfig or _new(
            "core.v1.SessionAffinityConfig"
        )
        client = config.clientIP = config.clientIP or _new("core.v1.ClientIPConfig")
        client.timeoutSeconds = 10800 if client.timeoutSeconds is None else client.timeoutSeconds
    for port in spec.ports:
        port.protocol = port.protocol or "TCP"
        port.targetPort = port.targetPort or port.port
    outside = spec.type in ("NodePort", "LoadBalancer") or (
        spec.type == "ClusterIP" and spec.externalIPs
    )
    if outside:
        spec.externalTrafficPolicy = spec.externalTrafficPolicy or "Cluster"
    if spec.type != "ExternalName":
        spec.internalTrafficPolicy = spec.internalTrafficPolicy or "Cluster"
    if spec.type == "LoadBalancer" and spec.allocateLoadBalancerNodePorts is None:
        spec.allocateLoadBalancerNodePorts = True


def _endpoints(obj: Any) -> None:
    for subset in obj.subsets:
        for port in subset.ports:
            port.protocol = port.protocol or "TCP"


def _endpoint_slice(obj: Any) -> None:
    for port in obj.ports or ():
        port.name = "" if port.name is None else port.name
        port.protocol = port.protocol or "TCP"


def _secret(obj: Any) -> None:
    obj.type = obj.type or "Opaque"
    obj.data |= {
        key: base64.b64encode(text.encode()).decode() for key, text in obj.stringData.items()
    }
    obj.stringData = {}


def _namespace(obj: Any) -> None:
    if obj.metadata.name:
        obj.metadata.labels["kubernetes.io/metadata.name"] = obj.metadata.name


def _claim(obj: Any) -> None:
    obj.status.phase = obj.status.phase or "Pending"
    poddefaults.claim(obj.spec)


def _volume(obj: Any) -> None:
    obj.status.phase = obj.status.phase or "Pending"
    obj.spec.persistentVolumeReclaimPolicy = obj.spec.persistentVolumeReclaimPolicy or "Retain"
    poddefaults.claim(obj.spec)
    if obj.spec.hostPath is not None:
        poddefaults.host_path(obj.spec.hostPath)


def _limit_range(obj: Any) -> None:
    for item in obj.spec.limits or ():
        if item.type == "Container":
            item.default = {**item.max, **item.default}
            item.defaultRequest = {**item.min, **item.default, **item.defaultRequest}


def _autoscaler_v2(obj: Any) -> None:
    spec = obj.spec
    spec.minReplicas = 1 if spec.minReplicas is None else spec.minReplicas
    if not spec.metrics:
        target = _new("autoscaling.v2.MetricTarget", type="Utilization", averageUtilization=80)
        resource = _new("autoscaling.v2.ResourceMetricSource", name="cpu", target=target)
        spec.metrics = [_new("autoscaling.v2.MetricSpec", type="Resource", resource=resource)]
    if spec.behavior is not None:
        up = spec.behavior.scaleUp = spec.behavior.scaleUp or _new("autoscaling.v2.HPAScalingRules")
        up.stabilizationWindowSeconds = up.stabilizationWindowSeconds or 0
        _scaling(up, [("Pods", 4), ("Percent", 100)])
        down = spec.behavior.scaleDown = spec.behavior.scaleDown or _new(
            "autoscaling.v2.HPAScalingRules"
        )
        _scaling(down, [("Percent", 100)])


def _scaling(rules: Any, policies: list[tuple[str, int]]) -> None:
    rules.selectPolicy = rules.selectPolicy or "Max"
    made = [
        _new("autoscaling.v2.HPAScalingPolicy", type=kind, value=value, periodSeconds=15)
        for kind, value in policies
    ]
    rules.policies = rules.policies or made


def _autoscaler(obj: Any) -> None:
    if hasattr(obj.spec, "metrics"):
        _autoscaler_v2(obj)
    else:
        obj.spec.minReplicas = 1 if obj.spec.minReplicas is None else obj.spec.minReplicas


def _network_policy(obj: Any) -> None:
    spec = obj.spec
    spec.policyTypes = spec.policyTypes or (["Ingress", "Egress"] if spec.egress else ["Ingress"])
    for rule in (*spec.ingress, *spec.egress):
        for port in rule.ports:
            port.protocol = port.protocol or "TCP"


def _ingress_class(obj: Any) -> None:
    if obj.spec.parameters is not None:
        obj.spec.parameters.scope = obj.spec.parameters.scope or "Cluster"


def _priority_class(obj: Any) -> None:
    obj.preemptionPolicy = obj.preemptionPolicy or "PreemptLowerPriority"


def _storage_class(obj: Any) -> None:
    obj.reclaimPolicy = obj.reclaimPolicy or "Delete"
    obj.volumeBindingMode = obj.volumeBindingMode or "Immediate"


def _csi_driver(obj: Any) -> None:
    spec = obj.spec
    spec.attachRequired = True if spec.attachRequired is None else spec.attachRequired
    for name in ("podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"):
        setattr(spec, name, bool(getattr(spec, name)))
    spec.fsGroupPolicy = spec.fsGroupPolicy or "ReadWriteOnceWithFSType"
    spec.volumeLifecycleModes = spec.volumeLifecycleModes or ["Persistent"]


def _binding(obj: Any) -> None:
    obj.roleRef.apiGroup = obj.roleRef.apiGroup or RBAC
    for subject in obj.subjects:
        if not subject.apiGroup and subject.kind in ("User", "Group"):
            subject.apiGroup = RBAC


def _webhooks(obj: Any) -> None:
    for hook in obj.webhooks:
        hook.failurePolicy = hook.failurePolicy or "Fail"
        hook.matchPolicy = hook.matchPolicy or "Equivalent"
        hook.namespaceSelector = hook.namespaceSelector or _new("meta.v1.LabelSelector")
        hook.objectSelector = hook.objectSelector or _new("meta.v1.LabelSelector")
        hook.timeoutSeconds = 10 if hook.timeoutSeconds is None else hook.timeoutSeconds
        if hasattr(hook, "reinvocationPolicy"):
            hook.reinvocationPolicy = hook.reinvocationPolicy or "Never"
        for rule in hook.rules:
            rule.scope = rule.scope or "*"
        if hook.clientConfig.service is not None:
            _port(hook.clientConfig.service)


def _port(service: Any) -> None:
    service.port = 443 if service.port is None else service.port


def _api_service(obj: Any) -> None:
    if obj.spec.service is not None:
        _port(obj.spec.service)


def _definition(obj: Any) -> None:
    names = obj.spec.names
    names.singular = names.singular or names.kind.lower()
    names.listKind = names.listKind or (names.kind and names.kind + "List")
    if obj.spec.conversion is None:
        obj.spec.conversion = _new("apiextensions.v1.CustomResourceConversion", strategy="None")


_KINDS: dict[tuple[str, str], Callable[[Any], None]] = {
    ("", "Pod"): _pod,
    ("", "PodTemplate"): _pod_template,
    ("", "ReplicationController"): _replication_controller,
    ("", "Service"): _service,
    ("", "Endpoints"): _endpoints,
    ("", "Secret"): _secret,
    ("", "Namespace"): _namespace,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "PersistentVolume"): _volume,
    ("", "LimitRange"): _limit_range,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("batch", "Job"): _job,
    ("batch", "CronJob"): _cron_job,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("networking.k8s.io", "NetworkPolicy"): _network_policy,
    ("networking.k8s.io", "IngressClass"): _ingress_class,
    ("discovery.k8s.io", "EndpointSlice"): _endpoint_slice,
    ("scheduling.k8s.io", "PriorityClass"): _priority_class,
    ("storage.k8s.io", "StorageClass"): _storage_class,
    ("storage.k8s.io", "CSIDriver"): _csi_driver,
    (RBAC, "RoleBinding"): _binding,
    (RBAC, "ClusterRoleBinding"): _binding,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _webhooks,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _webhooks,
    ("apiregistration.k8s.io", "APIService"): _api_service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}
