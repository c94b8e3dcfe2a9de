"""python bench/network.py [--rounds N] [--seconds S] [--json FILE]: what a node's network costs.

Everything is measured beside its floor, in turns, in a network namespace of its own: the network of
a pod beside a C program that makes one, traffic beside a plain veth pair, the name server beside an
echo. Needs root, a C compiler and ip(8); leaves nothing behind.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from networking import attaching, names, services, traffic
from networking.report import as_json, as_text

from kubelite.core import native
from kubelite.node.network import ipam
from kubelite.testing.netns import NetworkNamespace

COUNTS = (1000, 10000)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="pods and changes measured")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each turn of traffic")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("network namespaces need root")
    figures: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        NetworkNamespace() as host,
        host.inside(),
    ):
        native.net_bridge("up0", ipam.number("192.0.2.1"), 24)
        subprocess.run(["ip", "route", "add", "default", "via", "192.0.2.9"], check=True)
        work = Path(folder)
        figures |= attaching.measure(work, options.rounds)
        figures |= traffic.measure(work, 5, options.seconds)
        for count in COUNTS:
            figures |= services.measure_updates(count, options.rounds)
        figures |= services.measure_first_packet(work, options.rounds // 2)
        figures |= names.measure(3, options.seconds)
    print(as_text(figures))
    if options.json:
        options.json.write_text(json.dumps(as_json(figures), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
