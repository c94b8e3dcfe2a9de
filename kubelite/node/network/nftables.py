"""nftables through libnftables, without an ``nft`` process.

Each transaction applies to the network namespace of the calling thread.
"""

from __future__ import annotations

from kubelite.core import native
from kubelite.core.errors import NativeError
from kubelite.node.network.errors import FirewallRefused, NetworkError, NoFirewall

_HINT = "pods without hostPort run without it"
_NO_KERNEL_SUPPORT = ("not supported", "Protocol not", "netlink socket")


def run(commands: str) -> str:
    """Runs ``commands`` of nft(8) as one transaction; returns the JSON of what they list.

    Raises NoFirewall when the library or the kernel lacks nftables, FirewallRefused when the kernel
    refuses a change.
    """
    try:
        accepted, text = native.nft_run(commands)
    except NativeError as error:
        if error.code == "ENOENT":
            raise NoFirewall(
                "libnftables.so.1 is not installed, which address translation needs",
                hint="install it: apt-get install libnftables1",
            ) from None
        raise NoFirewall(str(error), hint=_HINT) from error
    if not accepted:
        raise _refusal(text)
    return text


def has_table(name: str, family: str = "ip") -> bool:
    """Whether there is a table of this family with this name. Raises NetworkError."""
    import json  # a command that starts one pod does not need it

    listed = json.loads(run(f"list tables {family}"))["nftables"]
    return any(entry.get("table", {}).get("name") == name for entry in listed)


def _refusal(complaint: str) -> NetworkError:
    """The error for a complaint of libnftables; its first line has the command and the errno."""
    lines = (line.strip() for line in complaint.splitlines())
    first = next((line for line in lines if line), "no reason given")
    reason = first.partition("Error: ")[2] or first
    if any(phrase in complaint for phrase in _NO_KERNEL_SUPPORT):
        return NoFirewall(f"this kernel has no nf_tables: {reason}", hint=_HINT)
    return FirewallRefused(f"nftables refuses a change: {reason}")
