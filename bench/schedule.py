"""python bench/schedule.py [--only TEXT] [--json FILE] [--plot FILE]: how many pods a second the
scheduler decides.

Every workload runs three times, the median counts. "Core" is the time inside the C core (decisions,
one pod at a time); "all" adds what is around it in Python: reading Pod objects, finding their
classes, keeping books. Both are processor time of the one thread that does it all. kube-scheduler's
numbers are the thresholds of its CI, which include an API server; the factor beside them is taken
against "all".
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scheduling.measure import Figures, core_cost, memory, run
from scheduling.plot import svg
from scheduling.report import as_data, as_table
from scheduling.workloads import Workload, workloads

NODES = (100, 300, 1000, 3000, 10_000, 30_000, 100_000)
CLASSES = (1, 4, 16, 64, 256)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/schedule", description=__doc__)
    parser.add_argument(
        "--only",
        default="",
        metavar="TEXT",
        help="workloads whose names hold this; no curves, no memory",
    )
    parser.add_argument(
        "--runs", type=int, default=3, metavar="N", help="runs of each workload (default 3)"
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write the figures there, - for standard output"
    )
    parser.add_argument(
        "--plot", metavar="FILE", help="write the growth with nodes and classes there, as SVG"
    )
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _median(workload: Workload, runs: int) -> Figures:
    """The run in the middle, by its time in the core."""
    return sorted((run(workload) for _ in range(runs)), key=lambda each: each.core)[runs // 2]


def _about(runs: int) -> dict[str, Any]:
    models = [
        line
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "kernel": platform.release(),
        "processor": models[0].partition(":")[2].strip() if models else platform.machine(),
        "load": os.getloadavg()[0],
        "runs": runs,
    }


def _curves() -> dict[str, list[tuple[int, float]]]:
    def cost(nodes: int, classes: int) -> float:
        return statistics.median(core_cost(nodes, classes) for _ in range(3))

    return {
        "nodes, 1 class": [
            (nodes, cost(nodes, 1)) for nodes in NODES if nodes >= 1000 or nodes * 40 >= 20000
        ],
        "nodes, 64 classes": [(nodes, cost(nodes, 64)) for nodes in NODES if nodes >= 1000],
        "classes, 5000 nodes": [(classes, cost(5000, classes)) for classes in CLASSES],
    }


def _memory() -> dict[str, float]:
    """Measured in a process of its own, where nothing else has been."""
    told = subprocess.run(
        [sys.executable, __file__, "--memory"], capture_output=True, text=True, check=True
    ).stdout
    figures: dict[str, float] = json.loads(told)
    return figures


def main() -> int:
    arguments = _arguments()
    if arguments.memory:
        print(json.dumps(memory()))
        return 0
    figures = []
    for workload in workloads():
        if arguments.only.lower() in workload.name.lower():
            figures.append(_median(workload, arguments.runs))
            print(as_table(figures[-1:]).splitlines()[1], file=sys.stderr, flush=True)
    used: dict[str, float] = {}
    curves: dict[str, list[tuple[int, float]]] = {}
    if not arguments.only:
        used, curves = _memory(), _curves()
    print(as_table(figures))
    for name, size in used.items():
        print(f"{size:,.0f} bytes for each {name}")
    for name, points in curves.items():
        print(f"{name}: " + ", ".join(f"{at:,}: {cost:.2f} us" for at, cost in points))
    if arguments.plot and curves:
        Path(arguments.plot).write_text(
            svg("Cost of a decision", "nodes, or classes", "microseconds a pod", curves)
        )
    if arguments.json:
        data = json.dumps(as_data(_about(arguments.runs), figures, used, curves), indent=2) + "\n"
        sys.stdout.write(data) if arguments.json == "-" else Path(arguments.json).write_text(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
