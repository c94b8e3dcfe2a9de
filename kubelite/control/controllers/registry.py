"""Which controllers exist, and which of them ``--controllers`` selects.

A row is the name that kube-controller-manager knows (those of the built-in provisioner and of
serving certificates are our own), an older alias, and where the controller is found. Modules are
imported only for controllers that run. Off by default, as there, are those that need to know the
cluster's network or nodes: addresses of LoadBalancers, ranges of nodes, directories as volumes.

A controller may do what its role says: ``control/api/server/controller_roles.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import NamedTuple

from kubelite.control.controllers.controller import DEFAULTS, Controller, Settings

_HERE = "kubelite.control.controllers"
PROVISIONER = "local-volume-provisioner-controller"


class Row(NamedTuple):
    """A controller that exists. ``attribute`` is the controller, or makes it from settings: one
    that needs some, or that remembers something.
    ``is_on`` says whether ``*`` includes it.
    """

    name: str
    alias: str
    module: str
    attribute: str
    is_on: bool = True

    def load(self, settings: Settings = DEFAULTS) -> Controller:
        """The controller itself."""
        controller = getattr(import_module(f"{_HERE}.{self.module}"), self.attribute)
        loaded: Controller = controller(settings) if callable(controller) else controller
        return loaded


ROWS: tuple[Row, ...] = (
    Row("cronjob-controller", "cronjob", "batch.cronjob", "CRON_JOB_CONTROLLER"),
    Row("job-controller", "job", "batch.job", "JOB_CONTROLLER"),
    Row(
        "ttl-after-finished-controller",
        "ttl-after-finished",
        "batch.ttl_after_finished",
        "TTL_AFTER_FINISHED_CONTROLLER",
    ),
    Row("daemonset-controller", "daemonset", "workloads.daemonset", "DAEMON_SET_CONTROLLER"),
    Row("deployment-controller", "deployment", "workloads.deployment", "DEPLOYMENT_CONTROLLER"),
    Row("endpoints-controller", "endpoint", "network.endpoints", "ENDPOINTS_CONTROLLER"),
    Row(
        "endpointslice-controller",
        "endpointslice",
        "network.endpointslice",
        "ENDPOINT_SLICE_CONTROLLER",
    ),
    Row(
        "endpointslice-mirroring-controller",
        "endpointslicemirroring",
        "network.endpointslice_mirroring",
        "ENDPOINT_SLICE_MIRRORING_CONTROLLER",
    ),
    Row(
        "certificatesigningrequest-approving-controller",
        "csrapproving",
        "certificates.approving",
        "CSR_APPROVING_CONTROLLER",
    ),
    Row(
        "kubelet-serving-approving-controller",
        "",
        "certificates.serving",
        "KUBELET_SERVING_APPROVING_CONTROLLER",
    ),
    Row(
        "certificatesigningrequest-cleaner-controller",
        "csrcleaner",
        "certificates.cleaning",
        "CSR_CLEANER_CONTROLLER",
    ),
    Row(
        "garbage-collector-controller",
        "garbagecollector",
        "lifecycle.garbage_collector",
        "GARBAGE_COLLECTOR_CONTROLLER",
    ),
    Row(
        "horizontal-pod-autoscaler-controller",
        "horizontalpodautoscaling",
        "autoscaling.horizontal",
        "horizontal_pod_autoscaler_controller",
    ),
    Row("disruption-controller", "disruption", "policy.disruption", "DISRUPTION_CONTROLLER"),
    Row("namespace-controller", "namespace", "lifecycle.namespaces", "NAMESPACE_CONTROLLER"),
    Row(
        "service-lb-controller",
        "service-lb",
        "network.load_balancer",
        "load_balancer_controller",
        is_on=False,
    ),
    Row(
        "service-cidr-controller",
        "",
        "network.service_cidrs",
        "SERVICE_CIDR_CONTROLLER",
    ),
    Row(
        "serviceaccount-controller",
        "serviceaccount",
        "lifecycle.service_accounts",
        "SERVICE_ACCOUNT_CONTROLLER",
    ),
    Row(
        "serviceaccount-token-controller",
        "serviceaccount-token",
        "lifecycle.service_account_tokens",
        "SERVICE_ACCOUNT_TOKEN_CONTROLLER",
    ),
    Row(
        "root-ca-certificate-publisher-controller",
        "root-ca-cert-publisher",
        "lifecycle.service_accounts",
        "ROOT_CA_CONTROLLER",
    ),
    Row(
        "persistentvolume-binder-controller",
        "persistentvolume-binder",
        "storage.binder",
        "PERSISTENT_VOLUME_BINDER_CONTROLLER",
    ),
    Row(
        PROVISIONER,
        "",
        "storage.provisioner",
        "LOCAL_VOLUME_PROVISIONER",
        is_on=False,
    ),
    Row(
        "persistentvolume-attach-detach-controller",
        "attachdetach",
        "storage.attach_detach",
        "ATTACH_DETACH_CONTROLLER",
    ),
    Row(
        "persistentvolume-expander-controller",
        "persistentvolume-expander",
        "storage.expander",
        "PERSISTENT_VOLUME_EXPANDER_CONTROLLER",
    ),
    Row(
        "persistentvolumeclaim-protection-controller",
        "pvc-protection",
        "storage.protection",
        "PVC_PROTECTION_CONTROLLER",
    ),
    Row(
        "persistentvolume-protection-controller",
        "pv-protection",
        "storage.protection",
        "PV_PROTECTION_CONTROLLER",
    ),
    Row(
        "ephemeral-volume-controller",
        "ephemeral-volume",
        "storage.ephemeral",
        "EPHEMERAL_VOLUME_CONTROLLER",
    ),
    Row(
        "node-lifecycle-controller",
        "nodelifecycle",
        "nodes.node_lifecycle",
        "node_lifecycle_controller",
    ),
    Row("pod-garbage-collector-controller", "podgc", "nodes.pod_gc", "POD_GC_CONTROLLER"),
    Row("node-ipam-controller", "nodeipam", "nodes.ipam", "NODE_IPAM_CONTROLLER", is_on=False),
    Row("ttl-controller", "ttl", "nodes.ttl", "TTL_CONTROLLER"),
    Row("taint-eviction-controller", "", "nodes.taint_eviction", "taint_eviction_controller"),
    Row("replicaset-controller", "replicaset", "workloads.replicaset", "REPLICA_SET_CONTROLLER"),
    Row(
        "statefulset-controller", "statefulset", "workloads.statefulset", "STATEFUL_SET_CONTROLLER"
    ),
    Row(
        "replicationcontroller-controller",
        "replicationcontroller",
        "workloads.replicaset",
        "REPLICATION_CONTROLLER_CONTROLLER",
    ),
    Row(
        "validatingadmissionpolicy-status-controller",
        "validatingadmissionpolicy-status",
        "policy.admission_policies",
        "VALIDATING_ADMISSION_POLICY_STATUS_CONTROLLER",
    ),
)


FOR_OWN_NODES = ("*", *(row.name for row in ROWS if not row.is_on))
"""What a cluster runs whose nodes are kubelite's: network and disks are known."""


class UnknownController(ValueError):
    """``--controllers`` names one that does not exist; the message is one sentence."""


def select(words: Sequence[str]) -> tuple[Row, ...]:
    """The controllers that ``--controllers`` selects: ``*`` all that are on by default, ``name``
    one of them, ``-name`` all but it. The first word about a controller counts. Raises
    UnknownController.
    """
    by_name = {row.name: row for row in ROWS} | {row.alias: row for row in ROWS if row.alias}
    for word in words:
        name = word.removeprefix("-")
        if name != "*" and name not in by_name:
            listed = ", ".join(sorted(row.name for row in ROWS))
            raise UnknownController(f'"{name}" is no controller; there are {listed}')
    return tuple(row for row in ROWS if _is_selected(row, words))


def _is_selected(row: Row, words: Iterable[str]) -> bool:
    names, has_star = {row.name, row.alias} - {""}, False
    for word in words:
        if word in names:
            return True
        if word.startswith("-") and word[1:] in names:
            return False
        has_star = has_star or word == "*"
    return has_star and row.is_on
