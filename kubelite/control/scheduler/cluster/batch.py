"""Placing many pods: one decision after the other, as fast as the core goes.

Pods that need nothing but numbers are handed to the core in one go. Own plug-ins, samples of nodes,
nominated nodes, gates and claims that nobody can serve take the long way, one pod at a time.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from kubelite.control.scheduler.cluster.cluster import Cluster
from kubelite.control.scheduler.cluster.core_arrays import PodClass
from kubelite.control.scheduler.cluster.pod_table import Entry
from kubelite.control.scheduler.cluster.rating import decide, sample
from kubelite.control.scheduler.facts.trait_cache import Reading
from kubelite.core import native

Object = Mapping[str, Any]
Known = tuple[PodClass, str, Reading]  # and the only node, or ""
FEW, MANY = (
    4,
    4096,
)  # pods that are handed over at a time: few at first, since the first that fits nowhere ends it


def place(cluster: Cluster, pods: Sequence[Object]) -> list[str | None]:
    """Decides for pod after pod and counts each as running where it goes, until one fits nowhere.

    Returns the node of each pod that was decided about; only the last can be None. Raises
    BadObject.
    """
    placed: list[str | None] = []
    limit = FEW
    while len(placed) < len(pods) and (not placed or placed[-1] is not None):
        rest = pods[len(placed) : len(placed) + limit]
        limit = min(2 * limit, MANY)
        classified = _classified(cluster, rest)
        if classified:
            placed += _run(cluster, rest[: len(classified)], classified)
        else:
            decision = decide(cluster, rest[0])
            if decision.node is not None:
                cluster.assume(rest[0], decision.node)
            placed.append(decision.node)
    return placed


def _classified(cluster: Cluster, pods: Sequence[Object]) -> list[Known]:
    """What is known of the pods up to the first that has to take the long way."""
    if cluster.pods.nominated:
        return []
    while True:
        columns = cluster.columns()
        classified = []
        for pod in pods:
            pod_class, node, reading = cluster.classify_for(pod)
            if not _is_plain(cluster, pod, pod_class) or (
                node and node not in columns.world.nodes.index
            ):
                break
            classified.append((pod_class, node, reading))
            if pod_class.waiting:
                break
        if cluster.columns() is columns:
            return classified


def _is_plain(cluster: Cluster, pod: Object, pod_class: PodClass) -> bool:
    profile, nodes = cluster.profile_of(pod_class), cluster.columns().world.nodes
    if profile.own or pod_class.problem or sample(nodes.count, profile.percentage):
        return False
    return not (pod.get("spec") or {}).get("schedulingGates") and not (pod.get("status") or {}).get(
        "nominatedNodeName"
    )


def _run(cluster: Cluster, pods: Sequence[Object], classified: list[Known]) -> list[str | None]:
    columns = cluster.columns()
    numbers = {
        pod_class: columns.pending_class(pod_class)
        for pod_class in dict.fromkeys(pod_class for pod_class, _, _ in classified)
    }
    entries = [
        cluster.entry_of(pod, reading, "", "")
        for pod, (_, _, reading) in zip(pods, classified, strict=True)
    ]
    for entry in entries:
        if entry.key in cluster.pods:
            cluster.forget(entry.obj)
    index = columns.world.nodes.index
    nodes = array("i", [index[node] if node else -1 for _, node, _ in classified])
    slots, classes = (
        array("i", [entry.slot for entry in entries]),
        array("i", [numbers[pod_class] for pod_class, _, _ in classified]),
    )
    done = native.sched_run(columns.sched, slots, classes, cluster.random, nodes)
    for entry in entries[done:]:
        cluster.pods.give_back(entry.slot)
    rows = columns.world.nodes.rows
    names = [rows[node].name if node >= 0 else None for node in nodes[:done]]
    triples = zip(entries[:done], classified[:done], names, strict=True)
    return [_settle(cluster, entry, pod_class, name) for entry, (pod_class, _, _), name in triples]


def _settle(cluster: Cluster, entry: Entry, pod_class: PodClass, node: str | None) -> str | None:
    if node is None:
        cluster.pods.give_back(entry.slot)
        return None
    entry.node, entry.pod_class = node, pod_class
    cluster.pods.add(entry)
    cluster.changes += 1
    cluster.bind_claims(entry)
    return node
