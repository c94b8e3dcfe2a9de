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
    ours, both, theirs = [], [], []
    with tempfile.TemporaryDirectory(dir=work) as run:
        network = PodNetwork(run, "0ebe1c01", f"{run}/lock")
        # The bridge and its tables are there.
        network.prepare("kept", "bench/kept", dual_stack=True)
        for number in range(rounds):
            floor.stdin.write(b".")
            floor.stdin.flush()
            theirs.append(int(floor.stdout.readline()) / 1e6)
            ours.append(_attach(network, f"p{number}", dual_stack=False))
            both.append(_attach(network, f"b{number}", dual_stack=True))
        network.remove_all()
    floor.stdin.close()
    floor.wait()
    return {
        "attach a pod, ms": statistics.median(ours),
        "attach a pod of both families, ms": statistics.median(both),
        "floor: attach, ms": statistics.median(theirs),
    }


def _attach(network: PodNetwork, uid: str, *, dual_stack: bool) -> float:
    with NetworkNamespace(loopback=False) as space:
        began = time.perf_counter()
        network.attach(network.prepare(uid, f"bench/{uid}", dual_stack=dual_stack), space.fd)
        took = time.perf_counter() - began
        network.remove(uid)
    return took * 1e3
