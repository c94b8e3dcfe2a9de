"""What the figures of the network say, and which targets were reached. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

RATIOS = {
    # figure: what it is measured against, at most so many times that (at least, where it is a rate)
    "attach a pod, ms": ("floor: attach, ms", 1.5),
    "round trip through the bridge, us": ("floor: round trip of a veth pair, us", 1 / 0.95),
    "round trip through a Service, us": ("floor: round trip of a veth pair, us", 1 / 0.95),
    "change of one among 10000 Services, ms": ("change of one among 1000 Services, ms", 1.2),
}
RATES = {
    "through the bridge, MB/s": ("floor: through a veth pair, MB/s", 0.95),
    "through a Service, MB/s": ("floor: through a veth pair, MB/s", 0.95),
}
LIMITS = {
    "change of one among 1000 Services, ms": 1.0,
    "change of one among 10000 Services, ms": 1.0,
    "endpoint change to first packet, ms": 10.0,
}


class Verdict(NamedTuple):
    """What became of a target."""

    target: str
    measured: float
    goal: str
    reached: bool


def judge(figures: Mapping[str, float]) -> list[Verdict]:
    """Every target against the figures, which are medians."""
    verdicts = []
    for name, (floor, maximum) in RATIOS.items():
        ratio = figures[name] / figures[floor]
        verdicts.append(Verdict(name, ratio, f"<= {maximum:.2f} x {floor}", ratio <= maximum))
    for name, (floor, minimum) in RATES.items():
        ratio = figures[name] / figures[floor]
        verdicts.append(Verdict(name, ratio, f">= {minimum:.2f} x {floor}", ratio >= minimum))
    for name, limit in LIMITS.items():
        verdicts.append(Verdict(name, figures[name], f"<= {limit:g}", figures[name] <= limit))
    return verdicts


def as_text(figures: Mapping[str, float]) -> str:
    """Figures, then targets."""
    lines = [f"{name:<48} {value:12,.3f}" for name, value in figures.items()]
    lines += ["", f"{'target':<48} {'is':>8}  goal"]
    for target, measured, goal, reached in judge(figures):
        result = "reached" if reached else "missed"
        lines.append(f"{target:<48} {measured:8.2f}  {goal}: {result}")
    return "\n".join(lines)


def as_json(figures: Mapping[str, float]) -> dict[str, Any]:
    """The same for a later comparison."""
    targets = [verdict._asdict() for verdict in judge(figures)]
    return {"figures": dict(figures), "targets": targets}
