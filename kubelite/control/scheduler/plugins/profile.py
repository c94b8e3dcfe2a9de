"""Which plug-ins a scheduler runs, in which order and with which weights:
KubeSchedulerConfiguration v1. Pure.

What a configuration leaves out is Kubernetes' default profile, with one difference: all feasible
nodes are scored unless ``percentageOfNodesToScore`` says otherwise (0 is Kubernetes' adaptive
share).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kubelite.control.scheduler.facts.errors import BadConfiguration
from kubelite.control.scheduler.facts.fields import Field
from kubelite.control.scheduler.plugins import arguments
from kubelite.control.scheduler.plugins.arguments import Arguments
from kubelite.control.scheduler.plugins.custom_plugins import OwnPlugin

FILTERS = (
    "NodeUnschedulable",
    "NodeName",
    "TaintToleration",
    "NodeAffinity",
    "NodePorts",
    "NodeResourcesFit",
    "VolumeRestrictions",
    "NodeVolumeLimits",
    "VolumeBinding",
    "VolumeZone",
    "PodTopologySpread",
    "InterPodAffinity",
)
SCORES = {
    "TaintToleration": 3,
    "NodeAffinity": 2,
    "NodeResourcesFit": 1,
    "NodeResourcesBalancedAllocation": 1,
    "PodTopologySpread": 2,
    "InterPodAffinity": 2,
    "ImageLocality": 1,
}
ORDER = ("SchedulingGates", "PrioritySort", *FILTERS, "DynamicResources", "DefaultPreemption",
         "NodeResourcesBalancedAllocation", "ImageLocality", "DefaultBinder")  # fmt: skip
ACCEPTED = frozenset((*ORDER, "NodeDeclaredFeatures", "GangScheduling"))
POINTS = tuple(
    "preEnqueue queueSort preFilter filter postFilter preScore score reserve permit "
    "preBind bind postBind".split()
)
LARGEST_WEIGHT = 10_000
API = "kubescheduler.config.k8s.io/v1"


@dataclass(frozen=True)
class Profile:
    """One scheduler: filters in order, weights by score plug-in, whether it preempts, arguments,
    own plug-ins.
    """

    name: str = "default-scheduler"
    filters: tuple[str, ...] = FILTERS
    scores: Mapping[str, int] = dataclasses.field(default_factory=lambda: dict(SCORES))
    preempts: bool = True
    gates: bool = True
    arguments: Arguments = dataclasses.field(default_factory=Arguments)
    percentage: int = 100
    own: tuple[OwnPlugin, ...] = ()

    def own_named(self, name: str) -> OwnPlugin | None:
        """The own plug-in of this name."""
        return next((plugin for plugin in self.own if plugin.name == name), None)


def default(own: Sequence[OwnPlugin] = ()) -> Profile:
    """The default profile, with own plug-ins after the built-in ones."""
    return _made("default-scheduler", list(ORDER), {}, Arguments(), 100, tuple(own))


def only(profile: Profile, names: Sequence[str]) -> Profile:
    """The profile with these plug-ins alone, filters and scores alike. Raises BadConfiguration."""
    for name in names:
        _known(name, profile.own)
    return replace(
        profile,
        filters=tuple(name for name in profile.filters if name in names),
        scores={name: weight for name, weight in profile.scores.items() if name in names},
        preempts=profile.preempts and "DefaultPreemption" in names,
        gates=profile.gates and "SchedulingGates" in names,
    )


def adjusted(profile: Profile, given: Mapping[str, object]) -> Profile:
    """The profile with these arguments in place of its own, plug-in by plug-in. Raises
    BadConfiguration.
    """
    for name in given:
        _known(name, profile.own)
    new, kept = arguments.read(given), profile.arguments
    slots = {
        "NodeResourcesFit": "fit",
        "NodeResourcesBalancedAllocation": "balanced",
        "NodeAffinity": "affinity",
        "PodTopologySpread": "spread",
        "InterPodAffinity": "interpod",
        "DefaultPreemption": "preemption",
    }
    chosen = {slots[name]: getattr(new, slots[name]) for name in given if name in slots}
    return replace(profile, arguments=replace(kept, **chosen))


def balanced_by(profile: Profile, formula: str) -> Profile:
    """The profile with this formula of balanced allocation. Raises BadConfiguration."""
    if formula not in arguments.FORMULAS:
        formulas = " and ".join(arguments.FORMULAS)
        raise BadConfiguration(
            f"there is no formula {formula} of balanced allocation: {formulas} are formulas"
        )
    balanced = replace(profile.arguments.balanced, formula=formula)
    return replace(profile, arguments=replace(profile.arguments, balanced=balanced))


def read(configuration: Mapping[str, object], own: Sequence[OwnPlugin] = ()) -> tuple[Profile, ...]:
    """The profiles of a KubeSchedulerConfiguration. Raises BadConfiguration."""
    root = Field(configuration, "KubeSchedulerConfiguration")
    if (
        root.at("kind").text() != "KubeSchedulerConfiguration"
        or root.at("apiVersion").text() != API
    ):
        raise BadConfiguration(
            f"a scheduler's configuration has kind KubeSchedulerConfiguration and apiVersion {API}"
        )
    share = _share(root.at("percentageOfNodesToScore"), 100)
    profiles = tuple(
        _profile(profile, share, tuple(own)) for profile in root.at("profiles").items()
    )
    names = [profile.name for profile in profiles]
    if len(set(names)) != len(names):
        raise BadConfiguration("two profiles have the same schedulerName")
    return profiles or (replace(default(own), percentage=share),)


def _share(field: Field, absent: int) -> int:
    share = field.whole(absent)
    if not 0 <= share <= 100:
        raise BadConfiguration(f"{field.path}: {share} is not between 0 and 100")
    return share


def _profile(field: Field, share: int, own: tuple[OwnPlugin, ...]) -> Profile:
    name = field.at("schedulerName").text() or "default-scheduler"
    given: dict[str, object] = {}
    for item in field.at("pluginConfig").items():
        plugin = item.at("name").text()
        _known(plugin, own)
        given[plugin] = item.at("args").value
    chosen, weights = _multi_point(field.at("plugins", "multiPoint"), own)
    profile = _made(
        name,
        chosen,
        weights,
        arguments.read(given),
        _share(field.at("percentageOfNodesToScore"), share),
        own,
    )
    return _points(profile, field.at("plugins"), own)


def _made(
    name: str,
    chosen: list[str],
    weights: dict[str, int],
    args: Arguments,
    share: int,
    own: tuple[OwnPlugin, ...],
) -> Profile:
    order = [*chosen, *(item.name for item in own if item.name not in chosen)]
    mine = {item.name: item for item in own}
    filters = [item for item in order if item in FILTERS or (item in mine and mine[item].filter)]
    scores = {
        item: weights.get(item) or SCORES.get(item) or mine[item].weight
        for item in order
        if item in SCORES or (item in mine and mine[item].score)
    }
    gates, preempts = "SchedulingGates" in order, "DefaultPreemption" in order
    return Profile(name, tuple(filters), scores, preempts, gates, args, share, own)


def _multi_point(field: Field, own: tuple[OwnPlugin, ...]) -> tuple[list[str], dict[str, int]]:
    enabled, disabled = _listed(field, own)
    return _merged(ORDER, enabled, disabled), {name: weight for name, weight in enabled if weight}


def _points(profile: Profile, plugins: Field, own: tuple[OwnPlugin, ...]) -> Profile:
    """The extension points that a profile sets one by one; only those that decide anything change
    it.
    """
    unknown = [str(name) for name in plugins.map() if name not in (*POINTS, "multiPoint")]
    if unknown:
        raise BadConfiguration(f"{plugins.path}.{unknown[0]}: there is no such extension point")
    enabled, disabled = _listed(plugins.at("filter"), own)
    filters = tuple(_merged(profile.filters, enabled, disabled))
    enabled, disabled = _listed(plugins.at("score"), own)
    weights = {**SCORES, **{plugin.name: plugin.weight for plugin in own}, **profile.scores}
    weights.update((name, weight) for name, weight in enabled if weight)
    scores = {
        name: weights.get(name, 1) for name in _merged(tuple(profile.scores), enabled, disabled)
    }
    enabled, disabled = _listed(plugins.at("postFilter"), own)
    preempts = "DefaultPreemption" in _merged(
        ("DefaultPreemption",) * profile.preempts, enabled, disabled
    )
    enabled, disabled = _listed(plugins.at("preEnqueue"), own)
    gates = "SchedulingGates" in _merged(("SchedulingGates",) * profile.gates, enabled, disabled)
    _check(filters, FILTERS, own, "filter")
    _check(tuple(scores), tuple(SCORES), own, "score")
    return replace(profile, filters=filters, scores=scores, preempts=preempts, gates=gates)


def _check(
    names: Iterable[str], built_in: tuple[str, ...], own: tuple[OwnPlugin, ...], point: str
) -> None:
    mine = {plugin.name for plugin in own if getattr(plugin, point)}
    for name in names:
        if name not in built_in and name not in mine:
            raise BadConfiguration(f"plug-in {name} does not {point} nodes")


def _listed(field: Field, own: tuple[OwnPlugin, ...]) -> tuple[list[tuple[str, int]], list[str]]:
    enabled = []
    for item in field.at("enabled").items():
        name, weight = item.at("name").text(), item.at("weight").whole()
        _known(name, own)
        if not 0 <= weight <= LARGEST_WEIGHT:
            raise BadConfiguration(
                f"{item.path}.weight: {weight} is not between 0 and {LARGEST_WEIGHT}"
            )
        enabled.append((name, weight))
    disabled = [item.at("name").text() for item in field.at("disabled").items()]
    for name in disabled:
        if name != "*":
            _known(name, own)
    return enabled, disabled


def _merged(base: Iterable[str], enabled: list[tuple[str, int]], disabled: list[str]) -> list[str]:
    """The base without what is disabled, then what is enabled; one that is in the base already
    keeps its place.
    """
    kept = [] if "*" in disabled else [name for name in base if name not in disabled]
    return [*kept, *(name for name, _ in enabled if name not in kept)]


def _known(name: str, own: Iterable[OwnPlugin]) -> None:
    if name not in ACCEPTED and name not in {plugin.name for plugin in own}:
        raise BadConfiguration(
            f"there is no plug-in {name or '(unnamed)'}: {', '.join(ORDER)} are the built-in ones"
        )
