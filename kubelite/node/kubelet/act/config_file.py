"""The file ``node.json`` in the state root: the settings of the node."""

from __future__ import annotations

import msgspec

from kubelite.node.kubelet.decide.node_config import NodeConfig
from kubelite.node.runtime.home import Home


def read(home: Home) -> NodeConfig:
    """The settings; Kubernetes' defaults where the file is missing or invalid."""
    try:
        with open(f"{home.root}/node.json", "rb") as file:
            return msgspec.json.decode(file.read(), type=NodeConfig)
    except (OSError, msgspec.DecodeError):
        return NodeConfig()
