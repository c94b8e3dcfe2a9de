"""One decision in full: the core's verdicts and scores, with what own plug-ins have to say."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from kubelite.control.scheduler.cluster.cluster import Cluster
from kubelite.control.scheduler.cluster.core_arrays import Columns, PodClass
from kubelite.control.scheduler.cluster.decision import Decision, OwnRejection
from kubelite.control.scheduler.facts.errors import BadConfiguration
from kubelite.control.scheduler.facts.fields import named
from kubelite.control.scheduler.plugins.class_program import SCORES
from kubelite.control.scheduler.plugins.custom_plugins import OwnPlugin, scored
from kubelite.control.scheduler.plugins.profile import Profile
from kubelite.control.scheduler.plugins.reasons import Reason
from kubelite.core import native

SMALL = 100  # nodes; all of a smaller cluster's are scored


def sample(nodes: int, percentage: int) -> int:
    """How many feasible nodes are scored, 0 for all; a percentage of 0 falls from 50 to 5 as
    clusters grow.
    """
    if nodes < SMALL or percentage >= 100:
        return 0
    share = percentage or max(5, 50 - nodes // 125)
    count = max(SMALL, nodes * share // 100)
    return count if count < nodes else 0


def query(
    columns: Columns, pod_class: PodClass, nominated: array[int], **changes: Any
) -> native.SchedQuery:
    """An empty query about a class."""
    count = columns.world.nodes.count
    request = native.SchedQuery(
        cls=pod_class.pending_number,
        wanted=0,
        candidates=None,
        against=None,
        extra=None,
        nominated=nominated,
        reasons=array("I", [0]) * count,
        lacks=array("Q", [0]) * count,
        scores=array("i", [-1]) * (count * len(SCORES)),
        totals=array("q", [-1]) * count,
    )
    return request._replace(**changes)


def decide(
    cluster: Cluster, pod: Mapping[str, Any], candidates: Sequence[str] | None = None
) -> Decision:
    """Every verdict and score of one pod, and the node it goes to.

    ``candidates`` are the names of the only nodes to score. Raises BadObject and BadConfiguration.
    """
    pod_class = cluster.classify(pod)
    nodes = cluster.columns().world.nodes
    mask = None
    if candidates is not None:
        unknown = next((name for name in candidates if name not in nodes.index), None)
        if unknown is not None:
            raise BadConfiguration(f"there is no node {unknown} to be a candidate")
        mask = nodes.mask(nodes.index[name] for name in candidates)
    return rate(cluster, pod, pod_class, cluster.profile_of(pod_class), mask)


def rate(
    cluster: Cluster,
    pod: Mapping[str, Any],
    pod_class: PodClass,
    profile: Profile,
    candidates: int | None,
) -> Decision:
    """The decision about a pod; ``candidates`` is the set of nodes to score, None for all."""
    columns = cluster.columns()
    nodes = columns.world.nodes
    rejections = own_rejections(cluster, pod, profile)
    against = _against(nodes.count, rejections)
    request = query(columns, pod_class, cluster.nominated(pod, pod_class), against=against)
    request = request._replace(
        wanted=sample(nodes.count, profile.percentage),
        candidates=None if candidates is None else nodes.flags(candidates),
    )
    chosen, skipped = native.sched_rate(columns.sched, request, cluster.random)
    own = _own_scores(cluster, pod, profile, request.totals)
    if own:
        extra = _extra(nodes.count, own, profile)
        only = bytes(total >= 0 for total in request.totals)
        request = request._replace(extra=extra, candidates=only, wanted=0)
        chosen, skipped = native.sched_rate(columns.sched, request, cluster.random)
    gated = profile.gates and bool(list(named(pod, "Pod").at("spec", "schedulingGates").items()))
    preferred = nodes.index.get(named(pod, "Pod").at("status", "nominatedNodeName").text())
    if preferred is not None and request.totals[preferred] >= 0:
        chosen = preferred
    return Decision(
        nodes=nodes,
        profile=profile,
        problem=pod_class.problem,
        requests=pod_class.requests,
        chosen=-1 if gated else chosen,
        verdicts=request.reasons,
        lacks=request.lacks,
        scores=request.scores,
        totals=request.totals,
        skipped=_skipped(pod_class, profile, skipped),
        own_rejections=rejections,
        own_scores=own,
        gated=gated,
    )


def own_rejections(
    cluster: Cluster, pod: Mapping[str, Any], profile: Profile
) -> dict[int, OwnRejection]:
    """What own filters have against nodes: the first that rejects a node is heard."""
    filters = [plugin for plugin in profile.own if plugin.filter and plugin.name in profile.filters]
    rejections: dict[int, OwnRejection] = {}
    if not filters:
        return rejections
    running = cluster.pods_on()
    for number, node in enumerate(cluster.columns().world.nodes.rows):
        for plugin in sorted(filters, key=lambda plugin: profile.filters.index(plugin.name)):
            text = (
                plugin.filter(pod, cluster.node_object(number), running[node.name])
                if plugin.filter
                else None
            )
            if text is not None and number not in rejections:
                rejections[number] = OwnRejection(plugin.name, text)
    return rejections


def _against(count: int, rejections: dict[int, OwnRejection]) -> array[int] | None:
    if not rejections:
        return None
    against = array("I", [0]) * count
    for number in rejections:
        against[number] = 1 << Reason.OWN_PLUGIN
    return against


def _own_scores(
    cluster: Cluster, pod: Mapping[str, Any], profile: Profile, totals: array[int]
) -> dict[str, dict[int, int]]:
    plugins = [plugin for plugin in profile.own if plugin.score and plugin.name in profile.scores]
    if not plugins:
        return {}
    running, nodes = cluster.pods_on(), cluster.columns().world.nodes
    numbers = [number for number, total in enumerate(totals) if total >= 0]
    return {
        plugin.name: _scores_of(plugin, cluster, pod, numbers, running, nodes.index)
        for plugin in plugins
    }


def _scores_of(
    plugin: OwnPlugin,
    cluster: Cluster,
    pod: Mapping[str, Any],
    numbers: list[int],
    running: Mapping[str, list[Mapping[str, Any]]],
    index: Mapping[str, int],
) -> dict[int, int]:
    assert plugin.score is not None  # the caller has looked
    raw = {}
    for number in numbers:
        node = cluster.node_object(number)
        name = cluster.columns().world.nodes.rows[number].name
        raw[name] = plugin.score(pod, node, running[name])
    return {index[name]: value for name, value in scored(plugin, raw).items()}


def _extra(count: int, own: dict[str, dict[int, int]], profile: Profile) -> array[int]:
    extra = array("i", [0]) * count
    for name, values in own.items():
        for number, value in values.items():
            extra[number] += profile.scores[name] * value
    return extra


def _skipped(pod_class: PodClass, profile: Profile, bits: int) -> tuple[str, ...]:
    """The built-in scores of the profile to which nothing about the pod contributes."""
    idle = {name for number, name in enumerate(SCORES) if bits >> number & 1}
    return tuple(
        name
        for name in profile.scores
        if name in SCORES and (name not in pod_class.weights or name in idle)
    )
