"""Whom to evict so that a pod can run: DefaultPreemption.

The dry runs are in the C core (csrc/sched/preempt.c); here is who may preempt at all, how many
nodes are tried, and what is said when nobody can be evicted.
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
from kubelite.control.scheduler.facts.fields import Place, named
from kubelite.control.scheduler.plugins import message
from kubelite.control.scheduler.plugins.filters import rejection
from kubelite.control.scheduler.plugins.reasons import Reason
from kubelite.core import native

if TYPE_CHECKING:
    from kubelite.control.scheduler.cluster.columns import PodClass
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
    if not _may_help(decision) or refusal(cluster, named(pod, "Pod"), decision):
        return None
    return _run(cluster, pod, decision)


def outcome(
    cluster: Cluster, pod: Mapping[str, Any], decision: Decision, found: Preemption | None
) -> str:
    """The part of the FailedScheduling sentence about preemption; "" when victims were found or
    nobody asked.
    """
    if found is not None:
        return found.outcome
    return refusal(cluster, named(pod, "Pod"), decision) if _may_help(decision) else ""


def _may_help(decision: Decision) -> bool:
    """Whether the pod fits on no node, and its profile asks for preemption."""
    fits = any(not verdict for verdict in decision.verdicts)
    return (
        decision.profile.preempts and decision.nodes.count > 0 and not fits and not decision.gated
    )


def refusal(cluster: Cluster, pod: Place, decision: Decision) -> str:
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
        named(each, "Pod")
        for each in cluster.pods_on()[decision.nodes.rows[number].name]
        if Place(each, "Pod").at("spec", "priority").whole() < priority
    )
    return WAITING if any(_leaves_by_preemption(each) for each in leaving) else ""


def _leaves_by_preemption(pod: Place) -> bool:
    if pod.at("metadata", "deletionTimestamp").value is None:
        return False
    return any(
        each.at("type").text() == "DisruptionTarget"
        and each.at("status").text() == "True"
        and each.at("reason").text() == "PreemptionByScheduler"
        for each in pod.at("status", "conditions").items()
    )


def _run(cluster: Cluster, pod: Mapping[str, Any], decision: Decision) -> Preemption:
    known = cluster.classify(pod)
    columns = cluster.columns()
    count = decision.nodes.count
    against = array(
        "I",
        [
            1 << Reason.OWN_PLUGIN if number in decision.own_rejections else 0
            for number in range(count)
        ],
    )
    asked = query(
        columns,
        known,
        cluster.nominated(pod, known),
        against=against if decision.own_rejections else None,
    )
    out = _room(cluster)
    words = native.sched_preempt(
        columns.sched, asked, _allowed(cluster), _least(decision.profile), cluster.random, out
    )
    candidates, best = _candidates(cluster, decision.nodes, out[:words])
    if not candidates:
        return Preemption({}, (), None, _unhelpful(decision, asked))
    chosen = best[_offset(cluster.random, len(best))]
    return Preemption(candidates, tuple(best), chosen)


def _offset(random: array[int], below: int) -> int:
    """A number below another: 0 where ties go to the first node."""
    if not random[0] or below < 2:
        return 0
    random[0] = (random[0] * 6364136223846793005 + 1442695040888963407) & (1 << 64) - 1
    return (random[0] >> 33) % below


def _room(cluster: Cluster) -> array[int]:
    return array("i", [0]) * (4 * cluster.columns().world.nodes.count + cluster.pods.running + 4)


def _allowed(cluster: Cluster) -> array[int]:
    return array(
        "i", [max(-1, min(each.allowed, 1 << 30)) for each in cluster.world.budgets.values()]
    )


def _least(profile: Profile) -> tuple[int, int]:
    args = profile.arguments.preemption
    return args.percentage, args.absolute


def _candidates(
    cluster: Cluster, nodes: Nodes, words: array[int]
) -> tuple[dict[str, tuple[Entry, ...]], list[str]]:
    found: dict[str, tuple[Entry, ...]] = {}
    best: list[int] = []
    at = 0
    while at < len(words):
        node, is_best, _, victims = words[at : at + 4]
        slots = words[at + 4 : at + 4 + victims]
        found[nodes.rows[node].name] = tuple(cluster.pods.at(slot) for slot in slots)
        if is_best:
            best.append(node)
        at += 4 + victims
    return found, [nodes.rows[node].name for node in sorted(best)]


def quick(
    cluster: Cluster, pod: Mapping[str, Any], known: PodClass
) -> tuple[str, tuple[Entry, ...]] | None:
    """The node and the victims that :func:`preempt` would choose for a pod that fits nowhere,
    without the other candidates.

    None when there are none, or when it takes the long way to find out: own plug-ins, nominated
    pods, pods that may not.
    """
    profile, spec = cluster.profile_of(known), Place(pod, "Pod").at("spec")
    plain = (
        profile.preempts and not profile.own and not known.problem and not cluster.pods.nominated
    )
    if not plain or spec.at("preemptionPolicy").text() == "Never" or _asks_for_more(pod):
        return None
    columns, out, empty = cluster.columns(), _room(cluster), array("i")
    asked = native.SchedQuery(
        columns.deciding(known), 0, None, None, None, empty, empty, empty, empty, empty
    )
    words = native.sched_preempt(
        columns.sched, asked, _allowed(cluster), _least(profile), cluster.random, out
    )
    found, _ = _candidates(cluster, columns.world.nodes, out[:words])
    return next(iter(found.items()), None)


def _asks_for_more(pod: Mapping[str, Any]) -> bool:
    """Gates, or a node that is nominated already."""
    place = Place(pod, "Pod")
    gated = any(True for _ in place.at("spec", "schedulingGates").items())
    return gated or bool(place.at("status", "nominatedNodeName").text())


def _unhelpful(decision: Decision, asked: native.SchedQuery) -> str:
    """Which nodes were not tried, and what stood against the others with all victims gone."""
    counts: Counter[str] = Counter()
    for (verdict, lacks), nodes in Counter(zip(asked.reasons, asked.lacks, strict=True)).items():
        built_in = verdict & ~(1 << Reason.OWN_PLUGIN)
        if built_in:
            texts = rejection(built_in, lacks, decision.requests, decision.profile).texts
        else:
            texts = tuple(each.text for each in decision.own_rejections.values())[:1]
        for text in texts:
            counts[text] += nodes
    return message.counted(decision.nodes.count, counts)
