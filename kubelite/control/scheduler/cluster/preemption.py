"""Whom to evict so that a pod can run: DefaultPreemption.

The dry runs are in the C core (csrc/sched/preempt.c): on each node that was rejected for a reason
that eviction can resolve, all pods of lower priority are taken away; if the pod fits then, they are
put back in the order of their importance, those whose eviction would break a budget first, as long
as the pod still fits; the rest are the victims. Nodes are compared by broken budgets, the highest
priority among the victims, the sum of their priorities, their number, and how long they have run.
Here is who may preempt at all, how many nodes are tried, and what is said when nobody can be
evicted.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubelite.control.scheduler.cluster.cluster import Cluster
from kubelite.control.scheduler.cluster.decision import Decision
from kubelite.control.scheduler.cluster.rating import query
from kubelite.control.scheduler.facts.fields import Field, named
from kubelite.control.scheduler.plugins import message
from kubelite.control.scheduler.plugins.filters import rejection
from kubelite.control.scheduler.plugins.reasons import Reason
from kubelite.core import native

if TYPE_CHECKING:
    from kubelite.control.scheduler.cluster.core_arrays import PodClass
    from kubelite.control.scheduler.cluster.pod_table import Entry
    from kubelite.control.scheduler.plugins.profile import Profile
    from kubelite.control.scheduler.snapshot.nodes import Nodes

NEVER = "not eligible due to preemptionPolicy=Never."
WAITING = "not eligible due to a terminating pod on the nominated node."


@dataclass(frozen=True)
class Preemption:
    """The candidates, the victims on each in the order of their importance, and which of them is
    chosen.

    ``outcome`` is what is said when there is none.
    """

    candidates: dict[str, tuple[Entry, ...]]
    acceptable: tuple[str, ...]
    chosen: str | None
    outcome: str = ""


def preempt(cluster: Cluster, pod: Mapping[str, Any], decision: Decision) -> Preemption | None:
    """Dry runs for a pod that fits nowhere. None where the pod may not preempt, or no profile asks
    for it.
    """
    if not _may_help(decision) or ineligibility(cluster, named(pod, "Pod"), decision):
        return None
    return _run(cluster, pod, decision)


def outcome(
    cluster: Cluster, pod: Mapping[str, Any], decision: Decision, preemption: Preemption | None
) -> str:
    """The part of the FailedScheduling sentence about preemption; "" when victims were found or
    nobody asked.
    """
    if preemption is not None:
        return preemption.outcome
    return ineligibility(cluster, named(pod, "Pod"), decision) if _may_help(decision) else ""


def _may_help(decision: Decision) -> bool:
    """Whether the pod fits on no node, and its profile asks for preemption."""
    fits = any(not verdict for verdict in decision.verdicts)
    return (
        decision.profile.preempts and decision.nodes.count > 0 and not fits and not decision.gated
    )


def ineligibility(cluster: Cluster, pod: Field, decision: Decision) -> str:
    """Why a pod may not preempt, "" when it may: it has preempted already, and its victims are
    still going.
    """
    if pod.at("spec", "preemptionPolicy").text() == "Never":
        return NEVER
    number = decision.nodes.index.get(pod.at("status", "nominatedNodeName").text())
    if number is None or (decision.verdicts[number] and decision.rejection(number).unresolvable):
        return ""
    priority = pod.at("spec", "priority").whole()
    leaving = (
        named(pod_object, "Pod")
        for pod_object in cluster.pods_on()[decision.nodes.rows[number].name]
        if Field(pod_object, "Pod").at("spec", "priority").whole() < priority
    )
    return WAITING if any(_leaves_by_preemption(pod_object) for pod_object in leaving) else ""


def _leaves_by_preemption(pod: Field) -> bool:
    if pod.at("metadata", "deletionTimestamp").value is None:
        return False
    return any(
        condition.at("type").text() == "DisruptionTarget"
        and condition.at("status").text() == "True"
        and condition.at("reason").text() == "PreemptionByScheduler"
        for condition in pod.at("status", "conditions").items()
    )


def _run(cluster: Cluster, pod: Mapping[str, Any], decision: Decision) -> Preemption:
    pod_class = cluster.classify(pod)
    columns = cluster.columns()
    count = decision.nodes.count
    against = array(
        "I",
        [
            1 << Reason.OWN_PLUGIN if number in decision.own_rejections else 0
            for number in range(count)
        ],
    )
    request = query(
        columns,
        pod_class,
        cluster.nominated(pod, pod_class),
        against=against if decision.own_rejections else None,
    )
    out = _room(cluster)
    words = native.sched_preempt(
        columns.sched,
        request,
        _allowed(cluster),
        _min_candidates(decision.profile),
        cluster.random,
        out,
    )
    candidates, best = _candidates(cluster, decision.nodes, out[:words])
    if not candidates:
        return Preemption({}, (), None, _no_candidate_sentence(decision, request))
    chosen = best[_offset(cluster.random, len(best))]
    return Preemption(candidates, tuple(best), chosen)


def _offset(random: array[int], below: int) -> int:
    """A number below another: 0 where ties go to the first node."""
    if not random[0] or below < 2:
        return 0
    random[0] = (random[0] * 6364136223846793005 + 1442695040888963407) & (1 << 64) - 1
    return (random[0] >> 33) % below


def _room(cluster: Cluster) -> array[int]:
    """Memory for the core's answer: four words for each candidate, and each pod a victim once."""
    return array("i", [0]) * (4 * cluster.columns().world.nodes.count + cluster.pods.running + 4)


def _allowed(cluster: Cluster) -> array[int]:
    """How many disruptions each budget allows, in the order of the budgets' numbers."""
    return array(
        "i", [max(-1, min(budget.allowed, 1 << 30)) for budget in cluster.world.budgets.values()]
    )


def _min_candidates(profile: Profile) -> tuple[int, int]:
    """At least how many candidates to look for: percent of the nodes, and nodes."""
    args = profile.arguments.preemption
    return args.percentage, args.absolute


def _candidates(
    cluster: Cluster, nodes: Nodes, words: array[int]
) -> tuple[dict[str, tuple[Entry, ...]], list[str]]:
    """The core's answer: for each candidate the node's number, whether it is among the best, a word
    that only the core uses, the number of victims, and their slots.
    """
    candidates: dict[str, tuple[Entry, ...]] = {}
    best: list[int] = []
    position = 0
    while position < len(words):
        node, is_best, _, victims = words[position : position + 4]
        slots = words[position + 4 : position + 4 + victims]
        candidates[nodes.rows[node].name] = tuple(cluster.pods.at(slot) for slot in slots)
        if is_best:
            best.append(node)
        position += 4 + victims
    return candidates, [nodes.rows[node].name for node in sorted(best)]


def fast_preempt(
    cluster: Cluster, pod: Mapping[str, Any], pod_class: PodClass
) -> tuple[str, tuple[Entry, ...]] | None:
    """The node and the victims that :func:`preempt` would choose for a pod that fits nowhere,
    without the other candidates.

    None when there are none, or when it takes the long way to find out: own plug-ins, nominated
    pods, pods that may not.
    """
    profile, spec = cluster.profile_of(pod_class), Field(pod, "Pod").at("spec")
    plain = (
        profile.preempts
        and not profile.own
        and not pod_class.problem
        and not cluster.pods.nominated
    )
    if not plain or spec.at("preemptionPolicy").text() == "Never" or _is_gated_or_nominated(pod):
        return None
    columns, out, empty = cluster.columns(), _room(cluster), array("i")
    request = native.SchedQuery(
        columns.pending_class(pod_class), 0, None, None, None, empty, empty, empty, empty, empty
    )
    words = native.sched_preempt(
        columns.sched, request, _allowed(cluster), _min_candidates(profile), cluster.random, out
    )
    candidates, _ = _candidates(cluster, columns.world.nodes, out[:words])
    return next(iter(candidates.items()), None)


def _is_gated_or_nominated(pod: Mapping[str, Any]) -> bool:
    """Whether the pod has gates, or a nominated node already."""
    field = Field(pod, "Pod")
    gated = any(True for _ in field.at("spec", "schedulingGates").items())
    return gated or bool(field.at("status", "nominatedNodeName").text())


def _no_candidate_sentence(decision: Decision, request: native.SchedQuery) -> str:
    """Which nodes were not tried, and what stood against the others with all victims gone."""
    counts: Counter[str] = Counter()
    for (verdict, lacks), nodes in Counter(
        zip(request.reasons, request.lacks, strict=True)
    ).items():
        built_in = verdict & ~(1 << Reason.OWN_PLUGIN)
        if built_in:
            texts = rejection(built_in, lacks, decision.requests, decision.profile).texts
        else:
            texts = tuple(own.text for own in decision.own_rejections.values())[:1]
        for text in texts:
            counts[text] += nodes
    return message.counted(decision.nodes.count, counts)
