"""What the figures of a cluster say: beside a floor, a target and a real cluster. Pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Row(NamedTuple):
    """A figure: what it is called, its unit, the most it should be, what a real Kubernetes 1.20 of
    etcd, kubelet and containerd needed on a machine of this kind, and the figure it is measured
    against in the same run.
    """

    name: str
    unit: str
    wanted: float
    real: float | None = None
    floor: str = ""


BOOT_FLOOR, POD_FLOOR = "floor: Python and its libraries", "floor: the pod without a cluster"
ROWS = (
    Row("API ready, first start", "ms", 800, 4100, BOOT_FLOOR),
    Row("API ready", "ms", 500, 4100, BOOT_FLOOR),
    Row("node Ready", "ms", 1000, 19_900, BOOT_FLOOR),
    Row("first pod Running", "ms", 1500, 28_700, BOOT_FLOOR),
    Row("pod created to Running, median", "ms", 20, 437, POD_FLOOR),
    Row("30 pods at once, all Running", "ms", 500, 22_800, POD_FLOOR),
    Row("Deployment of 20 Available", "ms", 500, 14_900, POD_FLOOR),
    Row("memory of server and node, idle with 10 pods", "MB", 100, 706),
    Row("processor, idle with 10 pods", "% of a core", 1),
    Row("written to disk, idle with 10 pods", "bytes", 0),
)
FLOORS = (BOOT_FLOOR, POD_FLOOR)


class Verdict(NamedTuple):
    """A figure, how many times its floor it is, how many times less than the real one, and whether
    it is as small as wanted.
    """

    row: Row
    measured: float
    of_floor: float | None
    of_real: float | None
    reached: bool


def judge(figures: dict[str, float]) -> list[Verdict]:
    """Every row that was measured."""
    return [_verdict(row, figures) for row in ROWS if row.name in figures]


def _verdict(row: Row, figures: dict[str, float]) -> Verdict:
    measured, floor = figures[row.name], figures.get(row.floor, 0.0)
    of_floor = measured / floor if floor else None
    of_real = row.real / measured if row.real is not None and measured else None
    return Verdict(row, measured, of_floor, of_real, measured <= row.wanted)


def as_table(figures: dict[str, float]) -> str:
    """Floors first, then every figure with its ratios and its verdict."""
    lines = [["", "is", "wanted", "x floor", "1.20 / it", "result"]]
    lines += [
        [name, f"{figures[name]:.1f} ms", "", "", "", ""] for name in FLOORS if name in figures
    ]
    for row, measured, of_floor, of_real, reached in judge(figures):
        lines.append(
            [
                row.name,
                f"{measured:,.1f} {row.unit}",
                f"{row.wanted:g}",
                "" if of_floor is None else f"{of_floor:.1f}",
                "" if of_real is None else f"{of_real:.1f}",
                "reached" if reached else "missed",
            ]
        )
    return _align(lines)


def as_json(figures: dict[str, float]) -> dict[str, Any]:
    return {
        "figures": figures,
        "targets": {v.row.name: v.reached for v in judge(figures)},
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
