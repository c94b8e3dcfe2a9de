"""The home's firewall table: its text for libnftables, and the parser of its JSON. Pure.

One table of family ``ip`` per home, made with the bridge and never changed: a host port is one
element of a map. Where pods have IPv6 addresses there is one of family ``ip6`` beside it.

    map hostports   protocol . port            -> pod address . port      any address of the host
    map hostips     address . protocol . port  -> pod address . port      one address of the host
    set peers       prefix                        pods of other nodes, which see our addresses
    set hairpin     address . address             pods that may call themselves through a host port
    set sources     link-layer address . address  what each port of the bridge may send from

What is written is nft's own language: the JSON of libnftables 1.0.6 cannot say a map to two values
at once. What is read is JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kubelite.node.network import ipam, names
from kubelite.node.network.families import IPV4, IPV6, Family
from kubelite.node.network.ports import ANY, Held, HostPort
from kubelite.objects.facts.pod_ranges import (
    IPV6_PREFIX,
    LINK_LAYER_UPPER,
    PREFIX,
    ipv6,
    ipv6_range,
)

LIST_MAPS = "list maps ip"
_BY_NUMBER = {"6": "TCP", "17": "UDP", "132": "SCTP"}
"""As libnftables lists protocols on a machine without /etc/protocols (IANA, "Protocol Numbers")."""
_TABLE = """
create table {ip} {table}
table {ip} {table} {{
    map hostports {{
        type inet_proto . inet_service : {address} . inet_service
    }}
    map hostips {{
        type {address} . inet_proto . inet_service : {address} . inet_service
    }}
    set hairpin {{
        type {address} . {address}
    }}
    set peers {{
        type {address}
        flags interval
    }}
    set sources {{
        type ether_addr . {address}
        elements = {{ {sources} }}
    }}
    chain martians {{
        type filter hook prerouting priority -300
        iifname "{bridge}" {ip} saddr {loopback} drop
        iifname "{bridge}" {ip} daddr {loopback} drop
        iifname "{bridge}" ether saddr . {ip} saddr != @sources drop
    }}
    chain forwarding {{
        type filter hook forward priority 0
        {forwarding}
    }}
    chain ports {{
        dnat {ip} to {ip} daddr . meta l4proto . th dport map @hostips
        fib daddr type local dnat {ip} to meta l4proto . th dport map @hostports
    }}
    chain arriving {{
        type nat hook prerouting priority -100
        jump ports
    }}
    chain local {{
        type nat hook output priority -100
        jump ports
    }}
    chain leaving {{
        type nat hook postrouting priority 100
        {ip} saddr {subnet} {ip} daddr @peers return
        {ip} saddr {subnet} oifname != "{bridge}" masquerade
        {ip} saddr . {ip} daddr @hairpin ct status dnat masquerade
        {ip} saddr {loopback} oifname "{bridge}" masquerade
    }}
}}
"""


def table(key: str, subnet: int, uplinks: Sequence[str] = (), family: Family = IPV4) -> str:
    """The table, in one transaction that fails when there is one: to replace it, put
    :func:`without_table` before. Taking a table away, even one that was not there, costs the kernel
    ten times what making one does.

    Traffic of pods leaves under the host's address. So does that of a pod to itself through a port
    of the host, and that from the host's loopback: the answer has to come back here to be
    translated. Between two pods it comes back by itself, since pods route by the host.

    A pod sends from its own address only. Packets from one of the ``uplinks`` to another are
    dropped: kubelite has turned on forwarding for pods, not for the neighbours of this machine.
    """
    values = {
        "table": names.table(key),
        "bridge": names.bridge(key),
        "ip": family.nft,
        "address": family.type,
        "loopback": family.loopback,
        "subnet": f"{_text(subnet, family)}/{PREFIX if family is IPV4 else IPV6_PREFIX}",
        "sources": ", ".join(_source(address, family) for address in ipam.addresses(subnet)),
        "forwarding": _refuse_transit(uplinks),
    }
    return _TABLE.format(**values)


def _text(address: int, family: Family) -> str:
    return ipam.text(address) if family is IPV4 else ipv6(address)


def _source(address: int, family: Family) -> str:
    """The link-layer address that csrc/module/net.c gives to a pod, and the pod's address."""
    hardware = (LINK_LAYER_UPPER + address.to_bytes(4, "big")).hex(":")
    return f"{hardware} . {_text(address, family)}"


def _refuse_transit(uplinks: Sequence[str]) -> str:
    if not uplinks:
        return ""
    names = ", ".join(f'"{name}"' for name in uplinks)
    return f"iifname {{ {names} }} oifname {{ {names} }} drop"


def peers(key: str, ranges: Iterable[str], family: Family = IPV4) -> str:
    """Makes these the ranges of other nodes' pods; given are those of IPv4."""
    name = f"{family.nft} {names.table(key)} peers"
    listed = ", ".join(sorted(ranges if family is IPV4 else map(ipv6_range, ranges)))
    added = f"add element {name} {{ {listed} }}\n" if listed else ""
    return f"flush set {name}\n{added}"


def without_table(key: str, family: Family = IPV4) -> str:
    """Removes the table, if there is one."""
    table = f"{family.nft} {names.table(key)}"
    return f"add table {table}\ndelete table {table}\n"


def open_ports(key: str, addresses: Iterable[str], ports: Sequence[HostPort]) -> str:
    """Adds the host ports of the pod with these addresses, one of each family at most, in one
    transaction; existing ones are no error.
    """
    return "".join(f"add element {element}\n" for element in _elements(key, addresses, ports))


def close_ports(key: str, addresses: Iterable[str], ports: Sequence[HostPort]) -> str:
    """The reverse. Each is added before it is deleted: deleting a missing one is an error."""
    elements = _elements(key, addresses, ports)
    return "".join(f"add element {element}\ndelete element {element}\n" for element in elements)


def _elements(key: str, addresses: Iterable[str], ports: Sequence[HostPort]) -> list[str]:
    result = []
    for address in addresses:
        family = IPV6 if IPV6.has(address) else IPV4
        table = f"{family.nft} {names.table(key)}"
        result.append(f"{table} hairpin {{ {address} . {address} }}")
        own = (port for port in ports if port.host_ip == ANY or family.has(port.host_ip))
        result += [f"{table} {_element(address, port)}" for port in own]
    return result


def _element(address: str, port: HostPort) -> str:
    target = f"{address} . {port.container_port}"
    source = f"{port.protocol.lower()} . {port.host_port}"
    if port.host_ip == ANY:
        return f"hostports {{ {source} : {target} }}"
    return f"hostips {{ {port.host_ip} . {source} : {target} }}"


def foreign_ports(listing: str, key: str) -> list[Held]:
    """The host ports of other homes, from the answer to :data:`LIST_MAPS`."""
    import json  # a command that starts one pod does not need it

    held = []
    for entry in json.loads(listing)["nftables"]:
        item = entry.get("map", {})
        owner = item.get("table", "")
        if names.is_table(owner) and owner != names.table(key):
            held += [_held(item["name"], pair, owner) for pair in item.get("elem", ())]
    return held


def _held(name: str, pair: list[dict[str, Any]], owner: str) -> Held:
    *ip, protocol, port = pair[0]["concat"]
    target = pair[1]["concat"]
    what = HostPort(
        host_port=port,
        container_port=target[1],
        protocol=_BY_NUMBER.get(str(protocol), str(protocol).upper()),
        host_ip=ip[0] if name == "hostips" else ANY,
    )
    return Held(what, f"a pod of another kubelite (nftables table {owner})")
