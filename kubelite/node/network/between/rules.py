"""The nftables table of the VXLAN: its text for libnftables. Pure.

It lives as long as the VXLAN interface, with or without pods here. It is filled without being
removed: whoever watches for tables that others remove would take that for such a removal.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubelite.node.network import names
from kubelite.node.network.between.ways import VXLAN_PORT
from kubelite.objects.facts import pod_ranges

_TABLE = """
table inet {table} {{
    set nodes {{
        type ipv4_addr
    }}
    chain arriving {{
        type filter hook input priority 0
    }}
    chain leaving {{
        type nat hook postrouting priority 100
    }}
}}
flush set inet {table} nodes
flush chain inet {table} arriving
flush chain inet {table} leaving
add rule inet {table} arriving udp dport {port} @th,96,24 {vni} ip saddr != @nodes drop
add rule inet {table} leaving oifname "{tunnel}" ip saddr != {pods} masquerade
add rule inet {table} leaving oifname "{tunnel}" ip6 saddr != {pods6} masquerade
"""


def table(key: str, vni: int, nodes: Iterable[str]) -> str:
    """The table, made or filled anew.

    Only the other nodes may send into the VXLAN. What this machine itself sends to their pods, as a
    client of a Service does with an address of the uplink, goes under the address that it has among
    pods: the answer could not return through the VXLAN otherwise.
    """
    name = names.tunnel_table(key)
    text = _TABLE.format(
        table=name,
        port=VXLAN_PORT,
        vni=f"{vni:#x}",
        tunnel=names.tunnel(key),
        pods=pod_ranges.pool(),
        pods6=pod_ranges.ipv6_pool(),
    )
    listed = ", ".join(sorted(nodes))
    return text + (f"add element inet {name} nodes {{ {listed} }}\n" if listed else "")


def without_table(key: str) -> str:
    """Removes the table, if there is one."""
    name = names.tunnel_table(key)
    return f"add table inet {name}\ndelete table inet {name}\n"
