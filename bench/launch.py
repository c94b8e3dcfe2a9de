"""python bench/launch.py [--runs N] [--json FILE]: how long containers and pods take to start.

Builds the floor program, measures it, the peers that are installed and kubelite in turn, and prints
medians, p99 and ratios. Works in network and mount namespaces of its own and removes what it made,
also after Ctrl-C.
"""

import argparse
import datetime
import json
import os
import platform
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from startup.floor import Floor, floor_subjects
from startup.measure import BenchError, Outcome, Subject, run_rounds
from startup.oci import oci_subjects
from startup.ours import ROOT, our_subjects
from startup.podman import podman_subjects
from startup.report import as_json, as_table, make_rows
from startup.site import Site


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/launch", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, metavar="N", help="rounds (default 20)")
    parser.add_argument(
        "--json", metavar="FILE", help="write the figures there, - for standard output"
    )
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    return arguments


def _about(floor: Floor, rounds: int) -> dict[str, Any]:
    models = [
        line
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "kernel": platform.release(),
        "processor": models[0].partition(":")[2].strip() if models else platform.machine(),
        "processors": os.cpu_count(),
        "cgroups": floor.cgroups,
        "rounds": rounds,
    }


def _progress(number: int) -> None:
    if sys.stderr.isatty():
        print(f"round {number + 1}\r", end="", file=sys.stderr, flush=True)


def _measure(site: Site, rounds: int) -> tuple[list[Subject], Outcome, dict[str, Any]]:
    site.build()
    container, pod = Floor(site, "container"), Floor(site, "pod")
    subjects = [
        *floor_subjects(container, pod),
        *our_subjects(site),
        *oci_subjects(site, container),
        *podman_subjects(site),
    ]
    return subjects, run_rounds(subjects, rounds, _progress), _about(container, rounds)


def _stop_once(number: int, frame: FrameType | None) -> None:
    """The first SIGINT or SIGTERM ends the run; the clean-up that follows is not interrupted."""
    _on_stop(signal.SIG_IGN)
    raise KeyboardInterrupt


def _on_stop(action: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, action)


def main() -> int:
    sys.path.insert(0, str(ROOT))  # the checkout that this file lies in is what is measured
    arguments = _arguments()
    if os.geteuid() != 0:
        print("bench/launch: making namespaces and cgroups needs root", file=sys.stderr)
        return 1
    _on_stop(_stop_once)
    output = None if arguments.json in (None, "-") else Path(arguments.json).resolve()
    try:
        site = Site()
        try:
            subjects, outcome, about = _measure(site, arguments.runs)
        finally:
            site.close()
    except KeyboardInterrupt:
        print("\nbench/launch: interrupted, everything made was removed", file=sys.stderr)
        return 130
    except (BenchError, OSError) as error:
        print(f"bench/launch: {error}", file=sys.stderr)
        return 1
    rows = make_rows(subjects, outcome)
    print(as_table(rows, outcome.skipped), file=sys.stderr if arguments.json == "-" else sys.stdout)
    text = json.dumps(as_json(rows, outcome.skipped, about), indent=2)
    if arguments.json == "-":
        print(text)
    elif output is not None:
        output.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
