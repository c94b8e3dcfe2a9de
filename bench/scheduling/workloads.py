"""What is scheduled: the workloads of kube-scheduler's scheduler_perf by their shapes, and some of
our own. Pure.

Sizes and CI thresholds (pods/s, API server included) are those of scheduler_perf's
performance-config.yaml; those marked old are from 1.32/1.33. Nodes have 4 cpu, 32Gi and 110 pods,
pods ask for 100m and 500Mi unless a workload is about that.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Object = dict[str, Any]
HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


class Workload(NamedTuple):
    """Nodes and pods that are there, and pods that are measured. ``threshold`` is kube-scheduler's,
    None where it has none; ``target`` is ours for the core."""

    name: str
    nodes: int
    existing: int
    measured: int
    threshold: int | None
    target: int | None
    node: Callable[[int], Object]
    before: Callable[[int], Object]
    pod: Callable[[int], Object]
    others: tuple[Object, ...] = ()


def node(number: int, zones: int = 3, room: dict[str, str] | None = None) -> Object:
    labels = {HOST: f"n{number}", ZONE: f"zone{number % zones}"}
    allocatable = {"cpu": "4", "memory": "32Gi", "pods": "110", **(room or {})}
    return {
        "kind": "Node",
        "metadata": {"name": f"n{number}", "labels": labels},
        "status": {"allocatable": allocatable},
    }


def pod(
    name: str,
    cpu: str = "100m",
    memory: str = "500Mi",
    labels: dict[str, str] | None = None,
    **spec: Any,
) -> Object:
    namespace = spec.pop("namespace", "default")
    requests = {"cpu": cpu, "memory": memory, **spec.pop("more", {})}
    containers = [
        {
            "name": "pause",
            "image": "registry.k8s.io/pause:3.10",
            "resources": {"requests": requests},
        }
    ]
    meta = {"name": name, "namespace": namespace, "labels": labels or {}}
    return {"kind": "Pod", "metadata": meta, "spec": {"containers": containers, **spec}}


def plain(number: int) -> Object:
    return pod(f"p{number}")


def kinds(count: int) -> Callable[[int], Object]:
    """Pods of so many sizes in turn."""
    return lambda number: pod(
        f"p{number}", cpu=f"{50 + number % count}m", memory=f"{200 + number % count}Mi"
    )


def labelled(number: int) -> Object:
    return pod(f"p{number}", labels={"color": "blue"})


def spreading(key: str, hard: bool, **more: Any) -> Callable[[int], Object]:
    constraint = {
        "topologyKey": key,
        "maxSkew": 5,
        "labelSelector": {"matchLabels": {"color": "blue"}},
        **more,
    }
    constraint["whenUnsatisfiable"] = "DoNotSchedule" if hard else "ScheduleAnyway"
    return lambda number: pod(
        f"p{number}", labels={"color": "blue"}, topologySpreadConstraints=[constraint]
    )


def term(key: str, color: str, **more: Any) -> Object:
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"color": color}}, **more}


def pulled(
    kind: str, key: str, *, hard: bool, color: str = "blue", **more: Any
) -> Callable[[int], Object]:
    """Pods with one pod affinity term on their own label."""
    affinity_term = term(key, color, **more)
    if hard:
        affinity = {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [affinity_term]}}
    else:
        weighted = [{"weight": 1, "podAffinityTerm": affinity_term}]
        affinity = {kind: {"preferredDuringSchedulingIgnoredDuringExecution": weighted}}
    return lambda number: pod(f"p{number}", labels={"color": color}, affinity=affinity)


def on_zone(number: int) -> Object:
    in_zones = {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["zone0", "zone1"]}]}
    required = {"nodeSelectorTerms": [in_zones]}
    return pod(
        f"p{number}",
        affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
    )


def pinned(nodes: int) -> Callable[[int], Object]:
    def made(number: int) -> Object:
        field = {"key": "metadata.name", "operator": "In", "values": [f"n{number % nodes}"]}
        required = {"nodeSelectorTerms": [{"matchFields": [field]}]}
        return pod(
            f"p{number}",
            affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
        )

    return made


def mixed(number: int) -> Object:
    """Five kinds in turn, as MixedSchedulingBasePod has them before it measures plain ones."""
    makers = (
        plain,
        pulled("podAffinity", ZONE, hard=True),
        pulled("podAntiAffinity", HOST, hard=True, color="green"),
        pulled("podAffinity", ZONE, hard=False, color="red"),
        pulled("podAntiAffinity", HOST, hard=False, color="yellow"),
    )
    return makers[number % 5](number)


def with_misfits(number: int) -> Object:
    """One in 118 fits nowhere: five a second at kube-scheduler's pace."""
    return pod(f"p{number}", cpu="9" if number % 118 == 0 else "100m")


def big(number: int) -> Object:
    return pod(f"p{number}", cpu="900m")


def preemptors(share: int) -> Callable[[int], Object]:
    """One in so many pods is important and large."""
    return lambda number: (
        pod(f"p{number}", cpu="3", memory="500Mi", priority=1000)
        if number % share == 0
        else pod(f"p{number}", cpu="100m")
    )


def terminating(number: int) -> Object:
    made = plain(number)
    made["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z"
    return made


def _spaced(maker: Callable[[int], Object], count: int) -> Callable[[int], Object]:
    def made(number: int) -> Object:
        document = maker(number)
        document["metadata"]["namespace"] = f"space{number % count}"
        return document

    return made


SERVICE: Object = {
    "kind": "Service",
    "metadata": {"name": "s", "namespace": "default"},
    "spec": {"selector": {"color": "blue"}},
}
SPACES = tuple(
    {"kind": "Namespace", "metadata": {"name": f"space{n}", "labels": {"team": "devops"}}}
    for n in range(100)
)
TEAM = {"namespaceSelector": {"matchLabels": {"team": "devops"}}}


def workloads() -> Iterator[Workload]:
    """All of them, the published ones first in the order of their file."""
    affine, anti = (
        pulled("podAffinity", ZONE, hard=True),
        pulled("podAntiAffinity", HOST, hard=True),
    )
    yield Workload("SchedulingBasic", 5000, 1000, 10000, 680, 300_000, node, plain, plain)
    yield Workload(
        "SchedulingBasic, 64 classes", 5000, 1000, 10000, None, None, node, plain, kinds(64)
    )
    yield Workload("SchedulingBasic, large", 5000, 5000, 50000, 810, 300_000, node, plain, plain)
    yield Workload("SchedulingDaemonset", 15000, 0, 30000, 1100, None, node, plain, pinned(15000))
    yield Workload("Unschedulable", 5000, 100, 10000, 590, None, node, plain, with_misfits)
    yield Workload("PreemptionAsync", 5000, 20000, 5000, 570, None, node, big, preemptors(114))
    yield Workload(
        "SchedulingDeletedPodsWithFinalizers", 5000, 5000, 5000, 830, None, node, terminating, plain
    )
    yield Workload(
        "SchedulingWithExtendedResource", 5000, 0, 5000, 180, None,
        lambda n: node(n, room={"foo.com/bar": "1"}), plain,
        lambda n: pod(f"p{n}", more={"foo.com/bar": "1"}),
    )  # fmt: skip
    yield Workload(
        "TopologySpreading", 5000, 5000, 5000, 460, 50_000, node, labelled, spreading(ZONE, True)
    )
    yield Workload(
        "PreferredTopologySpreading",
        5000,
        5000,
        5000,
        340,
        50_000,
        node,
        labelled,
        spreading(ZONE, False),
    )
    yield Workload(
        "DefaultTopologySpreading",
        5000,
        5000,
        50000,
        160,
        50_000,
        node,
        labelled,
        labelled,
        (SERVICE,),
    )
    policies = {"nodeAffinityPolicy": "Honor", "nodeTaintsPolicy": "Honor"}
    yield Workload(
        "NodeInclusionPolicy",
        5000,
        0,
        4000,
        270,
        50_000,
        node,
        plain,
        spreading(ZONE, True, **policies),
    )
    yield Workload("SchedulingNodeAffinity", 5000, 5000, 10000, 220, None, node, plain, on_zone)
    yield Workload("SchedulingPodAntiAffinity", 5000, 1000, 2000, 60, 20_000, node, anti, anti)
    yield Workload(
        "SchedulingPodMatchingAntiAffinity", 5000, 1000, 5000, 543, 20_000, node, anti, labelled
    )
    yield Workload(
        "SchedulingPodAffinity", 5000, 5000, 5000, 35, 20_000, lambda n: node(n, 1), affine, affine
    )
    for kind, word in (("podAffinity", "Affinity"), ("podAntiAffinity", "AntiAffinity")):
        soft = pulled(kind, HOST, hard=False)
        yield Workload(
            f"SchedulingPreferredPod{word}", 5000, 5000, 5000, 90, 20_000, node, soft, soft
        )
    yield Workload("MixedSchedulingBasePod", 5000, 10000, 5000, 140, 20_000, node, mixed, plain)
    yield Workload("Mixed, all five measured", 5000, 5000, 5000, None, 20_000, node, mixed, mixed)
    yield Workload(
        "RequiredAntiAffinity, namespace selector", 6000, 4000, 2000, 24, 20_000, node,
        _spaced(pulled("podAntiAffinity", HOST, hard=True, **TEAM), 100),
        _spaced(pulled("podAntiAffinity", HOST, hard=True, **TEAM), 1), SPACES,
    )  # fmt: skip
    yield Workload(
        "RequiredAffinity, namespace selector", 5000, 5000, 2000, 35, 20_000, lambda n: node(n, 1),
        _spaced(pulled("podAffinity", ZONE, hard=True, **TEAM), 50),
        _spaced(pulled("podAffinity", ZONE, hard=True, **TEAM), 1), SPACES,
    )  # fmt: skip
    yield Workload(
        "PreferredAntiAffinity, namespace selector", 5000, 4000, 2000, 55, 20_000, node,
        _spaced(pulled("podAntiAffinity", HOST, hard=False, **TEAM), 100),
        _spaced(pulled("podAntiAffinity", HOST, hard=False, **TEAM), 1), SPACES,
    )  # fmt: skip
    yield Workload(
        "Spread over hosts, hard", 5000, 0, 10000, None, 50_000, node, plain, spreading(HOST, True)
    )
    yield Workload(
        "Spread over hosts, soft", 5000, 0, 10000, None, 50_000, node, plain, spreading(HOST, False)
    )
    yield Workload(
        "Preemption by every pod", 5000, 20000, 2000, None, 2_000, node, big, preemptors(1)
    )
    yield Workload("Basic, 100,000 nodes", 100_000, 0, 20000, None, 100_000, node, plain, plain)
