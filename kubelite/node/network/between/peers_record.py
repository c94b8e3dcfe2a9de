"""What is on record of the ways to the pods of other nodes."""

from __future__ import annotations

import msgspec

from kubelite.lib.files import RecordError, read_record
from kubelite.node.network import bridge
from kubelite.node.network.between.ways import Tunnel, Way


class PeersRecord(msgspec.Struct, kw_only=True):
    """The range that the cluster has assigned to this node, the ways to the ranges of the others,
    and the VXLAN interface where it is complete.
    """

    version: int = 1
    range: str = ""
    ways: dict[str, Way] = {}
    tunnel: Tunnel | None = None

    @property
    def max_mtu(self) -> int:
        """What packets of pods may have at most."""
        return bridge.MAX_MTU if self.tunnel is None else self.tunnel.mtu


def path(run: str) -> str:
    """Where it lies in the run directory ``run``."""
    return f"{run}/peers.json"


def read(run: str) -> PeersRecord:
    """The record of the home with this run directory; an empty one where this machine is in no
    cluster.
    """
    try:
        return read_record(path(run), PeersRecord)
    except (FileNotFoundError, RecordError):
        return PeersRecord()
