"""python bench/density.py [--pods N] [--json FILE]: many idle pods on one machine.

How long one command takes to bring them up, what each holds in memory with everything counted, and
whether `pod ls`, and `pod up` and `pod down` of one pod more, take longer beside them than alone.
The pods execute a program that only pauses; commands go through the launcher and a warm process.
Works in namespaces of its own and removes what it made, also after Ctrl-C.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from startup.measure import BenchError, Unavailable
from startup.ours import ROOT, Engine, WarmCommand, manifest
from startup.site import Site

SAMPLES = 15
HOME = 250
"""Pods of one state root: its subnet has 253 addresses."""
_KERNEL = ("SUnreclaim", "KernelStack", "PageTables", "Percpu")
"""Lines of /proc/meminfo that pods add to: of the whole machine, so of what else runs there too."""


def _kernel_memory() -> int:
    """KiB that the kernel holds for processes, cgroups, mounts and sockets."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return sum(int(size) for name, size, *_ in lines if name.rstrip(":") in _KERNEL)


def _pss(pids: Iterable[str]) -> int:
    """KiB that processes hold, what several share divided among them."""
    total = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def _processes(root: str) -> list[str]:
    """The shims of this root and everything below them."""
    parents: dict[str, str] = {}
    shims = set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[place.name] = (place / "stat").read_text().rpartition(")")[2].split()[1]
            words = (place / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended
        if words[0].endswith(b"kubelite-shim") and root.encode() in words:
            shims.add(place.name)

    def is_below(pid: str) -> bool:
        while pid in parents:
            if pid in shims:
                return True
            pid = parents[pid]
        return False

    return [pid for pid in parents if is_below(pid)]


def _medians(command: WarmCommand, label: str) -> dict[str, float]:
    """Milliseconds of the commands on one pod, beside those that there are."""
    samples: dict[str, list[float]] = {"up": [], "ls": [], "down": []}
    for _ in range(SAMPLES):
        for mark, nanoseconds in command.once().items():
            samples[mark].append(nanoseconds / 1e6)
    return {f"{mark} {label}, ms": statistics.median(times) for mark, times in samples.items()}


def _manifests(site: Site, count: int) -> list[Path]:
    """Files with so many pods, at most HOME in each."""
    files = []
    for start in range(0, count, HOME):
        numbers = range(start, min(start + HOME, count))
        files.append(site.work / f"idle-{start}.yaml")
        pods = (manifest(site, f"idle-{number}", ("one",)) for number in numbers)
        files[-1].write_text("---\n".join(pods))
    return files


def _timed(command: WarmCommand, root: Path, verb: str, file: Path) -> float:
    """Seconds that a command on the pods of a file takes."""
    return command.timed("--root", str(root), "pod", verb, str(file)) / 1e9


def measure(site: Site, count: int, note: Callable[[str], None]) -> dict[str, float]:
    """The figures by what they are of. Raises BenchError, Unavailable."""
    command = WarmCommand(site)
    homes: list[Engine] = []
    try:
        command.prepare()
        note("one pod alone")
        figures = _medians(command, "alone")
        note(f"{count} pods")
        before = _kernel_memory()
        files = _manifests(site, count)
        for number in range(1, len(files)):
            homes.append(Engine(site, f"home-{number}"))
            homes[-1].prepare()
        roots = [command.root, *(home.root for home in homes)]
        placed = list(zip(roots, files, strict=True))
        took = sum(_timed(command, root, "up", file) for root, file in placed)
        pids = [pid for root in roots for pid in _processes(str(root))]
        figures |= {
            f"up of {count}, s": took,
            "up of each, ms": took * 1000 / count,
            "processes of a pod, KiB": _pss(pids) / count,
            "kernel for a pod, KiB": (_kernel_memory() - before) / count,
        }
        note("one pod beside them")
        figures |= _medians(command, f"beside {min(count, HOME)}")
        figures[f"down of {count}, s"] = sum(
            _timed(command, root, "down", file) for root, file in placed
        )
        return figures
    finally:
        for home in homes:
            home.cleanup()
        command.cleanup()


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/density", description=__doc__)
    parser.add_argument("--pods", type=int, default=500, metavar="N", help="default 500")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    given = parser.parse_args()
    if os.geteuid() != 0:
        print("bench/density: making namespaces and cgroups needs root", file=sys.stderr)
        return 1
    sys.path.insert(0, str(ROOT))  # the checkout that this file lies in is what is measured
    site = Site()
    try:
        site.build()
        figures: dict[str, Any] = measure(
            site, given.pods, lambda what: print(f"{what} ...", file=sys.stderr)
        )
    finally:
        site.close()
    width = max(map(len, figures))
    print("\n".join(f"{name:<{width}}  {value:>10,.1f}" for name, value in figures.items()))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BenchError, Unavailable, OSError) as error:
        sys.exit(f"bench/density: {error}")
