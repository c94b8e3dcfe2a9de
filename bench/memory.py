"""Memory of what holds an idle pod: shim and pause, beside conmon and containerd-shim where they
are installed.

    python bench/memory.py [--pods 10] [--json FILE]

PSS and private dirty memory from /proc/PID/smaps_rollup, averaged over idle pods; each peer is
measured the same way above as many containers that sleep (its pod would have one more for the
sandbox, which is not counted). Then the node agent with many pods: what it holds, and whether it
sleeps.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from holding.home import ROOT, Home
from holding.peers import conmons, shims
from startup.measure import BenchError, Unavailable
from startup.site import Site

sys.path.insert(0, str(ROOT))
POD = """apiVersion: v1
kind: Pod
metadata: {{name: p{number}}}
spec:
  restartPolicy: {policy}
  terminationGracePeriodSeconds: 0
  containers:
  - {{name: c, image: host, command: [sleep, "100000"]}}
"""


def memory(pid: int) -> tuple[int, int]:
    """PSS and private dirty memory in KiB."""
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        key, value, *_ = line.split()
        sizes[key] = int(value)
    return sizes["Pss:"], sizes["Private_Dirty:"]


def mean(pids: Iterable[Iterable[int]]) -> dict[str, float]:
    """The average of groups of processes: KiB for each group."""
    sums = [tuple(map(sum, zip(*(memory(pid) for pid in group), strict=True))) for group in pids]
    return {
        "pss": sum(s[0] for s in sums) / len(sums),
        "private_dirty": sum(s[1] for s in sums) / len(sums),
        "of": len(sums),
    }


def up(home: Home, count: int, policy: str) -> list[dict[str, Any]]:
    """Brings idle pods up and says which processes hold the first ten."""
    home.kl(
        "pod",
        "up",
        "-",
        input="---\n".join(POD.format(number=n, policy=policy) for n in range(count)),
    )
    return [
        json.loads(home.kl("pod", "inspect", f"p{n}"))["sandbox"] for n in range(min(count, 10))
    ]


def idle_pods(count: int) -> dict[str, Any]:
    """shim + pause of idle pods."""
    home = Home()
    try:
        processes = up(home, count, "Never")
        time.sleep(0.5)
        return mean((pod["shim"], pod["pause"]) for pod in processes)
    finally:
        home.close()


def idle_agent(count: int, seconds: float) -> dict[str, Any]:
    """The node agent with so many pods: KiB resident, and how often it woke and what it wrote while
    nothing happened.
    """
    home = Home()
    try:
        up(home, count, "Always")
        time.sleep(3)
        pid = home.agent()
        before = _activity(pid)
        time.sleep(seconds)
        after = _activity(pid)
        resident = next(
            line
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith("VmRSS")
        )
        pss, dirty = memory(pid)
        return {
            "pods": count,
            "rss": int(resident.split()[1]),
            "pss": pss,
            "private_dirty": dirty,
            "wakeups": after[0] - before[0],
            "bytes_written": after[1] - before[1],
            "seconds": seconds,
        }
    finally:
        home.close()


def _activity(pid: int) -> tuple[int, int]:
    """Voluntary context switches of all threads, and bytes written."""
    switches = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        line = next(
            line for line in status.read_text().splitlines() if line.startswith("voluntary")
        )
        switches += int(line.split()[1])
    written = next(
        line
        for line in Path(f"/proc/{pid}/io").read_text().splitlines()
        if line.startswith("wchar")
    )
    return switches, int(written.split()[1])


def peer(started: AbstractContextManager[list[int]]) -> dict[str, Any] | str:
    """What each of a peer's processes takes; why, where it does not run here."""
    try:
        with started as pids:
            time.sleep(0.5)
            return mean([pid] for pid in pids)
    except (Unavailable, BenchError) as error:
        return str(error)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=10)
    parser.add_argument("--agent-pods", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    site = Site()
    try:
        site.build()
        results = {
            "shim + pause, per idle pod": idle_pods(given.pods),
            "conmon, per container": peer(conmons(site, given.pods)),
            "containerd-shim, per container": peer(shims(site, given.pods)),
            "node agent": idle_agent(given.agent_pods, given.seconds),
        }
    finally:
        site.close()
    for name, result in results.items():
        figures = (
            result
            if isinstance(result, str)
            else "  ".join(f"{key} {value:.0f}" for key, value in result.items())
        )
        print(f"{name:<32} {figures}")
    if given.json:
        given.json.write_text(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BenchError, OSError) as error:
        sys.exit(f"bench/memory: {error}")
