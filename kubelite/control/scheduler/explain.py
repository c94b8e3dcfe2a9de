"""Why a pod goes where it goes: one decision as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubelite.control.scheduler.cluster.cluster import Cluster
from kubelite.control.scheduler.cluster.decision import Decision
from kubelite.control.scheduler.cluster.preemption import Preemption, outcome, preempt
from kubelite.control.scheduler.cluster.rating import decide
from kubelite.control.scheduler.facts.fields import Field
from kubelite.control.scheduler.plugins import message, profile
from kubelite.control.scheduler.plugins.custom_plugins import OwnPlugin
from kubelite.control.scheduler.plugins.profile import Profile


def explain(
    cluster: Iterable[Mapping[str, Any]],
    pod: Mapping[str, Any],
    *,
    configuration: Mapping[str, Any] | None = None,
    plugins: Sequence[str] = (),
    plugin_args: Mapping[str, Any] | None = None,
    candidates: Sequence[str] | None = None,
    balanced_formula: str | None = None,
    own_plugins: Sequence[OwnPlugin] = (),
    seed: int | None = None,
) -> dict[str, Any]:
    """The decision about ``pod`` in a cluster of these objects, in the form of ``kubelite scheduler
    explain -o json``.

    ``plugins`` runs only these; ``plugin_args`` are arguments by plug-in and
    KubeSchedulerConfiguration name; ``candidates`` are the only nodes to score; ``seed`` breaks
    ties at random. Raises BadObject and BadConfiguration.
    """
    profiles = chosen_profiles(configuration, plugins, plugin_args, balanced_formula, own_plugins)
    loaded = load(cluster, profiles, seed)
    decision = decide(loaded, pod, candidates)
    preemption = preempt(loaded, pod, decision)
    return as_data(decision, preemption, outcome(loaded, pod, decision, preemption))


def chosen_profiles(
    configuration: Mapping[str, Any] | None,
    plugins: Sequence[str],
    plugin_args: Mapping[str, Any] | None,
    balanced_formula: str | None,
    own_plugins: Sequence[OwnPlugin],
) -> list[Profile]:
    """The profiles that options and a configuration ask for. Raises BadConfiguration."""
    profiles = list(
        profile.read(configuration, own_plugins)
        if configuration
        else (profile.default(own_plugins),)
    )
    if plugins:
        profiles = [profile.only(item, plugins) for item in profiles]
    if plugin_args:
        profiles = [profile.adjusted(item, plugin_args) for item in profiles]
    if balanced_formula:
        profiles = [profile.balanced_by(item, balanced_formula) for item in profiles]
    return profiles


def load(
    objects: Iterable[Mapping[str, Any]], profiles: Sequence[Profile], seed: int | None
) -> Cluster:
    """A cluster of these objects, each with its kind."""
    cluster = Cluster(profiles, seed=seed)
    for obj in objects:
        cluster.put(Field(obj, "object").at("kind").text(), obj)
    return cluster


def as_data(decision: Decision, preemption: Preemption | None, preempted: str) -> dict[str, Any]:
    """A decision and what came of preemption as plain data."""
    sentence = decision.sentence
    best = (
        [decision.chosen] if _is_nominated(decision) else [] if decision.gated else decision.best()
    )
    return {
        "selected": decision.node,
        "acceptable": [decision.nodes.rows[number].name for number in best],
        "nodes": {
            row.name: _node(decision, number) for number, row in enumerate(decision.nodes.rows)
        },
        "skipped": list(decision.skipped),
        "message": message.with_preemption(sentence, preempted) if sentence else None,
        "preemption": None if preemption is None else _preemption(preemption),
    }


def _is_nominated(decision: Decision) -> bool:
    """Whether the chosen node was taken for being the nominated one, not for its total."""
    return decision.chosen >= 0 and decision.chosen not in decision.best()


def _node(decision: Decision, number: int) -> dict[str, Any]:
    if not decision.feasible(number):
        why = decision.rejection(number)
        return {
            "feasible": False,
            "reasons": list(why.texts),
            "unresolvable": why.unresolvable,
            "scores": {},
            "total": None,
        }
    scored = decision.scored(number)
    return {
        "feasible": True,
        "reasons": [],
        "unresolvable": False,
        "scores": decision.plugin_scores(number) if scored else {},
        "total": decision.totals[number] if scored else None,
    }


def _preemption(preemption: Preemption) -> dict[str, Any]:
    return {
        "candidates": {
            node: [victim.name for victim in victims]
            for node, victims in preemption.candidates.items()
        },
        "acceptable": list(preemption.acceptable),
        "chosen": preemption.chosen,
    }
