"""What the server counts of its requests, and ``/metrics`` in the text form of Prometheus.

Names and labels are those of kube-apiserver (``apiserver_request_total`` ...). Counting is a few
dictionary operations; prometheus-client is imported when somebody scrapes.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.wire.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKETS = (
    0.005,
    0.025,
    0.05,
    0.1,
    0.2,
    0.4,
    0.6,
    0.8,
    1.0,
    1.25,
    1.5,
    2,
    3,
    4,
    5,
    6,
    8,
    10,
    15,
    20,
    30,
    45,
    60,
)
_READS = ("get", "list", "watch", "proxy")


class Target(NamedTuple):
    """What a request is counted under."""

    verb: str = ""
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    scope: str = ""


_LABELS = ("verb", "group", "version", "resource", "subresource", "scope")


class Counted:
    """The requests for one target: how many by code, and a histogram of seconds."""

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts by upper bound, as Prometheus writes them."""
        total, rows = 0, []
        for bound, count in zip((*BUCKETS, "+Inf"), self.counts, strict=True):
            total += count
            rows.append((str(bound), float(total)))
        return rows


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self.requests: dict[Target, Counted] = {}
        self.inflight = {"readOnly": 0, "mutating": 0}
        self.rejected: dict[str, int] = {}

    def begin(self, verb: str) -> tuple[str, float]:
        """Counts a request in; what :meth:`end` wants back."""
        kind = "readOnly" if verb in _READS else "mutating"
        self.inflight[kind] += 1
        return kind, time.monotonic()

    def end(self, begun: tuple[str, float], target: Target, code: int) -> None:
        """Counts a request out."""
        kind, since = begun
        self.inflight[kind] -= 1
        counted = self.requests.get(target)
        if counted is None:
            counted = self.requests[target] = Counted()
        counted.codes[code] = counted.codes.get(code, 0) + 1
        if target.verb != "WATCH":
            counted.observe(time.monotonic() - since)

    def reject(self, level: str) -> None:
        """Counts a request that flow control turned away."""
        self.rejected[level] = self.rejected.get(level, 0) + 1

    def answer(self) -> Answer:
        """The text form of all metrics."""
        from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        registry.register(self)
        return Answer(generate_latest(registry), 200, CONTENT_TYPE_LATEST)

    def collect(self) -> Iterator[Any]:
        """The metric families, for prometheus-client."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        total = CounterMetricFamily(
            "apiserver_request",
            "Requests by verb, resource and code.",
            labels=[*_LABELS, "component", "dry_run", "code"],
        )
        for target, counted in self.requests.items():
            for code, count in counted.codes.items():
                total.add_metric([*target, "apiserver", "", str(code)], count)
        yield total
        durations = HistogramMetricFamily(
            "apiserver_request_duration_seconds",
            "Seconds until a request was answered.",
            labels=[*_LABELS, "component", "dry_run"],
        )
        for target, counted in self.requests.items():
            if target.verb != "WATCH":
                durations.add_metric([*target, "apiserver", ""], counted.buckets(), counted.sum)
        yield durations
        inflight = GaugeMetricFamily(
            "apiserver_current_inflight_requests",
            "Requests that are being answered now.",
            labels=["request_kind"],
        )
        for kind, number in self.inflight.items():
            inflight.add_metric([kind], number)
        yield inflight
        rejected = CounterMetricFamily(
            "apiserver_flowcontrol_rejected_requests",
            "Requests that flow control turned away.",
            labels=["priority_level"],
        )
        for level, count in self.rejected.items():
            rejected.add_metric([level], count)
        yield rejected
