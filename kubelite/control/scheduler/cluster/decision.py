"""What a decision comes to: the node, or why there is none. Pure."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

from kubelite.control.scheduler.plugins import message
from kubelite.control.scheduler.plugins.class_program import SCORES
from kubelite.control.scheduler.plugins.filters import Rejection, rejection
from kubelite.control.scheduler.plugins.profile import Profile
from kubelite.control.scheduler.plugins.reasons import Reason
from kubelite.control.scheduler.snapshot.nodes import Nodes
from kubelite.objects.rules.pods.placement import SCHEDULING_GATED


@dataclass(frozen=True)
class OwnRejection:
    """What an own filter says of a node."""

    plugin: str
    text: str


@dataclass(eq=False)
class Decision:
    """The nodes as one pod sees them, in snapshot order; -1 is an unscored node.

    ``chosen`` is the number of the node, -1 for none; ``own_scores`` holds those of own plug-ins by
    name.
    """

    nodes: Nodes
    profile: Profile
    problem: str
    requests: tuple[str, ...]
    chosen: int
    verdicts: array[int]
    lacks: array[int]
    scores: array[int]
    totals: array[int]
    skipped: tuple[str, ...]
    own_rejections: dict[int, OwnRejection] = field(default_factory=dict)
    own_scores: dict[str, dict[int, int]] = field(default_factory=dict)
    gated: bool = False

    @property
    def node(self) -> str | None:
        """The name of the chosen node."""
        return None if self.chosen < 0 else self.nodes.rows[self.chosen].name

    def feasible(self, number: int) -> bool:
        """Whether every filter lets the pod on the node."""
        return not self.verdicts[number]

    def rejection(self, number: int) -> Rejection:
        """What the first filter in profile order that rejects the node says."""
        own = self.own_rejections.get(number)
        built_in = self._told(self.verdicts[number], self.lacks[number])
        if own and (
            not built_in.plugin or self._position(own.plugin) < self._position(built_in.plugin)
        ):
            return Rejection((own.text,), True, own.plugin)
        return built_in

    def _position(self, plugin: str) -> int:
        return self.profile.filters.index(plugin) if plugin in self.profile.filters else -1

    def _told(self, verdict: int, lacks: int) -> Rejection:
        if self.problem and verdict >> Reason.WHOLE_POD & 1:
            return Rejection((self.problem,), True, "VolumeBinding")
        built_in = verdict & ~(1 << Reason.OWN_PLUGIN)
        return (
            rejection(built_in, lacks, self.requests, self.profile)
            if built_in
            else Rejection((), True, "")
        )

    @cached_property
    def rejections(self) -> Counter[Rejection]:
        """How many nodes there are for each rejection."""
        if self.own_rejections:
            return Counter(
                self.rejection(number) for number, verdict in enumerate(self.verdicts) if verdict
            )
        pairs = Counter(zip(self.verdicts, self.lacks, strict=True))
        counts: Counter[Rejection] = Counter()
        for (verdict, lacks), nodes in pairs.items():
            if verdict:
                counts[self._told(verdict, lacks)] += nodes
        return counts

    def reasons(self) -> dict[str, int]:
        """How many nodes each reason keeps the pod from."""
        counts: Counter[str] = Counter()
        for rejected, nodes in self.rejections.items():
            for text in rejected.texts:
                counts[text] += nodes
        return dict(counts)

    @cached_property
    def sentence(self) -> str:
        """Why no node will do, without what came of preemption; "" when one was chosen."""
        if self.gated:
            return SCHEDULING_GATED
        if self.chosen >= 0:
            return ""
        if not self.nodes.count:
            return message.NO_NODES
        if self.problem:
            return message.whole(self.nodes.count, self.problem)
        return message.counted(self.nodes.count, self.reasons())

    def plugin_scores(self, number: int) -> dict[str, int]:
        """The normalised scores of a node by plug-in, before their weights."""
        count = self.nodes.count
        scores = {name: self.scores[row * count + number] for row, name in enumerate(SCORES)}
        built_in = {name: value for name, value in scores.items() if value >= 0}
        own = {name: values[number] for name, values in self.own_scores.items() if number in values}
        return {**built_in, **own}

    def scored(self, number: int) -> bool:
        """Whether the node was among those that were scored."""
        return self.totals[number] >= 0

    def best(self) -> list[int]:
        """The nodes that tie for the highest total."""
        top = max(self.totals, default=-1)
        return [number for number, total in enumerate(self.totals) if total == top >= 0]
