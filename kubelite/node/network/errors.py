"""What can go wrong with a pod's network. Pure.

NetworkError        one sentence; ``hint`` where there is something to try
├── PortTaken       a port of the host is in use
├── PortRefused     a port of the host that nobody could serve: protocol or address
├── NoAddress       no subnet, or no address in it, is free
├── NoFirewall      libnftables or the kernel's nf_tables is missing
├── FirewallRefused nftables does not take a change: something is there already, or is not
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
    """Another pod or process holds a port that this one wants."""


class PortRefused(NetworkError):
    """A hostPort that cannot be given to any pod of this machine."""


class NoAddress(NetworkError):
    """The address range is used up."""


class NoFirewall(NetworkError):
    """Nothing can translate addresses on this machine."""


class FirewallRefused(NetworkError):
    """A transaction that the kernel did not carry out; nothing of it was done."""


class NameTooLong(NetworkError):
    """A hostname has at most 64 characters (``HOST_NAME_MAX``)."""
