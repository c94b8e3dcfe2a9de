"""Runs a workload and takes the time, in the C core and around it.

Times are processor time of the one thread there is: what else a shared machine does would only blur
them.
"""

import os
import time
from array import array
from collections.abc import Callable
from typing import Any, NamedTuple

from kubelite.control.scheduler.cluster import batch
from kubelite.control.scheduler.cluster.cluster import Cluster
from kubelite.control.scheduler.cluster.preemption import fast_preempt, outcome, preempt
from kubelite.control.scheduler.cluster.rating import decide
from kubelite.core import native
from scheduling.workloads import Object, Workload, kinds, node

CORE = ("sched_run", "sched_rate", "sched_preempt")


class Figures(NamedTuple):
    """What one run of a workload took, in seconds of processor time."""

    workload: Workload
    placed: int
    evicted: int
    core: float
    whole: float

    @property
    def rate(self) -> float:
        """Pods a second in the core."""
        return self.workload.measured / self.core

    @property
    def whole_rate(self) -> float:
        """Pods a second with everything around it: reading objects, classes, books."""
        return self.workload.measured / self.whole

    @property
    def outside(self) -> float:
        """The share of the time outside the core."""
        return 1 - self.core / self.whole


class Core:
    """Counts the time in the core's functions while it is open."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._old: dict[str, Callable[..., Any]] = {}

    def __enter__(self) -> "Core":
        for name in CORE:
            self._old[name] = getattr(native, name)
            setattr(native, name, self._timed(self._old[name]))
        return self

    def __exit__(self, *error: object) -> None:
        for name, function in self._old.items():
            setattr(native, name, function)

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            start = time.thread_time()
            try:
                return function(*arguments)
            finally:
                self.seconds += time.thread_time() - start

        return timed


def prepared(workload: Workload) -> Cluster:
    """The nodes, and the pods that are there: placed by the scheduler itself, one that is past its
    end by turns.
    """
    cluster = Cluster(seed=1)
    for each in workload.others:
        cluster.put(each["kind"], each)
    for number in range(workload.nodes):
        cluster.put("Node", workload.node(number))
    before = [_renamed(workload.before(number)) for number in range(workload.existing)]
    while before:
        nodes = batch.place(cluster, before)
        before = before[len(nodes) :]
    cluster.columns()
    return cluster


def _renamed(pod: Object) -> Object:
    pod["metadata"]["name"] = "old-" + pod["metadata"]["name"]
    return pod


def run(workload: Workload) -> Figures:
    """Schedules the measured pods."""
    cluster = prepared(workload)
    pods = [workload.pod(number) for number in range(workload.measured)]
    placed = evicted = 0
    with Core() as core:
        start = time.thread_time()
        while pods:
            nodes = batch.place(cluster, pods)
            placed += sum(name is not None for name in nodes)
            if nodes[-1] is None:
                victims = _make_room(cluster, pods[len(nodes) - 1])
                evicted += victims
                placed += victims > 0
            pods = pods[len(nodes) :]
        whole = time.thread_time() - start
    return Figures(workload, placed, evicted, core.seconds, whole)


def _make_room(cluster: Cluster, pod: Object) -> int:
    """Evicts for a pod that fits nowhere, or finds out what to say about it."""
    chosen = fast_preempt(cluster, pod, cluster.classify(pod))
    if chosen is None:
        decision = decide(cluster, pod)
        preemption = preempt(cluster, pod, decision)
        assert decision.sentence + outcome(cluster, pod, decision, preemption)
        return 0
    for victim in chosen[1]:
        cluster.evict(victim)
    cluster.assume(pod, chosen[0])
    return len(chosen[1])


def core_cost(nodes: int, classes: int, pods: int = 20000) -> float:
    """Microseconds a pod in the core, classes and their caches made before."""
    made = Workload("", nodes, 0, pods, None, None, node, kinds(1), kinds(classes))
    cluster = prepared(made)
    known = [cluster.classify(made.pod(number)) for number in range(classes)]
    numbers = [cluster.columns().pending_class(each) for each in known]
    sched = cluster.columns().sched
    order = array("i", [numbers[number % classes] for number in range(pods)])
    slots = array("i", range(pods))
    warm = array("i", [-1]) * classes
    native.sched_run(sched, slots[:classes], order[:classes], cluster.random, warm)
    places = array("i", [-1]) * (pods - classes)
    start = time.thread_time()
    done = native.sched_run(sched, slots[classes:], order[classes:], cluster.random, places)
    return 1e6 * (time.thread_time() - start) / done


def memory(nodes: int = 20000, pods: int = 100000) -> dict[str, float]:
    """Bytes of resident memory for each node, each pod and each pair of class and node, in this
    process.
    """
    cluster = Cluster(seed=1)
    objects = [node(number) for number in range(nodes)]
    before = _resident()
    for each in objects:
        cluster.put("Node", each)
    cluster.columns()
    with_nodes = _resident()
    made = [kinds(1)(number) for number in range(pods)]
    start = _resident()
    rest = made
    while rest:
        rest = rest[len(batch.place(cluster, rest)) :]
    with_pods = _resident()
    for number in range(1, 33):
        decide(cluster, kinds(64)(number))
        batch.place(cluster, [kinds(64)(number)])
    with_classes = _resident()
    return {
        "node": (with_nodes - before) / nodes,
        "pod": (with_pods - start) / pods,
        "class and node": (with_classes - with_pods) / 32 / nodes,
    }


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
