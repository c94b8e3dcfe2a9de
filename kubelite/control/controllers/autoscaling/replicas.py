"""How many replicas the metrics of pods ask for. Pure.

After kubernetes, ``pkg/controller/podautoscaler/replica_calculator.go``. Pods that are not ready
and pods without metrics never make the autoscaler go further than the others do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import NamedTuple

from kubelite.control.controllers.shared.meta import (
    Obj,
    is_deleting,
    name_of,
    parse_time,
    spec_of,
    status_of,
)
from kubelite.control.controllers.shared.pod_state import condition_of, phase_of
from kubelite.objects.facts import quantity

INITIALIZATION_SECONDS, READINESS_SECONDS = 300.0, 30.0
"""For so long after its start a pod's CPU is not believed; a pod that was not ready later than
``READINESS_SECONDS`` after its start has been ready once.
"""
DEFAULT_WINDOW = 60.0


class MetricError(Exception):
    """A metric cannot be had; the message goes into the condition."""


class Tolerance(NamedTuple):
    """How far the ratio of a metric to its target may be off without any change."""

    down: float = 0.1
    up: float = 0.1

    def allows(self, ratio: float) -> bool:
        """Whether a ratio counts as 1."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


class Sample(NamedTuple):
    """What a pod uses, in thousandths; when that was measured, and over how many seconds."""

    amount: int
    time: float
    window: float


class Target(NamedTuple):
    """What is aimed at: a percentage of requests, or thousandths for each pod."""

    percent: int | None = None
    amount: int = 0


class Proposal(NamedTuple):
    """The replicas that a metric asks for, and what was measured."""

    replicas: int
    percent: int | None
    amount: int


class Groups(NamedTuple):
    """Names of pods: measured and ready, not ready yet, without a sample."""

    ready: set[str]
    unready: set[str]
    missing: set[str]


def samples_of(items: Iterable[Obj], resource: str, container: str = "") -> dict[str, Sample]:
    """The samples in a list of PodMetrics, for whole pods or one container."""
    samples: dict[str, Sample] = {}
    for item in items:
        chosen = [
            part
            for part in item.get("containers") or ()
            if not container or part["name"] == container
        ]
        amounts = [(part.get("usage") or {}).get(resource) for part in chosen]
        if chosen and all(amount is not None for amount in amounts):
            total = sum(quantity.milli(str(amount)) for amount in amounts)
            window = _seconds(str(item.get("window") or ""))
            samples[name_of(item)] = Sample(total, parse_time(item.get("timestamp")), window)
    return samples


def _seconds(text: str) -> float:
    """A duration such as ``30s`` or ``1m0.5s``."""
    total, digits = 0.0, ""
    for character in text:
        if character.isdigit() or character == ".":
            digits += character
        elif digits and character in "hms":
            total += float(digits) * {"h": 3600, "m": 60, "s": 1}[character]
            digits = ""
    return total or DEFAULT_WINDOW


def grouped(
    pods: Iterable[Obj], samples: Mapping[str, Sample], now: float, *, is_cpu: bool
) -> Groups:
    """Which pods count how; those that have failed or are being deleted do not count at all."""
    groups = Groups(set(), set(), set())
    for pod in pods:
        if is_deleting(pod) or phase_of(pod) == "Failed":
            continue
        name = name_of(pod)
        sample = samples.get(name)
        if phase_of(pod) == "Pending":
            groups.unready.add(name)
        elif sample is None:
            groups.missing.add(name)
        elif is_cpu and _is_starting(pod, sample, now):
            groups.unready.add(name)
        else:
            groups.ready.add(name)
    return groups


def _is_starting(pod: Obj, sample: Sample, now: float) -> bool:
    """Whether what a pod uses may still be the cost of its start."""
    ready = condition_of(pod, "Ready")
    started = parse_time(status_of(pod).get("startTime"))
    if ready is None or not started:
        return True
    changed = parse_time(ready.get("lastTransitionTime"))
    is_unready = ready.get("status") == "False"
    if started + INITIALIZATION_SECONDS > now:
        return is_unready or sample.time < changed + sample.window
    return is_unready and started + READINESS_SECONDS > changed


def requests_of(pods: Iterable[Obj], resource: str, container: str = "") -> dict[str, int]:
    """What pods request, in thousandths. Raises MetricError where a container requests nothing."""
    requests: dict[str, int] = {}
    for pod in pods:
        total = 0
        for part in (*spec_of(pod).get("containers", ()), *_sidecars(pod)):
            if container and part["name"] != container:
                continue
            amount = ((part.get("resources") or {}).get("requests") or {}).get(resource)
            if amount is None:
                where = f"container {part['name']} of Pod {name_of(pod)}"
                raise MetricError(f"missing request for {resource} in {where}")
            total += quantity.milli(str(amount))
        requests[name_of(pod)] = total
    return requests


def _sidecars(pod: Obj) -> list[Obj]:
    parts: Sequence[Obj] = spec_of(pod).get("initContainers") or ()
    return [part for part in parts if part.get("restartPolicy") == "Always"]


def proposal(
    current: int,
    target: Target,
    samples: Mapping[str, Sample],
    groups: Groups,
    requests: Mapping[str, int],
    tolerance: Tolerance = Tolerance(),  # noqa: B008  # immutable
) -> Proposal:
    """The replicas for a metric of pods. ``requests`` are needed for a percentage. Raises
    MetricError.
    """
    amounts = {name: samples[name].amount for name in groups.ready}
    if not amounts:
        raise MetricError("did not receive metrics for targeted pods (pods might be unready)")
    ratio, percent = _ratio(amounts, target, requests)
    average = sum(amounts.values()) // len(amounts)
    counts_unready = bool(groups.unready) and ratio > 1.0
    if not counts_unready and not groups.missing:
        replicas = current if tolerance.allows(ratio) else ceil(ratio * len(groups.ready))
        return Proposal(replicas, percent, average)
    refilled = {**amounts, **_refill(groups.missing, ratio, target, requests)}
    if counts_unready:
        refilled |= dict.fromkeys(groups.unready, 0)
    new_ratio, _ = _ratio(refilled, target, requests)
    replicas = ceil(new_ratio * len(refilled))
    turns = (ratio < 1.0 < new_ratio) or (new_ratio < 1.0 < ratio)
    is_wrong_way = (new_ratio < 1.0 and replicas > current) or (
        new_ratio > 1.0 and replicas < current
    )
    if tolerance.allows(new_ratio) or turns or is_wrong_way:
        replicas = current
    return Proposal(replicas, percent, average)


def _ratio(
    amounts: Mapping[str, int], target: Target, requests: Mapping[str, int]
) -> tuple[float, int | None]:
    """What is used over what is aimed at, and the percentage where that is aimed at."""
    if target.percent is None:
        return sum(amounts.values()) // len(amounts) / target.amount, None
    requested = sum(requests[name] for name in amounts if name in requests)
    if not requested:
        raise MetricError("no metrics returned matched known pods")
    percent = sum(amounts[name] for name in amounts if name in requests) * 100 // requested
    return percent / target.percent, percent


def _refill(
    missing: Iterable[str], ratio: float, target: Target, requests: Mapping[str, int]
) -> dict[str, int]:
    """What pods without a sample are taken to use: much before a scale-down, nothing before a
    scale-up.
    """
    if ratio > 1.0:
        return dict.fromkeys(missing, 0)
    if target.percent is None:
        return dict.fromkeys(missing, target.amount)
    percent = max(100, target.percent)
    return {name: requests.get(name, 0) * percent // 100 for name in missing}
