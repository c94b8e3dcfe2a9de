"""Where CNI plug-ins and their configuration lie. Pure."""

from __future__ import annotations

import msgspec

DEFAULT_BIN = "/usr/lib/cni:/opt/cni/bin"
"""Where Debian's package puts plug-ins, and where the networks of Kubernetes put theirs."""


class Directories(msgspec.Struct, frozen=True):
    """The directory of the configuration, and those of the plug-ins with colons between them."""

    conf: str
    bin: str = DEFAULT_BIN
