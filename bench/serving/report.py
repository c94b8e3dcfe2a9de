"""What the figures say: a table of rates beside the floor and a real server, and which targets were
reached. Pure.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

# Kubernetes 1.20 and etcd 3.4, two shared cores: requests a second, one at a time and sixteen at
# once.
REAL = {
    "create ConfigMap": (379, 724),
    "get ConfigMap": (774, 1554),
    "patch ConfigMap": (301, 735),
    "list 300": (144, 128),
    "delete ConfigMap": (288, 511),
    "create Pod": (249, 691),
}
FLOORS = {"get ConfigMap": ("floor get", 0.5), "create ConfigMap": ("floor create", 0.4)}
FACTORS = {
    "create ConfigMap": 2.0,
    "get ConfigMap": 2.0,
    "create Pod": 2.0,
}  # of the real server; the others need only be ahead
LIMITS = {
    "watch, 1 watcher: create to event, median ms": 3.2,
    "boot with new keys, seconds": 1.0,
    "boot warm, seconds": 0.5,
    "memory at rest, MB": 80.0,
    "written at rest, MB a minute": 1.8,
}
_CLIENTS = ("one", "sixteen")


class Rates(NamedTuple):
    """Requests a second, one at a time and sixteen at once, and microseconds of the server's
    processor for one of sixteen.
    """

    one: float
    sixteen: float
    processor: float


class Verdict(NamedTuple):
    """What became of a target: at least ``goal`` times what it is measured against, or at most
    ``goal`` of a unit.
    """

    target: str
    measured: float
    goal: str
    reached: bool


def judge(rates: dict[str, Rates], figures: dict[str, float]) -> list[Verdict]:
    """Every target against what was measured."""
    verdicts = [*_against_floor(rates), *_against_real(rates)]
    return [
        *verdicts,
        *(
            Verdict(name, figures[name], f"<= {maximum:g}", figures[name] <= maximum)
            for name, maximum in LIMITS.items()
        ),
    ]


def _against_floor(rates: dict[str, Rates]) -> Iterator[Verdict]:
    for name, (floor, share) in FLOORS.items():
        for index, clients in enumerate(_CLIENTS):
            ratio = rates[name][index] / rates[floor][index]
            yield Verdict(f"{name}, {clients}", ratio, f">= {share:g} of the floor", ratio >= share)
        # Nothing else that happens on the machine changes this one much.
        ratio = rates[floor].processor / rates[name].processor
        yield Verdict(
            f"{name}, by processor time", ratio, f">= {share:g} of the floor", ratio >= share
        )


def _against_real(rates: dict[str, Rates]) -> Iterator[Verdict]:
    for name, real in REAL.items():
        factor = FACTORS.get(name, 1.0)
        for index, clients in enumerate(_CLIENTS):
            ratio = rates[name][index] / real[index]
            yield Verdict(
                f"{name}, {clients}", ratio, f">= {factor:g} x Kubernetes 1.20", ratio >= factor
            )


def as_table(rates: dict[str, Rates], figures: dict[str, float]) -> str:
    """Rates, other figures, targets."""
    lines = [["requests a second", "one", "sixteen", "x 1.20", "x 1.20", "processor us"]]
    for name, row in rates.items():
        real = [
            f"{row[index] / REAL[name][index]:.1f}" if name in REAL else "" for index in range(2)
        ]
        lines.append(
            [name, f"{row.one:,.0f}", f"{row.sixteen:,.0f}", *real, f"{row.processor:.0f}"]
        )
    others = [["figure", "is"], *([name, f"{value:,.2f}"] for name, value in figures.items())]
    targets = [["target", "is", "goal", "result"]]
    for target, measured, goal, reached in judge(rates, figures):
        targets.append([target, f"{measured:.2f}", goal, "reached" if reached else "missed"])
    return "\n\n".join(_align(each) for each in (lines, others, targets))


def as_json(rates: dict[str, Rates], figures: dict[str, float]) -> dict[str, Any]:
    return {
        "rates": {name: row._asdict() for name, row in rates.items()},
        "figures": figures,
        "targets": [verdict._asdict() for verdict in judge(rates, figures)],
    }


def _align(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
