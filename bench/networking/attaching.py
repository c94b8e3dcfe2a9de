"""How long until a pod has its network: ours and the floor's in turns."""

import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from startup.site import compile_c

from kubelite.node.network.pod import PodNetwork
from kubelite.testing.netns import NetworkNamespace


def measure(work: Path, rounds: int) -> dict[str, float]:
    """Medians. Each namespace exists before, as it does when a sandbox has been started."""
    program = work / "network"
    compile_c(program, ["network.c", "net.c", "fail.c"])
    floor = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert floor.stdin is not None and floor.stdout is not None
    ours, theirs = [], []
    with tempfile.TemporaryDirectory(dir=work) as run:
        network = PodNetwork(run, "0ebe1c01", f"{run}/lock")
        network.prepare("kept", "bench/kept")  # the bridge and its table are there
        for number in range(rounds):
            floor.stdin.write(b".")
            floor.stdin.flush()
            theirs.append(int(floor.stdout.readline()) / 1e6)
            ours.append(_attach(network, f"p{number}"))
        network.remove_all()
    floor.stdin.close()
    floor.wait()
    return {
        "attach a pod, ms": statistics.median(ours),
        "floor: attach, ms": statistics.median(theirs),
    }


def _attach(network: PodNetwork, uid: str) -> float:
    with NetworkNamespace(loopback=False) as space:
        began = time.perf_counter()
        network.attach(network.prepare(uid, f"bench/{uid}"), space.fd)
        took = time.perf_counter() - began
        network.remove(uid)
    return took * 1e3
