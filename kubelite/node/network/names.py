"""Names of a home's kernel objects. Pure.

All contain the home's key, eight hexadecimal digits: a name shows its owner, and two homes never
collide. A port of the bridge is named after its pod's address, which only one pod of
the home has at a time.
"""

from __future__ import annotations

import re

POD_INTERFACE = "eth0"
_BRIDGE = re.compile(r"kl-[0-9a-f]{8}")
_TABLE = re.compile(r"kubelite-[0-9a-f]{8}")


def bridge(key: str) -> str:
    """The home's bridge."""
    return f"kl-{key}"


def port(key: str, address: str) -> str:
    """The host's end of a pod's interface: at most 15 characters, ``IFNAMSIZ`` and the NUL."""
    return f"kl-{key}-{address.rpartition('.')[2]}"


def table(key: str) -> str:
    """The home's nftables table, of family ``ip``."""
    return f"kubelite-{key}"


def tunnel(key: str) -> str:
    """The VXLAN interface to other nodes; no port is called so."""
    return f"{bridge(key)}-vx"


def tunnel_table(key: str) -> str:
    """The nftables table of the VXLAN, of family ``inet``."""
    return f"{table(key)}-vxlan"


def announcer(key: str, address: int) -> str:
    """The interface that has a load balancer's address: half of the key, and the address in
    hexadecimal, are what fits.
    """
    return f"{_announcers(key)}{address:08x}"


def is_announcer(name: str, key: str) -> bool:
    """Whether an interface has a load balancer's address for the home with this key."""
    return name.startswith(_announcers(key)) and len(name) == len(announcer(key, 0))


def _announcers(key: str) -> str:
    return f"lb-{key[:4]}"


def is_bridge(name: str) -> bool:
    """Whether an interface is the bridge of some home."""
    return _BRIDGE.fullmatch(name) is not None


def is_table(name: str) -> bool:
    """Whether an nftables table is that of some home."""
    return _TABLE.fullmatch(name) is not None
