"""Controllers that are wrong, one way each: what is planted, and what finds it.

A fault replaces one decision of the product, in this process. It is found by the convergence
property, for which ``sequence`` is the shortest way, or by a test of the controller's rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple
from unittest.mock import patch

from kubelite.client.resources import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS
from kubelite.control.controllers.actions import NOTHING
from kubelite.control.controllers.controller import nobody, own_key
from kubelite.control.controllers.shared.meta import is_deleting, name_of, spec_of
from tests.control.convergence import steps as do

HERE = "kubelite.control"
Change = Callable[[Any], Any]
"""What takes a decision's place, given the decision."""


class Fault(NamedTuple):
    """``where`` is MODULE:NAME below kubelite.control; ``rule_test`` is MODULE:TEST below
    tests.control where no ``sequence`` can show it.
    """

    where: str
    change: Change
    sequence: tuple[Any, ...] = ()
    rule_test: str = ""


@contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """The product with a fault in it."""
    module_name, _, path = fault.where.partition(":")
    target: Any = import_module(f"{HERE}.{module_name}")
    *owners, name = path.split(".")
    for owner in owners:
        target = getattr(target, owner)
    with patch.object(target, name, fault.change(target.__dict__[name])):
        yield


def never(real: Any) -> Any:
    return lambda *args, **options: False


def always(real: Any) -> Any:
    return lambda *args, **options: True


def plans_nothing(real: Any) -> Any:
    return real._replace(plan=lambda view, key, now: NOTHING)


def misses_deletions(real: Any) -> Any:
    """Of the objects before and after a change, only what is there afterwards is looked at."""
    return lambda services, old, new: real(services, old, new) if new is not None else []


def _counts_twice(real: Any) -> Any:
    def count_released(self: Any, tracked: set[str]) -> None:
        before = self.failed
        real(self, tracked)
        self.failed += self.failed - before

    return count_released


def _skips_a_node(real: Any) -> Any:
    return lambda set_, tolerations, node: (
        (False, False) if name_of(node) == "n1" else real(set_, tolerations, node)
    )


def _ignores_reservations(real: Any) -> Any:
    def best_match(claim: Any, volumes: Any, **options: Any) -> Any:
        free = [volume for volume in volumes if not spec_of(volume).get("claimRef")]
        return real(claim, free, **options)

    return best_match


def _says_it_is_empty(real: Any) -> Any:
    empty = {"remaining": {}, "finalizers": {}, "failures": []}
    return lambda namespace, left, now: real(namespace, empty, now)


def _budget_off_by_one(real: Any) -> Any:
    def count_of(*args: Any) -> Any:
        count = real(*args)
        return count._replace(desired=count.desired - 1)

    return count_of


def _named_by_revision(real: Any) -> Any:
    return lambda cron_job, due: real(cron_job, due) + cron_job["metadata"]["resourceVersion"]


def _frees_nobody(real: Any) -> Any:
    def orphan(view: Any, resource: Any, obj: Any) -> Any:
        plan = real(view, resource, obj)
        return plan._replace(steps=plan.steps[-1:])

    return orphan


FULL = (do.deployment(4, 1, 1, 1), do.Settle())
CLAIMED = (do.volume(0), do.claim(), do.Settle())
LOST = tuple(map(do.LoseNode, ("n0", "n1")))

FAULTS = {
    "replicaset: one pod too many": Fault(
        "controllers.workloads.replicaset:replicas_of",
        lambda real: lambda owner: real(owner) + 1,
        (do.replica_set("ReplicaSet", 2),),
    ),
    "replicationcontroller: a pod that goes is not noticed": Fault(
        "controllers.workloads.replicaset:owner_keys",
        lambda real: (
            lambda view, kind, pod, of: [] if is_deleting(pod) else real(view, kind, pod, of)
        ),
        (do.replica_set("ReplicationController", 2), do.Settle(), do.DeletePod(0, False)),
    ),
    "deployment: maxUnavailable is ignored": Fault(
        "controllers.workloads.rollout:Limits.least_available",
        lambda real: property(lambda limits: 0),
        (do.deployment(4, 1, 1, 1), do.Settle(), do.deployment(4, 2, 1, 1), do.Settle()),
    ),
    "deployment: one pod above maxSurge": Fault(
        "controllers.workloads.rollout:Limits.most",
        lambda real: property(lambda limits: limits.desired + limits.surge + 1),
        (*FULL, do.deployment(4, 2, 1, 1), do.Settle()),
    ),
    "deployment: Recreate does not wait for old pods": Fault(
        "controllers.workloads.deployment:active",
        lambda real: lambda sets: [],
        (do.deployment(2, 1, 0, 0), do.Settle(), do.deployment(2, 2, 0, 0), do.Settle()),
    ),
    "statefulset: all pods at once": Fault(
        "controllers.workloads.statefulset:is_parallel", always, (do.stateful_set(3, 1),)
    ),
    "statefulset: pods that are not ready count as healthy": Fault(
        "controllers.workloads.statefulset:is_healthy",
        always,
        (do.stateful_set(3, 1), do.Settle(), do.stateful_set(3, 2), do.Settle()),
    ),
    "daemonset: a node is skipped": Fault(
        "controllers.workloads.daemonset:placement", _skips_a_node, (do.daemon_set(1, ""),)
    ),
    "job: a failure is counted twice": Fault(
        "controllers.batch.job_status:Counters.count_released",
        _counts_twice,
        (do.job(1, 1, 1, None), do.Settle()),
    ),
    "job: pods are let go before they are counted": Fault(
        "controllers.batch.job:_Sync._count", never, (do.job(1, 1, 0, None), do.Settle())
    ),
    "job: fails at the first failure": Fault(
        "controllers.batch.job:_Sync._is_past_backoff_limit",
        lambda real: lambda sync: sync.failed > 0,
        (do.job(1, 1, 1, None), do.Settle()),
    ),
    "cronjob: Forbid is not heeded": Fault(
        "controllers.batch.cronjob:_Sync._note_jobs",
        lambda real: lambda sync: sync.active.clear(),
        (do.cron_job("Forbid", ""), *(do.Pass(320), do.Settle()) * 2),
    ),
    "cronjob: two Jobs for one time": Fault(
        "controllers.batch.cronjob:job_name",
        lambda real: (
            lambda cron_job, due: real(cron_job, due) + cron_job["metadata"]["resourceVersion"]
        ),
        rule_test="controllers.test_controllers_cronjob:"
        "test_a_job_made_before_a_crash_is_taken_over",
    ),
    "cronjob: the history is not trimmed": Fault(
        "controllers.batch.cronjob:_Sync._old_jobs",
        lambda real: lambda sync: [],
        (do.cron_job("Allow"), *(do.Pass(320), do.Settle()) * 4),
    ),
    "ttl-after-finished: too early": Fault(
        "controllers.batch.ttl_after_finished:parse_time",
        lambda real: lambda text: real(text) - 50,
        (do.job(1, 1, 0, 60), do.Settle()),
    ),
    "garbage-collector: nothing is collected": Fault(
        "controllers.lifecycle.garbage_collector:_verdict",
        lambda real: lambda *args: (),
        (*FULL, do.Delete("Deployment", "Background")),
    ),
    "garbage-collector: foreground does not wait": Fault(
        "controllers.lifecycle.garbage_collector:_blocks",
        never,
        (*FULL, do.Delete("Deployment", "Foreground")),
    ),
    "garbage-collector: orphans are not freed": Fault(
        "controllers.lifecycle.garbage_collector:_orphan_dependents",
        _frees_nobody,
        (*FULL, do.Delete("Deployment", "Orphan")),
    ),
    "namespace: goes before its content": Fault(
        "controllers.lifecycle.namespaces:_report", _says_it_is_empty, (*FULL, do.Renew())
    ),
    "serviceaccount: does not come back": Fault(
        "controllers.lifecycle.service_accounts:SERVICE_ACCOUNT_CONTROLLER",
        lambda real: real._replace(watches={NAMESPACES: own_key, SERVICE_ACCOUNTS: nobody}),
        (do.Spoil(True, False),),
    ),
    "root-ca: a changed bundle is not mended": Fault(
        "controllers.lifecycle.service_accounts:ROOT_CA_CONTROLLER",
        lambda real: real._replace(watches={NAMESPACES: own_key, CONFIG_MAPS: nobody}),
        (do.Spoil(False, True),),
    ),
    "endpointslice: pods that are gone stay": Fault(
        "controllers.network.endpointslice:services_of_pod",
        misses_deletions,
        (*FULL, do.service("deployment"), do.Scale("Deployment", 0)),
    ),
    "endpoints: nothing is written": Fault(
        "controllers.network.endpoints:ENDPOINTS_CONTROLLER",
        plans_nothing,
        (*FULL, do.service("deployment")),
    ),
    "endpointslice-mirroring: nothing is mirrored": Fault(
        "controllers.network.endpointslice_mirroring:wanted_endpoints",
        lambda real: lambda endpoints: {},
        (do.service(""), do.endpoints(2)),
    ),
    "disruption: one eviction too many": Fault(
        "controllers.policy.disruption:count_of", _budget_off_by_one, (*FULL, do.budget(1))
    ),
    "resourcequota: what is deleted is not given back": Fault(
        "api.admission.quota:difference",
        lambda real: lambda *args: {name: max(n, 0) for name, n in real(*args).items()},
        (do.Quota(5), do.replica_set("ReplicaSet", 2), do.Settle(), do.Scale("ReplicaSet", 0)),
    ),
    "node-lifecycle: a lost node is not called so": Fault(
        "controllers.nodes.node_lifecycle:_unknown_conditions",
        lambda real: lambda node, conditions, now: list(conditions),
        (*FULL, *LOST, do.Pass(900), do.Settle()),
    ),
    "taint-eviction: tolerationSeconds are ignored": Fault(
        "controllers.nodes.taint_eviction:leaves_at",
        lambda real: lambda pod, taints: 0.0,
        (*FULL, *LOST, do.Pass(70)),
    ),
    "pod-garbage-collector: pods of a node that is gone stay": Fault(
        "controllers.nodes.pod_gc:QUARANTINE_SECONDS",
        lambda real: 1e9,
        (do.daemon_set(1, ""), do.Settle(), do.RemoveNode("n1")),
    ),
    "persistentvolume-binder: a claim gets two volumes": Fault(
        "controllers.storage.binder:best_match",
        _ignores_reservations,
        (do.volume(0), do.volume(1), do.claim(), do.Settle()),
    ),
    "pvc-protection: a claim in use goes": Fault(
        "controllers.storage.protection:uses",
        never,
        (*CLAIMED, do.pod("claim"), do.Settle(), do.Delete("PersistentVolumeClaim", "Background")),
    ),
    "pv-protection: a bound volume goes": Fault(
        "controllers.storage.protection:status_of",
        lambda real: lambda obj: {},
        (*CLAIMED, do.Delete("PersistentVolume", "Background")),
    ),
    "attach-detach: a volume for one node goes to two": Fault(
        "controllers.storage.attach_detach:_held_elsewhere",
        lambda real: lambda view, volume, node: set(),
        rule_test="controllers.test_controllers_attach_detach:"
        "test_a_volume_for_one_node_is_not_attached_to_a_second",
    ),
    "attach-detach: what is mounted is detached": Fault(
        "controllers.storage.attach_detach:_unique_name",
        lambda real: lambda view, attachment: "",
        rule_test="controllers.test_controllers_attach_detach:"
        "test_nothing_is_detached_that_the_kubelet_still_has_mounted",
    ),
    "ephemeral-volume: no claim is made": Fault(
        "controllers.storage.ephemeral:EPHEMERAL_VOLUME_CONTROLLER",
        plans_nothing,
        (do.pod("ephemeral"),),
    ),
    "scheduler: what failed is not tried again": Fault(
        "scheduler.loop.queue:may_help",
        never,
        (
            *map(do.RemoveNode, ("n1", "n2")),
            do.LoseNode("n0"),
            do.Pass(70),
            do.replica_set("ReplicaSet", 2),
        ),
    ),
    "horizontal-pod-autoscaler: no tolerance": Fault(
        "controllers.autoscaling.replicas:Tolerance.allows",
        never,
        rule_test="controllers.test_controllers_autoscaler:test_a_percentage_of_requests",
    ),
    "horizontal-pod-autoscaler: bounds are ignored": Fault(
        "controllers.autoscaling.behavior:_clamped",
        lambda real: lambda wanted, least, fewest, most, *rest: real(wanted, 0, 0, 1000, *rest),
        rule_test="controllers.test_controllers_autoscaler:test_how_fast",
    ),
    "csr-approving: everybody is approved": Fault(
        "controllers.certificates.approving:node_of",
        lambda real: lambda spec: "system:node:n",
        rule_test="controllers.test_controllers_certificates:test_requests_of_nodes",
    ),
    "csr-cleaner: decided requests stay as long as others": Fault(
        "controllers.certificates.cleaning:DECIDED_SECONDS",
        lambda real: 86400.0,
        rule_test="controllers.test_controllers_certificates:test_when_requests_go",
    ),
    "kubelet-serving: another node's addresses are approved": Fault(
        "controllers.certificates.serving:_of_others",
        lambda real: lambda view, node: set(),
        rule_test="controllers.test_controllers_certificates:"
        "test_a_node_gets_a_serving_certificate_for_its_own_addresses",
    ),
    "ttl: the largest cluster's time for all": Fault(
        "controllers.nodes.ttl:_BOUNDARIES",
        lambda real: (),
        rule_test="controllers.test_controllers_nodes:test_the_ttl_grows_with_the_cluster",
    ),
    "node-ipam: a range is given twice": Fault(
        "controllers.nodes.ipam:pod_ranges.choose",
        lambda real: lambda node, wish, taken: real(node, wish, set()),
        rule_test="controllers.test_controllers_nodes:"
        "test_a_node_gets_the_range_that_suits_it_unless_another_has_it",
    ),
    "validatingadmissionpolicy-status: nothing is checked": Fault(
        "controllers.policy.admission_policies:warning_of",
        lambda real: lambda spec, expression: "",
        rule_test="controllers.test_controllers_admission_policies:test_each_kind_has_its_report",
    ),
    "service-lb: an address is given twice": Fault(
        "controllers.network.load_balancer:_taken",
        lambda real: lambda view, key: set(),
        rule_test="controllers.test_controllers_load_balancer:"
        "test_each_service_gets_its_own_address_of_the_pool_and_keeps_it",
    ),
    "local-volume-provisioner: nodes that may not have it": Fault(
        "controllers.storage.provisioner:_is_allowed",
        always,
        rule_test="controllers.test_controllers_provisioner:"
        "test_an_immediate_volume_goes_to_a_node_that_may_have_it",
    ),
    "serviceaccount-token: the Secret of an earlier account stays": Fault(
        "controllers.lifecycle.service_account_tokens:_is_of",
        always,
        rule_test="controllers.test_controllers_service_account_tokens:"
        "test_it_goes_when_the_server_says_that_its_account_is_gone_or_another",
    ),
    "service-cidr-controller: a range in use goes": Fault(
        "controllers.network.service_cidrs:_contains",
        always,
        rule_test="controllers.test_controllers_service_cidrs:"
        "test_a_range_is_needed_for_addresses_of_no_other",
    ),
    "persistentvolume-expander-controller: what our own volumes do is told too": Fault(
        "controllers.storage.expander:is_provisioned",
        never,
        rule_test="controllers.test_controllers_volumes:"
        "test_a_claim_that_has_grown_waits_for_its_driver",
    ),
    "clusterrole-aggregation: one role is missed": Fault(
        "api.auth.rbac:matcher",
        lambda real: lambda selector: lambda labels: False,
        rule_test="api.auth.test_api_rbac:test_a_sum_of_roles",
    ),
}
__all__ = ["FAULTS", "Fault", "planted"]
