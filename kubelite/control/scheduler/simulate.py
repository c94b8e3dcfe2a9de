"""What becomes of many pods: the queue and the cluster together, in a time of their own.

Evicted pods leave at once, so that a pod that preempts runs without waiting for them. No time
passes: what waits for an event is tried again when it comes, and it ends when an attempt could only
repeat the last one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubelite.control.scheduler.cluster import batch
from kubelite.control.scheduler.cluster.cluster import Cluster
from kubelite.control.scheduler.cluster.core_arrays import PodClass
from kubelite.control.scheduler.cluster.decision import Decision
from kubelite.control.scheduler.cluster.pod_table import Entry, full_name, key_of
from kubelite.control.scheduler.cluster.preemption import fast_preempt, outcome, preempt
from kubelite.control.scheduler.cluster.rating import decide
from kubelite.control.scheduler.explain import chosen_profiles, load
from kubelite.control.scheduler.facts.fields import named
from kubelite.control.scheduler.loop.queue import Queue
from kubelite.control.scheduler.plugins import hints, message
from kubelite.control.scheduler.plugins.custom_plugins import OwnPlugin
from kubelite.control.scheduler.plugins.hints import Event
from kubelite.objects.rules.pods.placement import SCHEDULING_GATED

Object = Mapping[str, Any]
RUN = 256  # pods that are taken from the queue at a time
NOW = 0.0


@dataclass
class Outcome:
    """What became of a pod: its node, why it has none, whom it evicted, who evicted it."""

    name: str
    node: str | None = None
    message: str | None = None
    evicted: list[str] = field(default_factory=list)
    evicted_by: str | None = None


def simulate(
    cluster: Iterable[Object],
    pods: Iterable[Object],
    *,
    configuration: Mapping[str, Any] | None = None,
    plugins: Sequence[str] = (),
    plugin_args: Mapping[str, Any] | None = None,
    balanced_formula: str | None = None,
    own_plugins: Sequence[OwnPlugin] = (),
    seed: int | None = None,
) -> dict[str, Any]:
    """Schedules ``pods`` into a cluster of these objects, in the form of ``kubelite scheduler
    simulate -o json``.

    Pods with a higher priority go first, then those that come first. Raises BadObject and
    BadConfiguration.
    """
    profiles = chosen_profiles(configuration, plugins, plugin_args, balanced_formula, own_plugins)
    run = Simulation(load(cluster, profiles, seed))
    run.schedule(list(pods))
    return run.as_data()


class Simulation:
    """A cluster under a stream of pods."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        gates = next(iter(cluster.profiles.values())).gates
        self.queue = Queue(hints.Hints(cluster.traits_of, cluster.world), gates=gates)
        self.outcomes: dict[str, Outcome] = {}
        self._failures: dict[tuple[PodClass, str], tuple[int, str, tuple[str, ...]]] = {}

    def schedule(self, pods: Sequence[Object]) -> None:
        """Tries pods until each has a node or nothing can help it any more."""
        for pod in pods:
            self.outcomes[key_of(pod)] = Outcome(full_name(pod))
            self.queue.add(pod, NOW)
        while run := self._next_run():
            self._try(run)
        for pod in pods:
            if self.queue.state_of(pod) == "gated":
                self._outcome_of(pod).message = SCHEDULING_GATED

    def _next_run(self) -> list[Object]:
        """The pods that are next; none once only repetitions are left."""
        run: list[Object] = []
        while len(run) < RUN and (pod := self.queue.pop(NOW)) is not None:
            run.append(pod)
        return run

    def _try(self, run: Sequence[Object]) -> None:
        rest = list(run)
        while rest:
            nodes = batch.place(self.cluster, rest)
            for pod, node in zip(rest, nodes, strict=False):
                if node is None:
                    self._fail(pod)
                else:
                    self._settle(pod, node)
            rest = rest[len(nodes) :]

    def _settle(self, pod: Object, node: str) -> None:
        pod_outcome = self._outcome_of(pod)
        pod_outcome.node, pod_outcome.message = node, None
        self.queue.delete(pod)
        self.queue.event(Event("Pod", None, _running(pod, node)), NOW)

    def _fail(self, pod: Object) -> None:
        """Preempts or gives up; a pod of a class that failed since the last change is not asked
        about again.
        """
        failure_key = (
            self.cluster.classify(pod),
            named(pod, "Pod").at("spec", "preemptionPolicy").text(),
        )
        if self._failures.get(failure_key, (-1, "", ()))[0] == self.cluster.changes:
            _, self._outcome_of(pod).message, names = self._failures[failure_key]
            self.queue.fail(pod, names, NOW)
            return
        chosen = fast_preempt(self.cluster, pod, failure_key[0])
        if chosen:
            self._evict(pod, *chosen)
            return
        decision = decide(self.cluster, pod)
        preemption = preempt(self.cluster, pod, decision)
        if preemption is not None and preemption.chosen is not None:
            self._evict(pod, preemption.chosen, preemption.candidates[preemption.chosen])
        else:
            self._give_up(pod, decision, outcome(self.cluster, pod, decision, preemption))
            if not decision.profile.own and not decision.gated:
                text = self._outcome_of(pod).message or ""
                self._failures[failure_key] = self.cluster.changes, text, tuple(_plugins(decision))

    def _give_up(self, pod: Object, decision: Decision, preempted: str) -> None:
        self._outcome_of(pod).message = message.with_preemption(decision.sentence, preempted)
        self.queue.fail(pod, _plugins(decision), NOW)

    def _evict(self, pod: Object, node_name: str, victims: Iterable[Entry]) -> None:
        """The victims leave, and the pod is tried again before anybody else can take their room."""
        pod_outcome = self._outcome_of(pod)
        for victim in victims:
            self.cluster.evict(victim)
            pod_outcome.evicted.append(victim.name)
            self.outcomes.setdefault(victim.key, Outcome(victim.name)).evicted_by = pod_outcome.name
            self.outcomes[victim.key].node = None
            self.queue.event(Event("Pod", _running(victim.obj, victim.node), None), NOW)
        (node,) = batch.place(self.cluster, [_nominated(pod, node_name)])
        if node is None:
            self._give_up(pod, decide(self.cluster, pod), "")
        else:
            self._settle(pod, node)

    def _outcome_of(self, pod: Object) -> Outcome:
        return self.outcomes[key_of(pod)]

    def as_data(self) -> dict[str, Any]:
        """Pods in the order they were given, then evicted ones that were there before; how many
        pods each node has.
        """
        counts = Counter(entry.node for entry in self.cluster.pods)
        pods = [
            {
                "pod": pod_outcome.name,
                "node": pod_outcome.node,
                "message": pod_outcome.message,
                "evicted": pod_outcome.evicted,
                "evictedBy": pod_outcome.evicted_by,
            }
            for pod_outcome in self.outcomes.values()
        ]
        nodes = {
            row.name: {"pods": counts[row.name]} for row in self.cluster.columns().world.nodes.rows
        }
        placed = sum(pod_outcome.node is not None for pod_outcome in self.outcomes.values())
        evicted = sum(pod_outcome.evicted_by is not None for pod_outcome in self.outcomes.values())
        return {
            "scheduled": placed,
            "pending": len(self.outcomes) - placed - evicted,
            "evicted": evicted,
            "pods": pods,
            "nodes": nodes,
        }


def _plugins(decision: Decision) -> set[str]:
    """The plug-ins that rejected the pod on some node."""
    return {rejection.plugin for rejection in decision.rejections}


def _running(pod: Object, node: str) -> dict[str, Any]:
    return {**pod, "spec": {**(pod.get("spec") or {}), "nodeName": node}}


def _nominated(pod: Object, node: str) -> dict[str, Any]:
    return {**pod, "status": {**(pod.get("status") or {}), "nominatedNodeName": node}}
