"""The figures as a table and as JSON. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from scheduling.measure import Figures

HEADS = (
    "WORKLOAD",
    "NODES",
    "THERE",
    "PODS",
    "CORE PODS/S",
    "ALL PODS/S",
    "OUTSIDE",
    "KUBE-SCHEDULER CI",
    "TARGET",
)


def as_table(figures: Sequence[Figures]) -> str:
    rows = [HEADS, *(_row(each) for each in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    return "".join(
        "  ".join(
            text.ljust(width) if not number else text.rjust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        + "\n"
        for row in rows
    )


def _row(figures: Figures) -> tuple[str, ...]:
    made = figures.workload
    reached = (
        ""
        if made.target is None
        else f"{made.target:,} {'reached' if figures.rate >= made.target else 'MISSED'}"
    )
    beside = (
        "-"
        if made.threshold is None
        else f"{made.threshold:,} ({figures.whole_rate / made.threshold:,.0f}x)"
    )
    return (
        made.name, f"{made.nodes:,}", f"{made.existing:,}", f"{made.measured:,}",
        f"{figures.rate:,.0f}", f"{figures.whole_rate:,.0f}", f"{figures.outside:.0%}", beside,
        reached,
    )  # fmt: skip


def as_data(
    about: Mapping[str, Any],
    figures: Sequence[Figures],
    memory: Mapping[str, float],
    curves: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "about": dict(about),
        "workloads": [
            {
                "name": each.workload.name,
                "nodes": each.workload.nodes,
                "existing": each.workload.existing,
                "measured": each.workload.measured,
                "placed": each.placed,
                "evicted": each.evicted,
                "corePodsPerSecond": round(each.rate),
                "podsPerSecond": round(each.whole_rate),
                "outsideCore": round(each.outside, 4),
                "kubeSchedulerThreshold": each.workload.threshold,
                "target": each.workload.target,
            }
            for each in figures
        ],
        "bytes": {name: round(value) for name, value in memory.items()},
        "microsecondsPerPod": curves,
    }
