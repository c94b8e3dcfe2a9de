"""The proxy's nftables table, and its content as elements of maps. Pure.

There is one table for each family of addresses, both alike.

The table is made once and its chains never change; a Service is elements, so that a change costs
the same whatever the number of Services:

    services         address . protocol . port         -> goto the chain for its number of slots
    node-ports                 protocol . port         -> the same, for every address of the node
    inner-services, inner-node-ports                   -> the same, for callers on the node
    endpoints        address . protocol . port . slot  -> endpoint address . port
    node-endpoints             protocol . port . slot  -> the same, for node ports
    hidden           address . protocol . port         callers get an address of this node
    node-hidden                protocol . port         the same, for node ports
    affinity-ids     address . protocol . port         -> number of a Service port with affinity
    affinity         client . number                   -> endpoint, learnt by the kernel, expires
                     (IPv6: their hash -> address)
    affinity-ports   IPv6: the same hash               -> port of the endpoint
    unserved         address . protocol . port         -> refuse or drop: there are no endpoints
    announced        address                           refuses what no Service serves there
    hairpin          address . address                 endpoints that may call themselves

A chain ``lb-N`` picks a slot below N at random, ``inner-N`` one from 1024 on. Up to 16 endpoints
have a slot each; more are spread over the next size, where some have one slot more than others.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kubelite.node.network import names
from kubelite.node.network.families import IPV4, Family
from kubelite.node.proxy.services import Endpoint, Frontend

SIZES = (*range(1, 17), 32, 64, 128, 256, 512, 1024)
"""How many slots a frontend can have. With 1024, a thousand endpoints each get one or two."""
INNER_OFFSET = SIZES[-1]
MASQUERADE_MARK = 0x4000
"""The packet mark that kube-proxy uses for the same purpose."""
ANY_BRIDGE = names.bridge("*")
_AFFINITY_MAPS = ("affinity", "affinity-ports")
AFFINITY_MARK = 0x4B000000
"""The upper byte of a connection mark that names a Service port with affinity."""


class Element(NamedTuple):
    """One element: the map or set it belongs to, and its key, as nft writes it."""

    collection: str
    key: str


Elements = dict[Element, str]
"""Elements with their values; the value of a set's element is empty."""


def table(name: str, family: Family = IPV4, bridge: str = ANY_BRIDGE) -> str:
    """The whole table without elements, as nft commands that replace any table of that name.

    Of pods only those behind ``bridge`` are served: those of another cluster in this network
    namespace have Services of their own, with the same addresses.
    """
    chains = "".join(_balancing_chains(size, family) for size in SIZES)
    content = f"{_collections(family)}{chains}{_hooks(family, bridge)}"
    return f"{without_table(name, family)}table {family.nft} {name} {{\n{content}}}\n"


def without_table(name: str, family: Family = IPV4) -> str:
    """Commands after which no table of that name exists."""
    return f"add table {family.nft} {name}\ndelete table {family.nft} {name}\n"


def affinity_chain(name: str, seconds: int, family: Family = IPV4) -> str:
    """Commands that make the chain which remembers a client's endpoint for ``seconds``."""
    ip = family.nft
    client = _client(family, "ct original ")
    chain = f"{ip} {name} remember-{seconds}"
    learnt = f"{ip} daddr . th dport" if family is IPV4 else f"{ip} daddr"
    updates = [f"update @affinity {{ {client} timeout {seconds}s : {learnt} }}"]
    if family is not IPV4:
        updates.append(f"update @affinity-ports {{ {client} timeout {seconds}s : th dport }}")
    rules = "".join(f"add rule {chain} {_PROTOCOLS} {update}\n" for update in updates)
    return f"add chain {chain}\nflush chain {chain}\n{rules}"


def affinity_maps(family: Family) -> tuple[str, ...]:
    """The names of the maps that the kernel fills with clients that have affinity."""
    return _AFFINITY_MAPS[:1] if family is IPV4 else _AFFINITY_MAPS


def elements(frontends: Iterable[Frontend]) -> Elements:
    """The elements that serve these frontends. The first of two equal frontends wins."""
    result: Elements = {}
    for frontend in frontends:
        for element, value in _elements(frontend).items():
            result.setdefault(element, value)
    return result


def hairpin_elements(addresses: Iterable[str]) -> Elements:
    """Elements for endpoints on this node: a connection to itself must come back through the
    node.
    """
    return {Element("hairpin", f"{address} . {address}"): "" for address in addresses}


def change(name: str, old: Elements, new: Elements, family: Family = IPV4) -> str:
    """Commands that turn ``old`` into ``new``: what goes first, then what comes, each collection
    once.
    """
    gone = [element for element, value in old.items() if new.get(element) != value]
    come = [element for element, value in new.items() if old.get(element) != value]
    deletions = _by_collection(gone)
    additions = _by_collection(come)
    lines = [
        f"delete element {family.nft} {name} {collection} {{ {', '.join(keys)} }}\n"
        for collection, keys in deletions.items()
    ]
    for collection, keys in additions.items():
        pairs = (_pair(key, new[Element(collection, key)]) for key in keys)
        lines.append(f"add element {family.nft} {name} {collection} {{ {', '.join(pairs)} }}\n")
    return "".join(lines)


Lost = Mapping[int, Collection[Endpoint]]
"""Endpoints that a Service port with affinity leads to no longer, by its connection mark."""


def lost_endpoints(before: Iterable[Frontend], after: Iterable[Frontend]) -> Lost:
    """What the clients of a Service must not stick to any more. Where there is no affinity left,
    that is everything: when it comes back, other endpoints may be gone.
    """
    kept = {affinity_id(frontend): frontend for frontend in after if frontend.affinity_seconds}
    lost: dict[int, Collection[Endpoint]] = {}
    for frontend in before:
        if not frontend.affinity_seconds:
            continue
        mark = affinity_id(frontend)
        new = kept.get(mark, frontend._replace(endpoints=(), inside=()))
        inside = set(_inside(frontend)) - set(_inside(new))
        if gone := inside | set(frontend.endpoints) - set(new.endpoints):
            lost[mark] = gone
    return lost


def _inside(frontend: Frontend) -> tuple[Endpoint, ...]:
    return frontend.inside or frontend.endpoints


def stale_affinity(listings: Sequence[str], lost: Lost) -> list[Element]:
    """Learnt elements that lead to endpoints that are lost. ``listings`` are the JSON of ``list
    map`` for each of :func:`affinity_maps`.

    An element of IPv4 is ``[{"elem": {"val": {"concat": [client, mark]}}}, {"concat": [address,
    port]}]``; those of IPv6 are ``[{"elem": {"val": hash}}, address]`` and the same with a port.
    A hash does not tell the Service port: there what one has lost counts for all.
    """
    everything = {endpoint for endpoints in lost.values() for endpoint in endpoints}
    maps = [dict(_learnt(listing)) for listing in listings]
    stale = []
    for key, target in maps[0].items():
        if len(maps) == 1:
            endpoint, gone = Endpoint(*target["concat"]), lost.get(int(key.split(" . ")[1]), ())
        else:
            endpoint, gone = Endpoint(target, maps[1].get(key, 0)), everything
        if endpoint in gone:
            stale += [Element(name, key) for name in _AFFINITY_MAPS[: len(maps)]]
    return stale


def _learnt(listing: str) -> Iterator[tuple[str, Any]]:
    """Keys, as nft writes them, and values."""
    import json  # only where a Service with affinity loses an endpoint

    for entry in json.loads(listing)["nftables"]:
        for element, target in entry.get("map", {}).get("elem", ()):
            key = (
                element.get("elem", {}).get("val", element)
                if isinstance(element, dict)
                else element
            )
            parts = key["concat"] if isinstance(key, dict) else [key]
            yield " . ".join(map(str, parts)), target


def slots(endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """The endpoints repeated to fill the smallest size that holds them all."""
    size = next((size for size in SIZES if size >= len(endpoints)), SIZES[-1])
    used = endpoints[: SIZES[-1]]
    wide = size if size <= 16 else min(SIZES[-1], size * 4)
    return tuple(used[slot % len(used)] for slot in range(wide))


def _elements(frontend: Frontend) -> Elements:
    if frontend.address:
        key, prefix = f"{frontend.address} . {frontend.protocol} . {frontend.port}", ""
    else:
        key, prefix = f"{frontend.protocol} . {frontend.port}", "node-"
    result: Elements = {}
    if frontend.inside:
        result |= _balanced(frontend, key, "inner", frontend.inside)
    if frontend.endpoints:
        result |= _balanced(frontend, key, "lb", frontend.endpoints)
    else:
        result |= _unserved(frontend, key)
    if frontend.affinity_seconds and (frontend.endpoints or frontend.inside):
        number = affinity_id(frontend)
        result[Element(f"{prefix}affinity-ids", key)] = hex(number)
        result[Element("remember", hex(number))] = f"goto remember-{frontend.affinity_seconds}"
    if frontend.masquerade and frontend.endpoints:
        result[Element(f"{prefix}hidden", key)] = ""
    if frontend.is_announced:
        result[Element("announced", frontend.address)] = ""
    if frontend.source_ranges:
        result[Element("restricted", key)] = ""
        for source in frontend.source_ranges:
            result[Element("allowed", f"{key} . {source}")] = ""
    return result


def _balanced(frontend: Frontend, key: str, kind: str, endpoints: Sequence[Endpoint]) -> Elements:
    """What leads callers to ``endpoints``; those of ``inner`` have slots of their own."""
    first, targets = (
        ("services", "endpoints")
        if frontend.address
        else (
            "node-ports",
            "node-endpoints",
        )
    )
    offset = INNER_OFFSET if kind == "inner" else 0
    filled = slots(endpoints)
    result: Elements = {
        Element(targets, f"{key} . {slot}"): f"{endpoint.address} . {endpoint.port}"
        for slot, endpoint in enumerate(filled, offset)
    }
    collection = f"inner-{first}" if kind == "inner" else first
    variants = (
        *(() if frontend.address else ("node",)),
        *(("sticky",) if frontend.affinity_seconds else ()),
    )
    result[Element(collection, key)] = f"goto {'-'.join((kind, *variants, str(len(filled))))}"
    return result


def _unserved(frontend: Frontend, key: str) -> Elements:
    collection = "unserved" if frontend.address else "unserved-node-ports"
    return {Element(collection, key): "drop" if frontend.drop_if_empty else "goto refuse"}


def affinity_id(frontend: Frontend) -> int:
    """The connection mark of a Service port with affinity."""
    text = f"{frontend.address} {frontend.protocol} {frontend.port}"
    return AFFINITY_MARK | (zlib.crc32(text.encode()) & 0xFFFFFF)


def _by_collection(members: Iterable[Element]) -> dict[str, list[str]]:
    result: dict[str, list[str]] = {}
    for element in members:
        result.setdefault(element.collection, []).append(element.key)
    return result


def _pair(key: str, value: str) -> str:
    return f"{key} : {value}" if value else key


_NODE_KEY = "meta l4proto . th dport"
_HIDE = f"meta mark set meta mark | {MASQUERADE_MARK:#x}"
_PROTOCOLS = "meta l4proto { tcp, udp, sctp }"


def _service_key(family: Family) -> str:
    return f"{family.nft} daddr . meta l4proto . th dport"


def _client(family: Family, of_connection: str = "") -> str:
    """Which client it is, and of which Service port. libnftables (1.0.6) ends the process where a
    rule is to learn an IPv6 address joined with something; two clients with one hash share an
    endpoint, which does no harm.
    """
    pair = f"{of_connection}{family.nft} saddr . ct mark"
    return pair if family is IPV4 else f"jhash {pair} mod 4294967295 seed 0x4b"


def _balancing_chains(size: int, family: Family) -> str:
    """The eight chains that pick one of ``size`` slots."""
    ip, text = family.nft, ""
    for kind, offset in (("lb", 0), ("inner", INNER_OFFSET)):
        for infix, key, targets, ids in (
            ("", _service_key(family), "endpoints", "affinity-ids"),
            ("-node", _NODE_KEY, "node-endpoints", "node-affinity-ids"),
        ):
            slot = f"numgen random mod {size} offset {offset}"
            pick = f"dnat {ip} to {key} . {slot} map @{targets}"
            client = _client(family)
            learnt = f"{_PROTOCOLS} dnat {ip} to {client} map @affinity"
            learnt += f" : {client} map @affinity-ports" if family is not IPV4 else ""
            mark = f"ct mark set {key} map @{ids}"
            text += _chain_text(f"{kind}{infix}-{size}", pick)
            text += _chain_text(f"{kind}{infix}-sticky-{size}", mark, learnt, pick)
    return text


def _chain_text(name: str, *rules: str) -> str:
    return f"  chain {name} {{\n" + "".join(f"    {rule}\n" for rule in rules) + "  }\n"


def _collections(family: Family) -> str:
    ip, address = family.nft, family.type
    client, learning = _client(family), "flags dynamic,timeout; timeout 3h;"
    affinity = f"  map affinity {{ typeof {client} : {ip} daddr; {learning} }}\n"
    affinity += f"  map affinity-ports {{ typeof {client} : th dport; {learning} }}\n"
    if family is IPV4:
        pair = f"{address} . mark : {address} . inet_service"
        affinity = f"  map affinity {{ type {pair}; {learning} }}\n"
    return f"""\
  map services {{ type {address} . inet_proto . inet_service : verdict; }}
  map node-ports {{ type inet_proto . inet_service : verdict; }}
  map inner-services {{ type {address} . inet_proto . inet_service : verdict; }}
  map inner-node-ports {{ type inet_proto . inet_service : verdict; }}
  set hidden {{ type {address} . inet_proto . inet_service; }}
  set node-hidden {{ type inet_proto . inet_service; }}
  map unserved {{ type {address} . inet_proto . inet_service : verdict; }}
  map unserved-node-ports {{ type inet_proto . inet_service : verdict; }}
  map endpoints {{
    typeof {ip} daddr . meta l4proto . th dport . numgen random mod 1024 : {ip} daddr . th dport
  }}
  map node-endpoints {{
    typeof meta l4proto . th dport . numgen random mod 1024 : {ip} daddr . th dport
  }}
  map affinity-ids {{ type {address} . inet_proto . inet_service : mark; }}
  map node-affinity-ids {{ type inet_proto . inet_service : mark; }}
  map remember {{ type mark : verdict; }}
{affinity}  set hairpin {{ type {address} . {address}; }}
  set announced {{ type {address}; }}
  set restricted {{ type {address} . inet_proto . inet_service; }}
  set allowed {{
    type {address} . inet_proto . inet_service . {address}
    flags interval
  }}
"""


def _hooks(family: Family, bridge: str) -> str:
    ip, key = family.nft, _service_key(family)
    others = f'iifname "{ANY_BRIDGE}" iifname != "{bridge}" return' if bridge != ANY_BRIDGE else ""
    return f"""\
  chain refuse {{
    meta l4proto tcp reject with tcp reset
    reject
  }}
  chain dispatch {{
    {key} @hidden {_HIDE}
    {key} vmap @services
    fib daddr type != local return
    {_NODE_KEY} @node-hidden {_HIDE}
    {_NODE_KEY} vmap @node-ports
  }}
  chain dispatch-inner {{
    {key} vmap @inner-services
    fib daddr type local {_NODE_KEY} vmap @inner-node-ports
  }}
  chain unserved {{
    ct state new {key} vmap @unserved
    ct state new fib daddr type local {_NODE_KEY} vmap @unserved-node-ports
  }}
  chain martians {{
    type filter hook prerouting priority -300
    iifname != "lo" {ip} daddr {family.loopback} drop
  }}
  chain sources {{
    type filter hook prerouting priority -110
    {key} @restricted {key} . {ip} saddr != @allowed drop
  }}
  chain arriving {{
    type nat hook prerouting priority -100
    {others}
    iifname "{bridge}" jump dispatch-inner
    jump dispatch
  }}
  chain outgoing {{
    type nat hook output priority -100
    jump dispatch-inner
    jump dispatch
  }}
  chain input {{
    type filter hook input priority -1
    jump unserved
    ct state new {ip} daddr @announced goto refuse
  }}
  chain forward {{
    type filter hook forward priority -1
    jump unserved
  }}
  chain output {{
    type filter hook output priority -1
    jump unserved
  }}
  chain learning {{
    type filter hook postrouting priority 90
    ct state new ct status dnat ct mark vmap @remember
  }}
  chain leaving {{
    type nat hook postrouting priority 99
    ct status dnat meta mark & {MASQUERADE_MARK:#x} == {MASQUERADE_MARK:#x} masquerade
    ct status dnat {ip} saddr . {ip} daddr @hairpin masquerade
  }}
"""
