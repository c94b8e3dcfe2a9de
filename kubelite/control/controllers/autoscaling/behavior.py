"""How fast an autoscaler may go where metrics want it. Pure.

After kubernetes, ``pkg/controller/podautoscaler/horizontal.go``: recommendations of a window hold
against flapping, policies limit how many replicas come or go in a period.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, trunc
from typing import NamedTuple

from kubelite.control.controllers.shared.meta import Obj

DOWN_WINDOW = 300.0
LONGEST_WINDOW = 3600.0


class Change(NamedTuple):
    """So many replicas more, or fewer where negative, at a time in seconds since 1970."""

    time: float
    replicas: int


class History(NamedTuple):
    """What was recommended and done in the past hour."""

    recommendations: tuple[Change, ...] = ()
    changes: tuple[Change, ...] = ()

    def since(self, time: float) -> History:
        """The part of it that is not older."""
        recent = (
            tuple(entry for entry in entries if entry.time >= time)
            for entries in (self.recommendations, self.changes)
        )
        return History(*recent)


class Verdict(NamedTuple):
    """The replicas to have, and status, reason and message of AbleToScale and ScalingLimited."""

    replicas: int
    able: tuple[str, str, str]
    limited: tuple[str, str, str]


_READY = ("True", "ReadyForNewScale", "recommended size matches current size")
_HELD_UP = (
    "True",
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent "
    "recommendation",
)
_HELD_DOWN = (
    "True",
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
_IN_RANGE = ("False", "DesiredWithinRange", "the desired count is within the acceptable range")
_TOO_FAST_UP = (
    "True",
    "ScaleUpLimit",
    "the desired replica count is increasing faster than the maximum scale rate",
)
_TOO_FAST_DOWN = (
    "True",
    "ScaleDownLimit",
    "the desired replica count is decreasing faster than the maximum scale rate",
)
_TOO_MANY = (
    "True",
    "TooManyReplicas",
    "the desired replica count is more than the maximum replica count",
)
_TOO_FEW = (
    "True",
    "TooFewReplicas",
    "the desired replica count is less than the minimum replica count",
)


def decide(spec: Obj, current: int, wanted: int, history: History, now: float) -> Verdict:
    """What becomes of ``wanted`` replicas; ``history`` holds that recommendation already."""
    behavior: Obj | None = spec.get("behavior")
    stable, able = _stabilized(behavior, current, wanted, history.recommendations, now)
    least, most = int(spec.get("minReplicas", 1)), int(spec["maxReplicas"])
    if behavior is None:
        limit = max(2 * current, 4)
        return Verdict(*_clamped(stable, least, 0, most, limit, able))
    fewest = most_now = current
    if stable > current:
        rules = behavior.get("scaleUp") or {}
        most_now = max(_up_limit(rules, current, history.changes, now), current)
    elif stable < current:
        rules = behavior.get("scaleDown") or {}
        fewest = min(_down_limit(rules, current, history.changes, now), current)
    else:
        return Verdict(stable, able, _IN_RANGE)
    return Verdict(*_clamped(stable, least, fewest, most, most_now, able))


def _clamped(
    wanted: int, least: int, fewest: int, most: int, most_now: int, able: tuple[str, str, str]
) -> tuple[int, tuple[str, str, str], tuple[str, str, str]]:
    """``wanted`` within the bounds of the spec and those of the moment."""
    if wanted < max(least, fewest):
        return max(least, fewest), able, _TOO_FAST_DOWN if fewest > least else _TOO_FEW
    if wanted > min(most, most_now):
        return min(most, most_now), able, _TOO_FAST_UP if most_now < most else _TOO_MANY
    return wanted, able, _IN_RANGE


def _stabilized(
    behavior: Obj | None, current: int, wanted: int, recommendations: Sequence[Change], now: float
) -> tuple[int, tuple[str, str, str]]:
    """The recommendation that holds against those of the last minutes."""
    down = ((behavior or {}).get("scaleDown") or {}).get("stabilizationWindowSeconds")
    down_window = DOWN_WINDOW if down is None else float(down)
    highest = max([wanted, *_recent(recommendations, now - down_window)])
    if behavior is None:
        return highest, _READY if highest == wanted else _HELD_UP
    up_window = float((behavior.get("scaleUp") or {}).get("stabilizationWindowSeconds") or 0)
    lowest = min([wanted, *_recent(recommendations, now - up_window)])
    stable = min(max(current, lowest), highest)
    if stable == wanted:
        return stable, _READY
    return stable, _HELD_DOWN if wanted >= current else _HELD_UP


def _recent(changes: Iterable[Change], time: float) -> list[int]:
    return [change.replicas for change in changes if change.time > time]


def _up_limit(rules: Obj, current: int, changes: Sequence[Change], now: float) -> int:
    """How many replicas policies allow at most."""
    if rules.get("selectPolicy") == "Disabled":
        return current
    proposals = []
    for policy in rules.get("policies") or ():
        start = current - sum(_recent(changes, now - float(policy["periodSeconds"])))
        value = int(policy["value"])
        is_count = policy["type"] == "Pods"
        proposals.append(start + value if is_count else ceil(start * (1 + value / 100)))
    choose = min if rules.get("selectPolicy") == "Min" else max
    return choose(proposals, default=current)


def _down_limit(rules: Obj, current: int, changes: Sequence[Change], now: float) -> int:
    """How few replicas policies allow at least."""
    if rules.get("selectPolicy") == "Disabled":
        return current
    proposals = []
    for policy in rules.get("policies") or ():
        start = current - sum(_recent(changes, now - float(policy["periodSeconds"])))
        value = int(policy["value"])
        is_count = policy["type"] == "Pods"
        proposals.append(start - value if is_count else trunc(start * (1 - value / 100)))
    choose = max if rules.get("selectPolicy") == "Min" else min
    return choose(proposals, default=current)
