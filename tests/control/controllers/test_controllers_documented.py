"""Every controller's constants and formulas, and the reasons of its Events and conditions, beside
those that Kubernetes documents (its reference pages, and the flags of kube-controller-manager).

Reasons are read from the source: one that stands in no table here, or only in a table, fails.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubelite.client import correlation, leader
from kubelite.control.controllers import loop
from kubelite.control.controllers.autoscaling import behavior, horizontal, replicas
from kubelite.control.controllers.batch import cronjob, job, job_pods, job_status
from kubelite.control.controllers.certificates import cleaning
from kubelite.control.controllers.network import (
    endpoints,
    endpointslice,
    endpointslice_mirroring,
    service_cidrs,
)
from kubelite.control.controllers.nodes import heartbeats, pod_gc, taint_eviction, ttl, zones
from kubelite.control.controllers.policy import disruption
from kubelite.control.controllers.shared import hashing, numbers
from kubelite.control.controllers.workloads import (
    daemonset,
    daemonset_pods,
    deployment_revisions,
    pod_ranking,
    replicaset,
    rollout,
)
from kubelite.control.scheduler.loop import claims as scheduler_claims
from kubelite.control.scheduler.loop import queue

HOME = Path(loop.__file__).parent

CONSTANTS: list[tuple[str, Any, Any]] = [
    # queues: 5 ms doubling to 1000 s
    ("first back-off of a key, s", loop.FIRST_BACKOFF, 0.005),
    ("largest back-off of a key, s", loop.MAX_BACKOFF, 1000.0),
    # pods of a plan
    ("ReplicaSet: pods of one plan", replicaset.BURST, 500),
    ("DaemonSet: pods of one plan", daemonset.BURST, 250),
    ("Job: pods of one plan", job.BURST, 500),
    ("Job: uncounted pods at once", job_status.MAX_UNCOUNTED, 500),
    ("Job: first back-off, s", job_pods.FIRST_BACKOFF, 10.0),
    ("Job: largest back-off, s", job_pods.MAX_BACKOFF, 600.0),
    ("CronJob: missed times before a warning", cronjob.MANY_MISSED, 100),
    ("DaemonSet: first back-off of a failed pod, s", daemonset.FAILED_SECONDS, 1.0),
    ("Deployment: length of the history annotation", deployment_revisions.MAX_HISTORY_LENGTH, 2000),
    ("no deadline, no limit of the history", rollout.MAX_INT32, 2147483647),
    # names
    ("alphabet of generated names", hashing.ALPHABET, "bcdfghjklmnpqrstvwxz2456789"),
    ("length of generated suffixes", hashing.SUFFIX_LENGTH, 5),
    ("what is left of a generated name's base", hashing.MAX_BASE, 58),
    # autoscaling
    ("HPA: sync period, s", horizontal.SYNC_SECONDS, 15.0),
    ("HPA: tolerance", replicas.Tolerance(), (0.1, 0.1)),
    ("HPA: cpu initialization period, s", replicas.INITIALIZATION_SECONDS, 300.0),
    ("HPA: initial readiness delay, s", replicas.READINESS_SECONDS, 30.0),
    ("HPA: downscale stabilization, s", behavior.DOWN_WINDOW, 300.0),
    ("HPA: longest stabilization window, s", behavior.LONGEST_WINDOW, 3600.0),
    # nodes
    ("node-monitor-grace-period, s", heartbeats.GRACE_SECONDS, 50.0),
    ("node-startup-grace-period, s", heartbeats.STARTUP_GRACE_SECONDS, 60.0),
    ("node-monitor-period, s", heartbeats.PERIOD_SECONDS, 5.0),
    ("node-eviction-rate, nodes/s", zones.RATE, 0.1),
    ("secondary-node-eviction-rate, nodes/s", zones.SECONDARY_RATE, 0.01),
    ("large-cluster-size-threshold", zones.LARGE, 50),
    ("unhealthy-zone-threshold", zones.UNHEALTHY, 0.55),
    ("PodGC: quarantine of a node that is gone, s", pod_gc.QUARANTINE_SECONDS, 40.0),
    ("terminated-pod-gc-threshold", pod_gc.MAX_FINISHED, 12500),
    ("PDB: an evicted pod is expected to go within, s", disruption.DELETION_SECONDS, 120.0),
    # endpoints
    ("max-endpoints-per-slice", endpointslice.MAX_ENDPOINTS, 100),
    ("mirroring-max-endpoints-per-subset", endpointslice_mirroring.MAX_ADDRESSES, 1000),
    ("Endpoints: addresses", endpoints.MAX_ADDRESSES, 1000),
    (
        "ServiceCIDR: an API server has seen a deletion after, s",
        service_cidrs.DELETION_SECONDS,
        10.0,
    ),
    # certificate requests
    ("a decided request goes after, s", cleaning.DECIDED_SECONDS, 3600.0),
    ("a pending request goes after, s", cleaning.PENDING_SECONDS, 86400.0),
    # leader election, and the scheduler's queue
    ("Lease: duration, renew deadline, retry period, s", tuple(leader.Times()), (15.0, 10.0, 2.0)),
    ("scheduler: first back-off, s", queue.FIRST_BACKOFF, 1.0),
    ("scheduler: longest back-off, s", queue.LONGEST_BACKOFF, 10.0),
    ("scheduler: an unschedulable pod is tried again after, s", queue.RETRY_AFTER, 300.0),
    ("scheduler: claims have to be bound within, s", scheduler_claims.BIND_SECONDS, 600.0),
    # events: as client-go aggregates and limits them
    ("events: similar ones until they are combined", correlation.MAX_SIMILAR, 10),
    ("events: similar within, s", correlation.SIMILAR_SECONDS, 600.0),
    ("events: of one object at once", correlation.BURST, 25),
    ("events: then one every, s", round(1 / correlation.REFILL_PER_SECOND), 300),
]


@pytest.mark.parametrize(("what", "ours", "documented"), CONSTANTS, ids=lambda value: str(value))
def test_constants(what: str, ours: Any, documented: Any) -> None:
    assert ours == documented, what


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 320), (7, 600), (60, 600)],
)
def test_the_back_off_of_a_job_doubles(failures: int, seconds: int) -> None:
    assert job_pods.backoff_until(failures, 1000.0) == (1000.0 + seconds if failures else 0.0)


@pytest.mark.parametrize(
    ("nodes", "seconds"),
    [(1, 0), (100, 0), (101, 15), (500, 15), (501, 30), (1001, 60), (2000, 60), (2001, 300)],
)
def test_the_ttl_of_nodes_grows_with_their_number(nodes: int, seconds: int) -> None:
    assert ttl.seconds_for(nodes) == seconds


@pytest.mark.parametrize(
    ("surge", "unavailable", "desired", "pods"),
    [
        ("25%", "25%", 10, (3, 2)),  # up, and down
        ("25%", "25%", 1, (1, 0)),
        (0, "1%", 10, (0, 1)),  # both nothing: one may be missing
        (None, None, 3, (0, 1)),
        ("100%", 0, 4, (4, 0)),
    ],
)
def test_fence_posts(surge: Any, unavailable: Any, desired: int, pods: tuple[int, int]) -> None:
    assert numbers.fence_posts(surge, unavailable, desired) == pods


def test_percentages_of_daemon_sets_and_budgets_are_rounded_up() -> None:
    assert numbers.scaled("10%", 11, up=True) == 2


def test_proportional_sizes_are_rounded_half_away_from_zero() -> None:
    assert [numbers.round_half_away(value) for value in (0.5, 1.5, -0.5, -1.5, 2.4)] == [
        1,
        2,
        -1,
        -2,
        2,
    ]


def test_an_autoscaler_measures_as_documented() -> None:
    """495 m and 2000 m of 2000 m each: 62 %, at a target of 100 % three of four."""
    amounts = {"a": 495, "b": 2000, "c": 0, "d": 0}
    samples = {name: replicas.Sample(amount, 0.0, 30.0) for name, amount in amounts.items()}
    groups = replicas.Groups(set(amounts), set(), set())
    requests = dict.fromkeys(amounts, 1000)
    found = replicas.proposal(4, replicas.Target(percent=100), samples, groups, requests)
    assert (found.percent, found.replicas) == (62, 3)


def test_the_order_in_which_pods_of_a_replica_set_go() -> None:
    assert pod_ranking.DELETION_COST == "controller.kubernetes.io/pod-deletion-cost"
    assert pod_ranking._PHASES == {"Pending": 0, "Unknown": 1, "Running": 2}


def test_what_every_daemon_tolerates() -> None:
    given = {(row["key"].partition("/")[2], row["effect"]) for row in daemon_tolerations()}
    assert given == {
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
        ("network-unavailable", "NoSchedule"),
    }


def daemon_tolerations() -> list[dict[str, Any]]:
    template = {"spec": {"hostNetwork": True, "containers": []}}
    return daemonset_pods.tolerations_of({"metadata": {}, "spec": {"template": template}})


def test_a_toleration_without_a_time_never_ends_and_the_shortest_counts() -> None:
    taint = {"key": "k", "effect": "NoExecute", "timeAdded": "1970-01-01T00:01:40Z"}
    short, long = ({"operator": "Exists", "tolerationSeconds": n} for n in (30, 300))

    def leaves(*tolerations: Any) -> float | None:
        return taint_eviction.leaves_at({"spec": {"tolerations": tolerations}}, [taint])

    assert leaves() == 0.0
    assert leaves({"operator": "Exists"}) is None
    assert leaves(short, long) == 130.0
    assert leaves({"operator": "Exists", "tolerationSeconds": -1}) == 0.0


# Reasons

EVENTS: dict[str, str] = {
    "autoscaling.horizontal": """
        SuccessfulRescale AmbiguousSelector FailedComputeMetricsReplicas FailedGetScale
        FailedRescale InvalidSelector SelectorRequired FailedGetResourceMetric
        FailedGetContainerResourceMetric FailedGetPodsMetric FailedGetObjectMetric
        FailedGetExternalMetric
        """,
    "batch.cronjob": """
        JobAlreadyActive MissingJob SawCompletedJob SuccessfulCreate SuccessfulDelete FailedCreate
        FailedDelete InvalidSchedule MissSchedule TooManyMissedTimes UnexpectedJob UnknownTimeZone
        UnparseableSchedule
        """,
    "batch.job": "Completed Resumed Suspended TooManySucceededPods",
    "network.endpointslice_mirroring": "TooManyAddressesToMirror",
    "network.load_balancer": "EnsuredLoadBalancer SyncLoadBalancerFailed",
    "nodes.ipam": "CIDRNotAvailable",
    "nodes.node_lifecycle": "NodeNotReady RegisteredNode RemovingNode",
    "nodes.taint_eviction": "TaintManagerEviction",
    "policy.disruption": "NoPods CalculateExpectedPodCountFailed NotDeleted UnmanagedPods",
    "shared.pod_events": "SuccessfulCreate SuccessfulDelete FailedCreate FailedDelete",
    "storage.binder": """
        FailedBinding ClaimLost ClaimMisbound ExternalProvisioning ProvisioningFailed
        VolumeFailedDelete VolumeFailedRecycle VolumeMismatch WaitForFirstConsumer
        WaitForPodScheduled
        """,
    "storage.attach_detach": "FailedAttachVolume SuccessfulAttachVolume",
    "storage.ephemeral": "FailedBinding",
    "storage.expander": "ExternalExpanding",
    "storage.provisioner": "ProvisioningFailed ProvisioningSucceeded VolumeResizeSuccessful",
    "workloads.daemonset": "SucceededDaemonPod FailedDaemonPod SelectingAll",
    "workloads.deployment": "ScalingReplicaSet ReplicaSetCreateError SelectingAll",
    "workloads.statefulset": "SuccessfulCreate FailedCreate",
}
"""Reasons of Events, by the module that gives them."""

CONDITIONS: dict[str, str] = {
    "autoscaling.behavior": """
        ReadyForNewScale ScaleDownStabilized ScaleUpStabilized DesiredWithinRange ScaleUpLimit
        ScaleDownLimit TooManyReplicas TooFewReplicas
        """,
    "autoscaling.horizontal": """
        AbleToScale ScalingActive ScalingLimited SucceededGetScale SucceededRescale ScalingDisabled
        ValidMetricFound FailedUpdateScale
        """,
    "batch.job": """
        PodFailurePolicy BackoffLimitExceeded DeadlineExceeded MaxFailedIndexesExceeded
        FailedIndexes SuccessPolicy CompletionsReached JobSuspended JobResumed
        """,
    "batch.job_status": "FailureTarget SuccessCriteriaMet",
    "certificates.approving": "AutoApproved",
    "lifecycle.namespaces": """
        NamespaceDeletionDiscoveryFailure NamespaceDeletionGroupVersionParsingFailure
        NamespaceDeletionContentFailure NamespaceContentRemaining NamespaceFinalizersRemaining
        ResourcesDiscovered ParsedGroupVersions ContentDeleted ContentRemoved
        ContentHasNoFinalizers ContentDeletionFailed SomeResourcesRemain SomeFinalizersRemain
        """,
    "nodes.node_lifecycle": """
        NodeStatusUnknown NodeStatusNeverUpdated MemoryPressure DiskPressure NetworkUnavailable
        """,
    "nodes.pod_gc": "DisruptionTarget DeletionByPodGC",
    "nodes.taint_eviction": "DisruptionTarget DeletionByTaintManager",
    "policy.disruption": "DisruptionAllowed SufficientPods InsufficientPods SyncFailed",
    "workloads.deployment": """
        FoundNewReplicaSet NewReplicaSetCreated DeploymentPaused DeploymentResumed
        """,
    "workloads.deployment_status": """
        ProgressDeadlineExceeded NewReplicaSetAvailable ReplicaSetUpdated MinimumReplicasAvailable
        MinimumReplicasUnavailable ReplicaFailure
        """,
    "workloads.replicaset": "ReplicaFailure FailedCreate FailedDelete",
}
"""Types and reasons of conditions, by the module that gives them."""

API_WORDS = frozenset(
    """
    ContainerResource FailJob FailIndex OnFailure PreferClose PreferSameNode PreferSameZone
    ExternalName ExternalIP InternalIP NoExecute NoSchedule RollingUpdate WaitForFirstConsumer
    """.split()
)
"""Values of fields, which look like reasons."""

KINDS = re.compile(
    "(ReplicaSet|StatefulSet|DaemonSet|CronJob|ConfigMap|EndpointSlice|ServiceAccount|LoadBalancer"
    "|ReplicationController|HorizontalPodAutoscaler|PodDisruptionBudget|PersistentVolume(Claim)?"
    "|ControllerRevision|CertificateSigningRequest|SubjectAccessReview|TokenRequest"
    "|ValidatingAdmissionPolicy|ClusterTrustBundle|ServiceCIDR|VolumeAttachment)"
)
WORD = re.compile("[A-Z][a-z]+[A-Z][A-Za-z]+|NoPods|CIDR[A-Za-z]+")


def modules() -> list[str]:
    paths = sorted(path.relative_to(HOME) for path in HOME.glob("*/*.py"))
    return [".".join(path.with_suffix("").parts) for path in paths if path.stem != "__init__"]


def reasons(module: str) -> set[str]:
    """Words in the source that may be types or reasons."""
    tree = ast.parse((HOME / f"{module.replace('.', '/')}.py").read_text())
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and WORD.fullmatch(node.value)
        and not KINDS.fullmatch(node.value)
    }


def short_events(module: str) -> Iterator[str]:
    """Reasons of one word are found by where they stand: in an Event."""
    tree = ast.parse((HOME / f"{module.replace('.', '/')}.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Emit":
            reason = node.args[2]
            if isinstance(reason, ast.Constant):
                yield str(reason.value)


@pytest.mark.parametrize("module", modules())
def test_reasons(module: str) -> None:
    words = {word for table in (EVENTS, CONDITIONS) for word in table.get(module, "").split()}
    assert (reasons(module) | set(short_events(module))) - API_WORDS == words - API_WORDS


def test_every_module_of_the_tables_exists() -> None:
    assert {*EVENTS, *CONDITIONS} <= set(modules())
