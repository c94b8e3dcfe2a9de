"""What the samples say: medians, p99 and ratios, as a table and as JSON. Pure."""

import statistics
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from startup.measure import Marks, Outcome, Role, Subject, Unit


class Row(NamedTuple):
    """One mark of one subject; times in microseconds."""

    subject: str
    unit: Unit
    role: Role
    mark: str
    runs: int
    minimum: float
    median: float
    p99: float


class Target(NamedTuple):
    """A ratio that one mark of a subject is to reach: at most so many times the floor, or at least
    so many times faster than a peer. `stretch` is the ratio to dream of."""

    subject: str
    mark: str
    against: str
    limit: float
    stretch: float | None = None


TARGETS = (
    Target("kubelite container", "exec", "floor", 1.4, 1.3),
    Target("kubelite container", "exit", "floor", 1.4, 1.3),
    Target("kubelite container", "exit", "crun run", 4.0),
    Target("kubelite pod", "up", "floor", 2.0, 1.5),
    Target("kubelite pod", "up", "podman kube play", 20.0),
    Target("kubelite first pod", "up", "floor", 2.2),
    Target("kubelite first pod", "up", "podman kube play", 20.0),
    Target("kubelite pod up", "up", "podman kube play", 3.5),
    Target("kubelite, warm", "up", "podman kube play", 10.0),
)


class Verdict(NamedTuple):
    """What became of a target; `ratio` is None where one of the two was not measured."""

    target: Target
    ratio: float | None
    result: Literal["reached", "stretch", "missed", "not measured"]


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank: the smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)
    return ordered[max(rank, 1) - 1]


def make_rows(subjects: Sequence[Subject], outcome: Outcome) -> list[Row]:
    return [
        _make_row(subject, mark, outcome.samples[subject.name])
        for subject in subjects
        if outcome.samples.get(subject.name)
        for mark in outcome.samples[subject.name][0]
    ]


def _make_row(subject: Subject, mark: str, samples: Sequence[Marks]) -> Row:
    times = [sample[mark] / 1000 for sample in samples]
    middle = statistics.median(times)
    tail = percentile(times, 0.99)
    return Row(subject.name, subject.unit, subject.role, mark, len(times), min(times), middle, tail)


def to_floor(row: Row, rows: Sequence[Row]) -> float | None:
    """How many times the floor's median to the same mark; None where the floor has no such mark."""
    for other in rows:
        if (other.role, other.unit, other.mark) == ("floor", row.unit, row.mark):
            return row.median / other.median
    return None


def faster_than(row: Row, rows: Sequence[Row]) -> dict[str, float]:
    """For each peer with the same unit: how many times this row's median fits into the peer's."""
    peers = (other for other in rows if other.role == "peer" and other.unit == row.unit)
    return {peer.subject: peer.median / row.median for peer in peers}


def judge(rows: Sequence[Row], targets: Sequence[Target] = TARGETS) -> list[Verdict]:
    """Every target against the medians."""
    return [_judge(target, rows) for target in targets]


def _judge(target: Target, rows: Sequence[Row]) -> Verdict:
    row = next((r for r in rows if (r.subject, r.mark) == (target.subject, target.mark)), None)
    is_floor = target.against == "floor"
    ratio = None
    if row is not None:
        ratio = to_floor(row, rows) if is_floor else faster_than(row, rows).get(target.against)
    if ratio is None:
        return Verdict(target, None, "not measured")

    def within(limit: float) -> bool:
        return ratio <= limit if is_floor else ratio >= limit

    if target.stretch is not None and within(target.stretch):
        return Verdict(target, ratio, "stretch")
    return Verdict(target, ratio, "reached" if within(target.limit) else "missed")


def as_json(rows: Sequence[Row], skipped: dict[str, str], about: dict[str, Any]) -> dict[str, Any]:
    return {
        **about,
        "rows": [
            {
                "subject": row.subject,
                "unit": row.unit,
                "role": row.role,
                "mark": row.mark,
                "runs": row.runs,
                "min_us": round(row.minimum, 1),
                "median_us": round(row.median, 1),
                "p99_us": round(row.p99, 1),
                "times_floor": to_floor(row, rows),
                "times_faster_than": faster_than(row, rows),
            }
            for row in rows
        ],
        "targets": [
            {**verdict.target._asdict(), "ratio": verdict.ratio, "result": verdict.result}
            for verdict in judge(rows)
        ],
        "skipped": skipped,
    }


def as_table(rows: Sequence[Row], skipped: dict[str, str]) -> str:
    """One table per unit, the targets, then what was skipped."""
    parts = [_unit_table(unit, rows) for unit in ("container", "pod")]
    parts.append(_target_table(judge(rows)) if any(row.role == "ours" for row in rows) else "")
    parts += [f"skipped {name}: {reason}" for name, reason in skipped.items()]
    return "\n\n".join(part for part in parts if part)


def _unit_table(unit: str, rows: Sequence[Row]) -> str:
    own = [row for row in rows if row.unit == unit]
    peers = [row.subject for row in own if row.role == "peer"]
    head = [unit, "to", "runs", "median µs", "p99 µs", "x floor", *(f"{name} /" for name in peers)]
    lines = [head]
    for row in own:
        floor, faster = to_floor(row, rows), faster_than(row, rows)
        lines.append(
            [
                row.subject,
                row.mark,
                str(row.runs),
                f"{row.median:,.0f}",
                f"{row.p99:,.0f}",
                "" if floor is None else f"{floor:.2f}",
                *(f"{faster[name]:.1f}" for name in peers),
            ]
        )
    return _align(lines) if own else ""


def _target_table(verdicts: Sequence[Verdict]) -> str:
    lines = [["target", "to", "is", "wanted", "stretch", "result"]]
    for target, ratio, result in verdicts:
        bound, what = (
            ("<=", "x floor")
            if target.against == "floor"
            else (">=", f"x faster than {target.against}")
        )
        lines.append(
            [
                target.subject,
                target.mark,
                "" if ratio is None else f"{ratio:.2f}",
                f"{bound} {target.limit:g} {what}",
                "" if target.stretch is None else f"{target.stretch:g}",
                result,
            ]
        )
    return _align(lines)


def _align(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
