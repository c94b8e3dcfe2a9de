"""Why a pod goes where it goes: one decision as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubelite.control.scheduler.cluster.cluster import Cluster
from kubelite.control.scheduler.cluster.decision import Decision
from kubelite.control.scheduler.cluster.preemption import Preemption, outcome, preempt
from kubelite.control.scheduler.cluster.rating import decide
from kubelite.control.scheduler.facts.fields import Place
from kubelite.control.scheduler.plugins import message, profile
from kubelite.control.scheduler.plugins.own import OwnPlugin
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
    made = load(cluster, profiles, seed)
    decision = decide(made, pod, candidates)
    found = preempt(made, pod, decision)
    return as_data(decision, found, outcome(made, pod, decision, found))


def chosen_profiles(
    configuration: Mapping[str, Any] | None,
    plugins: Sequence[str],
    plugin_args: Mapping[str, Any] | None,
    balanced_formula: str | None,
    own_plugins: Sequence[OwnPlugin],
) -> list[Profile]:
    """The profiles that options and a configuration ask for. Raises BadConfiguration."""
    found = list(
        profile.read(configuration, own_plugins)
        if configuration
        else (profile.default(own_plugins),)
    )
    if plugins:
        found = [profile.only(each, plugins) for each in found]
    if plugin_args:
        found = [profile.adjusted(each, plugin_args) for each in found]
    if balanced_formula:
        found = [profile.balanced_by(each, balanced_formula) for each in found]
    return found


def load(
    objects: Iterable[Mapping[str, Any]], profiles: Sequence[Profile], seed: int | None
) -> Cluster:
    """A cluster of these objects, each with its kind."""
    made = Cluster(profiles, seed=seed)
    for each in objects:
        made.put(Place(each, "object").at("kind").text(), each)
    return made


def as_data(decision: Decision, found: Preemption | None, preempted: str) -> dict[str, Any]:
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
        "preemption": None if found is None else _preemption(found),
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


def _preemption(found: Preemption) -> dict[str, Any]:
    return {
        "candidates": {
            node: [victim.name for victim in victims] for node, victims in found.candidates.items()
        },
        "acceptable": list(found.acceptable),
        "chosen": found.chosen,
    }
