"""CNI networks for tests: of Debian's plug-ins, and of plug-ins that the test has written."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.testing.uplink import FORWARDING, FORWARDING6

BIN = "/usr/lib/cni"


class Site:
    """Configuration and leases of a network whose bridge is named ``bridge``."""

    def __init__(
        self, folder: Path, bridge: str = "cnitest0", subnet: str = "10.88.7.0/24"
    ) -> None:
        self.conf, self.leases, self.bin = folder / "net.d", folder / "leases", folder / "bin"
        self.bridge, self.subnet = bridge, subnet
        # The plug-in bridge turns it on, and nobody off again.
        self._forwarding = {path: path.read_text() for path in (FORWARDING, FORWARDING6)}
        for path in self._forwarding:
            path.write_text("1")
        self.conf.mkdir(parents=True)
        self.bin.mkdir()

    @property
    def path(self) -> str:
        """The value of --cni-bin-dir: the test's own plug-ins before Debian's."""
        return f"{self.bin}:{BIN}"

    def configure(
        self,
        *after: dict[str, Any],
        subnets: Sequence[str] = (),
        version: str = "1.0.0",
        **fields: Any,
    ) -> None:
        """A bridge with host-local addresses, of ``subnets`` too, then the plug-ins ``after``."""
        first = {
            "type": "bridge",
            "bridge": self.bridge,
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "dataDir": str(self.leases),
                "ranges": [[{"subnet": subnet}] for subnet in (self.subnet, *subnets)],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
        self.write([first, *after], version=version, **fields)

    def write(self, plugins: list[dict[str, Any]], **fields: Any) -> None:
        document = {"cniVersion": "1.0.0", "name": "tests", "plugins": plugins}
        document |= {"cniVersion": fields.pop("version", "1.0.0"), **fields}
        (self.conf / "10-tests.conflist").write_text(json.dumps(document))

    def plugin(self, name: str, script: str) -> None:
        """A plug-in of the test's own, in sh."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def leased(self) -> list[str]:
        """The addresses that host-local has given away."""
        return sorted(path.name for path in self.leases.glob("*/[0-9]*"))

    def ports(self) -> list[str]:
        """What is plugged into the bridge."""
        command = ["ip", "-j", "link", "show", "master", self.bridge]
        listed = subprocess.run(command, capture_output=True, text=True)
        return sorted(link["ifname"] for link in json.loads(listed.stdout or "[]"))

    def rules(self) -> list[str]:
        """The rules that plug-ins have made for pods; those for all pods are left out."""
        listed = "".join(
            subprocess.run([command], capture_output=True, text=True, check=True).stdout
            for command in ("iptables-save", "ip6tables-save")
        )
        return [line for line in listed.splitlines() if 'id: \\"' in line]

    def left(self) -> list[str]:
        """Everything that there is of pods."""
        return [*self.leased(), *self.ports(), *self.rules()]

    def remove_bridge(self) -> None:
        """Plug-ins leave it for the next pod."""
        subprocess.run(["ip", "link", "delete", self.bridge], capture_output=True)

    def close(self) -> None:
        """Removes what plug-ins leave on the host."""
        self.remove_bridge()
        for path, text in self._forwarding.items():
            path.write_text(text)
