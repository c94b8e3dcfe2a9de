"""How fast one container's output gets into its log: through kubelite's shim, through conmon, and
straight into a file.

    python bench/logs.py [--megabytes 512] [--runs 3] [--json FILE]

A shell writes lines of 199 letters as fast as they are taken. kubelite's figure is the whole
command from `pod up` until the pod is reported to have succeeded; conmon's begins when its
container is started. Medians of runs in turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from holding.home import ROOT, Home
from holding.peers import flooded
from startup.measure import BenchError, Unavailable
from startup.site import Site

sys.path.insert(0, str(ROOT))
POD = """apiVersion: v1
kind: Pod
metadata: {name: flood}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - {name: c, image: host, command: [sh, -c, %s]}
"""


def ours(home: Home, script: str) -> float:
    """Seconds through the shim."""
    began = time.monotonic()
    home.kl("pod", "up", "-", input=POD % json.dumps(script))
    home.kl("pod", "wait", "flood", "--for=exited", "--timeout=300s")
    took = time.monotonic() - began
    home.kl("pod", "down", "flood")
    return took


def floor(place: Path, script: str) -> float:
    """Seconds into a file, with nobody between."""
    began = time.monotonic()
    with (place / "floor").open("wb") as file:
        subprocess.run(["sh", "-c", script], stdout=file, check=True)
    return time.monotonic() - began


def measure(subjects: dict[str, Callable[[], float]], runs: int) -> dict[str, float | str]:
    """The median of each, taken in turns; why, where one does not run here."""
    taken: dict[str, list[float]] = {name: [] for name in subjects}
    skipped: dict[str, str] = {}
    for _ in range(runs):
        for name, once in subjects.items():
            if name in skipped:
                continue
            try:
                taken[name].append(once())
            except (Unavailable, BenchError) as error:
                skipped[name] = str(error)
    return {name: skipped.get(name) or statistics.median(taken[name]) for name in subjects}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    script = f"yes {'x' * 199} | head -c {given.megabytes * 1_000_000}"
    site, home = Site(), Home()
    try:
        site.build()
        subjects: dict[str, Callable[[], float]] = {
            "a file": lambda: floor(site.work, script),
            "kubelite": lambda: ours(home, script),
            "conmon": lambda: flooded(site, script),
        }
        results = measure(subjects, given.runs)
    finally:
        home.close()
        site.close()
    for name, seconds in results.items():
        print(
            f"{name:<10}",
            seconds if isinstance(seconds, str) else f"{given.megabytes / seconds:8.0f} MB/s",
        )
    if given.json:
        given.json.write_text(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BenchError, OSError) as error:
        sys.exit(f"bench/logs: {error}")
