"""Pods come and go by the thousand in one process: nothing grows and nothing is left.

KUBELITE_CHURN says how many; ``make churn`` takes 100,000, a week of a busy machine.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.runtime.home import Home
from kubelite.objects.pod.pod import Pod
from kubelite.objects.rules.pods import defaults
from kubelite.testing.host import difference, snapshot
from tests.crash.crashworld import quiet
from tests.e2e.world import SLOW

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
PODS = int(os.environ.get("KUBELITE_CHURN", "60")) // SLOW
WARM = 20
GROWTH = 4 << 20
"""Bytes by which the process may grow and still be called flat."""


def made(number: int) -> Pod:
    """One of three pods: one that ends, one that runs, and one with init container and volumes."""
    main = {"name": "c", "image": "host", "command": ["sh", "-c", f"echo {number}"]}
    spec: dict[str, Any] = {"restartPolicy": "Never", "containers": [main]}
    if number % 3:
        main["command"] = ["sleep", "1000"]
    if number % 3 == 2:
        main["volumeMounts"] = [{"name": name, "mountPath": f"/{name}"} for name in ("m", "d")]
        memory = {"name": "m", "emptyDir": {"medium": "Memory"}}
        spec["volumes"] = [memory, {"name": "d", "emptyDir": {}}]
        spec["initContainers"] = [{"name": "i", "image": "host", "command": ["true"]}]
    document = {"metadata": {"name": "p"}, "spec": spec}
    defaults.pod(document)
    return msgspec.convert(document, Pod)


def resident() -> int:
    """Bytes of anonymous memory that this process holds."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) << 10  # type: ignore[index]


def test_pods_come_and_go(tmp_path: Path) -> None:
    root = tmp_path / "k"
    before, began = snapshot(root), time.monotonic()
    pods = Pods(Home(str(root)))
    held: tuple[int, int] = (0, 0)
    for number in range(WARM + PODS):
        if number == WARM:
            held = resident(), len(os.listdir("/proc/self/fd"))
        pods.up(made(number), report=quiet)
        pods.down("default", "p", grace=0, report=quiet)
    grown = resident() - held[0]
    print(f"{PODS} pods in {time.monotonic() - began:.0f} s, grown by {grown >> 10} KiB")
    assert len(os.listdir("/proc/self/fd")) == held[1]
    assert grown < GROWTH
    assert difference(before, snapshot(root)) == []


test_pods_come_and_go.seconds = 60 + PODS  # type: ignore[attr-defined]
