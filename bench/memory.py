"""Memory of what holds an idle pod: shim and pause, beside conmon and containerd-shim where they are installed.

    python bench/memory.py [--pods 10] [--json FILE]

PSS and private dirty memory from /proc/PID/smaps_rollup, averaged over idle pods; peers are measured the same way, conmon
under a container that sleeps and containerd-shim serving nothing. Then the node agent with many pods: what it holds, and
whether it sleeps.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
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
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        key, value, *_ = line.split()
        found[key] = int(value)
    return found["Pss:"], found["Private_Dirty:"]


def mean(pids: Iterable[Iterable[int]]) -> dict[str, float]:
    """The average of groups of processes: KiB for each group."""
    sums = [tuple(map(sum, zip(*(memory(pid) for pid in group), strict=True))) for group in pids]
    return {"pss": sum(s[0] for s in sums) / len(sums), "private_dirty": sum(s[1] for s in sums) / len(sums), "of": len(sums)}


class Home:
    """A kubelite of its own in a temporary root."""

    def __init__(self) -> None:
        self.root = tempfile.mkdtemp(prefix="kubelite-memory-")
        self.env = {**os.environ, "KUBELITE_ROOT": self.root, "PYTHONPATH": str(ROOT)}

    def kl(self, *words: str, input: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "kubelite", *words], input=input, env=self.env, capture_output=True, text=True, check=True
        )
        return done.stdout

    def up(self, count: int, policy: str) -> list[dict[str, Any]]:
        self.kl("pod", "up", "-", input="---\n".join(POD.format(number=n, policy=policy) for n in range(count)))
        return [json.loads(self.kl("pod", "inspect", f"p{n}"))["sandbox"] for n in range(min(count, 10))]

    def agent(self) -> int:
        return int((json.loads(self.kl("system", "info", "-o", "json"))["agent"] or {}).get("pid", 0))

    def close(self) -> None:
        self.kl("system", "reset", "--yes")
        shutil.rmtree(self.root, ignore_errors=True)


def idle_pods(count: int) -> dict[str, Any]:
    """shim + pause of idle pods."""
    home = Home()
    try:
        found = home.up(count, "Never")
        time.sleep(0.5)
        return mean((each["shim"], each["pause"]) for each in found)
    finally:
        home.close()


def idle_agent(count: int, seconds: float) -> dict[str, Any]:
    """The node agent with so many pods: KiB resident, and how often it woke and what it wrote while nothing happened."""
    home = Home()
    try:
        home.up(count, "Always")
        time.sleep(3)
        pid = home.agent()
        before = _activity(pid)
        time.sleep(seconds)
        after = _activity(pid)
        resident = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
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
        line = next(line for line in status.read_text().splitlines() if line.startswith("voluntary"))
        switches += int(line.split()[1])
    written = next(line for line in Path(f"/proc/{pid}/io").read_text().splitlines() if line.startswith("wchar"))
    return switches, int(written.split()[1])


def conmon(count: int) -> dict[str, Any] | None:
    """conmon above containers that sleep, as podman starts it: with a runtime that only makes a process."""
    program = shutil.which("conmon")
    if program is None:
        return None
    place = Path(tempfile.mkdtemp(prefix="kubelite-conmon-"))
    runtime = place / "runtime"
    runtime.write_text(
        '#!/bin/sh\nwhile [ $# -gt 0 ]; do case "$1" in --pid-file) shift; file=$1;; esac; shift; done\n'
        'sleep 1000 </dev/null >/dev/null 2>&1 &\necho $! > "$file"\n'
    )
    runtime.chmod(0o755)
    try:
        for number in range(count):
            base = place / str(number)
            base.mkdir()
            words = [program, "-c", f"c{number}", "-u", f"c{number}", "-r", str(runtime), "-b", str(base)]
            words += ["-p", str(base / "pid"), "--exit-dir", str(base), "-l", f"k8s-file:{base}/log", "--sync"]
            subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        time.sleep(1)
        found = _named("conmon", str(place))
        return mean((pid,) for pid in found) if found else None
    finally:
        for pid in (*_named("conmon", str(place)), *(int(p.read_text()) for p in place.glob("*/pid") if p.read_text().strip())):
            _kill(pid)
        shutil.rmtree(place, ignore_errors=True)


def containerd_shim() -> dict[str, Any] | None:
    """containerd-shim-runc-v2 serving its socket and nothing else: less than it takes with a container."""
    program = shutil.which("containerd-shim-runc-v2")
    if program is None:
        return None
    place = Path(tempfile.mkdtemp(prefix="kubelite-shim-"))
    words = [program, "-namespace", "bench", "-id", f"bench-{os.getpid()}", "-address", f"{place}/containerd.sock"]
    try:
        (place / "config.json").write_text('{"ociVersion": "1.0.2", "annotations": {}}')
        subprocess.run([*words, "start"], cwd=place, capture_output=True, timeout=10, check=False, input=b"")
        time.sleep(1)
        found = _named("containerd-shim", f"bench-{os.getpid()}")
        return mean((pid,) for pid in found) if found else None
    finally:
        for pid in _named("containerd-shim", f"bench-{os.getpid()}"):
            _kill(pid)
        shutil.rmtree(place, ignore_errors=True)


def _named(program: str, word: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if program in line.partition(b"\0")[0].decode(errors="replace") and word.encode() in line:
                found.append(int(entry.name))
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        return


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=10)
    parser.add_argument("--agent-pods", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results = {
        "shim + pause, per idle pod": idle_pods(given.pods),
        "conmon, per container": conmon(given.pods),
        "containerd-shim, per pod": containerd_shim(),
        "node agent": idle_agent(given.agent_pods, given.seconds),
    }
    for name, found in results.items():
        figures = "  ".join(f"{key} {value:.0f}" for key, value in (found or {}).items())
        print(f"{name:<28} {figures or 'not measured: not installed, or it does not start here'}")
    if given.json:
        given.json.write_text(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
