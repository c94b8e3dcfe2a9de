"""What can go wrong with a pod's network. Pure.

NetworkError        one sentence; ``hint`` where there is something to try
├── PortTaken       a port of the host is in use
├── PortRefused     an unsupported host port: its protocol or address
├── NoAddress       no subnet, or no address in it, is free
├── NoFirewall      libnftables or the kernel's nf_tables is missing
├── FirewallRefused nftables refuses a change: something exists already, or is missing
├── PluginFailed    a CNI plug-in, or the configuration of its network
└── NameTooLong     the pod's fully qualified name does not fit a hostname
"""

from __future__ import annotations


class NetworkError(Exception):
    """Root of this room's errors; raised itself where the kernel refuses a change."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class PortTaken(NetworkError):
    """Another pod or process uses a requested host port."""


class PortRefused(NetworkError):
    """A hostPort that no pod of this machine can have."""


class NoAddress(NetworkError):
    """No subnet or address is free."""


class NoFirewall(NetworkError):
    """This machine has no nftables."""


class FirewallRefused(NetworkError):
    """A refused transaction; no part of it was applied."""


class PluginFailed(NetworkError):
    """A CNI plug-in has failed, is missing or hangs, or no valid network is configured. ``code`` is
    the plug-in's own, 0 where it has given none.
    """

    def __init__(self, message: str, *, hint: str = "", code: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.code = code


class NameTooLong(NetworkError):
    """A hostname has at most 64 characters (``HOST_NAME_MAX``)."""
