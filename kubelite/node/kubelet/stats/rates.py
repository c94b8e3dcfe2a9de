"""CPU as a rate: two measurements and the time between them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kubelite.node.kubelet.stats.figures import Figures

MIN_SECONDS = 1.0
"""Over less time a rate says nothing."""
NODE, AGENT = "node", "agent"


class Sample(NamedTuple):
    """Figures, and nanoseconds of CPU a second: of the node and its agent under NODE and AGENT, of
    a pod under its uid, of a container under its id.
    """

    figures: Figures
    rates: Mapping[str, int]


def rates(last: Sample, now: Figures) -> dict[str, int]:
    """Nanoseconds of CPU a second since the last sample; what is new since then counts from its
    start. Over too short a time the rates stay what they were.
    """
    seconds = now.node.at - last.figures.node.at
    if seconds < MIN_SECONDS:
        return dict(last.rates)
    before, after = counters(last.figures), counters(now)
    result = {}
    for key, counter in after.items():
        begun = before.get(key)
        if begun is not None:
            result[key] = int(max(counter.cpu_ns - begun.cpu_ns, 0) / seconds)
        elif (age := now.node.at - counter.started_at) >= MIN_SECONDS:
            result[key] = int(counter.cpu_ns / age)
    return result


class Counter(NamedTuple):
    """Nanoseconds of CPU since ``started_at``, seconds since 1970."""

    cpu_ns: int
    started_at: float


def counters(figures: Figures) -> dict[str, Counter]:
    """The CPU time of everything that has a rate."""
    node = figures.node
    counted = {
        NODE: Counter(node.cpu_ns, node.booted_at),
        AGENT: Counter(node.agent.cpu_ns, node.agent.started_at),
    }
    for pod in figures.pods:
        if pod.usage.cpu_ns is not None:
            counted[pod.uid] = Counter(pod.usage.cpu_ns, pod.started_at)
        for container in pod.containers:
            if container.usage.cpu_ns is not None:
                counted[container.id] = Counter(container.usage.cpu_ns, container.started_at)
    return counted
