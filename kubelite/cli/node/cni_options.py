"""Where pods get their network from, as nodes and `pod up` can be told."""

from __future__ import annotations

import os
from typing import Annotated

from kubelite.cli.common.command import Option
from kubelite.node.network.cni.directories import Directories

CniConfDir = Annotated[
    str | None,
    Option(
        "--cni-conf-dir",
        "Give pods the network that CNI configuration in this directory asks for.",
        "DIR",
    ),
]
CniBinDir = Annotated[
    str, Option("--cni-bin-dir", "Where the CNI plug-ins are, with : between.", "DIRS")
]


def cni_directories(conf: str | None, bin: str) -> Directories | None:
    """The directories of CNI plug-ins; None where pods get kubelite's own network."""
    return Directories(os.path.abspath(conf), bin) if conf else None
