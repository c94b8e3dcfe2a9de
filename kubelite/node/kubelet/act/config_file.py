"""The file ``node.json`` in the state root: the settings of the node."""

from __future__ import annotations

import msgspec

from kubelite.node.kubelet.decide.node_config import NodeConfig
from kubelite.node.runtime.home import Home


def read(home: Home) -> NodeConfig:
    """The settings; Kubernetes' defaults where the file is missing or invalid."""
    try:
        return _decoded(home)
    except (OSError, msgspec.DecodeError):
        return NodeConfig()


def fault(home: Home) -> str:
    """Why the file counts for nothing, as a sentence; empty where it is valid or missing."""
    try:
        _decoded(home)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{_path(home)} cannot be read: {error.strerror}"
    except msgspec.DecodeError as error:
        return f"{_path(home)} is not valid: {error}"
    return ""


def _decoded(home: Home) -> NodeConfig:
    """Raises OSError, msgspec.DecodeError."""
    with open(_path(home), "rb") as file:
        return msgspec.json.decode(file.read(), type=NodeConfig)


def _path(home: Home) -> str:
    return f"{home.root}/node.json"
