"""How long until a pod has its network: ours, the floor's and that of CNI's plug-in bridge, in
turns.
"""

import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from startup.site import compile_c

from kubelite.node.network.cni import DEFAULT_BIN, config, plugins, requests
from kubelite.node.network.errors import PluginFailed
from kubelite.node.network.pod import PodNetwork
from kubelite.testing.netns import NetworkNamespace


def measure(work: Path, rounds: int) -> dict[str, float]:
    """Medians. Each namespace exists before, as it does when a sandbox has been started."""
    program = work / "network"
    compile_c(program, ["network.c", "net.c", "fail.c"])
    floor = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert floor.stdin is not None and floor.stdout is not None
    ours, both, theirs, by_plugin = [], [], [], []
    peer = Plugin(work)
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
            if peer.program:
                by_plugin.append(peer.attach(f"p{number}"))
        network.remove_all()
    floor.stdin.close()
    floor.wait()
    peers = {"peer: attach by the CNI plug-in bridge, ms": statistics.median(by_plugin)}
    return (peers if by_plugin else {}) | {
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


class Plugin:
    """The plug-in bridge with host-local addresses, as a runtime executes it; ``program`` is ""
    where it is not installed. It masquerades nothing: our table for that is made once for all pods.
    """

    def __init__(self, work: Path) -> None:
        ipam = {
            "type": "host-local",
            "dataDir": str(work / "leases"),
            "ranges": [[{"subnet": "10.77.0.0/16"}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        bridge = {"type": "bridge", "bridge": "cnibench0", "isGateway": True, "ipam": ipam}
        document = {"cniVersion": "1.0.0", "name": "bench", "plugins": [bridge]}
        self._network = config.parse("bench", json.dumps(document).encode())
        try:
            self.program = plugins.find(self._network, "bridge", DEFAULT_BIN)
        except PluginFailed:
            self.program = ""

    def attach(self, id: str) -> float:
        """Milliseconds of an ADD; the DEL is not measured."""
        with NetworkNamespace(loopback=False) as space:
            netns = f"/proc/{os.getpid()}/fd/{space.fd}"
            began = time.perf_counter()
            self._run(requests.ADD, id, netns)
            took = time.perf_counter() - began
            self._run(requests.DEL, id, netns)
        return took * 1e3

    def _run(self, command: str, id: str, netns: str) -> None:
        told = requests.plugin_config(self._network, self._network.plugins[0])
        variables = requests.environment(command, DEFAULT_BIN, id, "", netns)
        plugins.run(self._network, self.program, variables, told)
