"""The proxy's nftables table, and its content as elements of maps. Pure.

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
    unserved         address . protocol . port         -> refuse or drop: there are no endpoints
    announced        address                           refuses what no Service serves there
    hairpin          address . address                 endpoints that may call themselves

A chain ``lb-N`` picks a slot below N at random, ``inner-N`` one from 1024 on. Up to 16 endpoints
have a slot each; more are spread over the next size, where some have one slot more than others.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kubelite.node.network import names
from kubelite.node.proxy.services import Endpoint, Frontend

SIZES = (*range(1, 17), 32, 64, 128, 256, 512, 1024)
"""How many slots a frontend can have. With 1024, a thousand endpoints each get one or two."""
INNER_OFFSET = SIZES[-1]
MASQUERADE_MARK = 0x4000
"""The packet mark that kube-proxy uses for the same purpose."""
AFFINITY_MARK = 0x4B000000
"""The upper byte of a connection mark that names a Service port with affinity."""


class Element(NamedTuple):
    """One element: the map or set it belongs to, and its key, as nft writes it."""

    collection: str
    key: str


Elements = dict[Element, str]
"""Elements with their values; the value of a set's element is empty."""


def table(name: str) -> str:
    """The whole table without elements, as nft commands that replace any table of that name."""
    chains = "".join(_balancing_chains(size) for size in SIZES)
    return (
        f"add table ip {name}\ndelete table ip {name}\n"
        f"table ip {name} {{\n{_COLLECTIONS}{chains}{_HOOKS}}}\n"
    )


def without_table(name: str) -> str:
    """Commands after which no table of that name exists."""
    return f"add table ip {name}\ndelete table ip {name}\n"


def affinity_chain(name: str, seconds: int) -> str:
    """Commands that make the chain which remembers a client's endpoint for ``seconds``."""
    remember = (
        f"update @affinity {{ ct original ip saddr . ct mark timeout {seconds}s"
        " : ip daddr . th dport }"
    )
    chain = f"ip {name} remember-{seconds}"
    protocols = "meta l4proto { tcp, udp, sctp }"
    return f"add chain {chain}\nflush chain {chain}\nadd rule {chain} {protocols} {remember}\n"


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


def change(name: str, old: Elements, new: Elements) -> str:
    """Commands that turn ``old`` into ``new``: what goes first, then what comes, each collection
    once.
    """
    gone = [element for element, value in old.items() if new.get(element) != value]
    come = [element for element, value in new.items() if old.get(element) != value]
    deletions = _by_collection(gone)
    additions = _by_collection(come)
    lines = [
        f"delete element ip {name} {collection} {{ {', '.join(keys)} }}\n"
        for collection, keys in deletions.items()
    ]
    for collection, keys in additions.items():
        pairs = (_pair(key, new[Element(collection, key)]) for key in keys)
        lines.append(f"add element ip {name} {collection} {{ {', '.join(pairs)} }}\n")
    return "".join(lines)


def stale_affinity(listing: str, gone: Iterable[Endpoint]) -> list[Element]:
    """Learnt elements that lead to endpoints that are gone. ``listing`` is the JSON of ``list
    map``.

    An element is ``[{"elem": {"val": {"concat": [client, mark]}}}, {"concat": [address, port]}]``.
    """
    import json  # only where a Service with affinity loses an endpoint

    lost = set(gone)
    stale = []
    for entry in json.loads(listing)["nftables"]:
        for key, target in entry.get("map", {}).get("elem", ()):
            client, mark = key.get("elem", {}).get("val", key)["concat"]
            if Endpoint(*target["concat"]) in lost:
                stale.append(Element("affinity", f"{client} . {mark}"))
    return stale


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


_SERVICE_KEY = "ip daddr . meta l4proto . th dport"
_NODE_KEY = "meta l4proto . th dport"
_HIDE = f"meta mark set meta mark | {MASQUERADE_MARK:#x}"
_PROTOCOLS = "meta l4proto { tcp, udp, sctp }"


def _balancing_chains(size: int) -> str:
    """The eight chains that pick one of ``size`` slots."""
    text = ""
    for kind, offset in (("lb", 0), ("inner", INNER_OFFSET)):
        for infix, key, targets, ids in (
            ("", _SERVICE_KEY, "endpoints", "affinity-ids"),
            ("-node", _NODE_KEY, "node-endpoints", "node-affinity-ids"),
        ):
            slot = f"numgen random mod {size} offset {offset}"
            pick = f"dnat ip to {key} . {slot} map @{targets}"
            learnt = f"{_PROTOCOLS} dnat ip to ip saddr . ct mark map @affinity"
            mark = f"ct mark set {key} map @{ids}"
            text += _chain_text(f"{kind}{infix}-{size}", pick)
            text += _chain_text(f"{kind}{infix}-sticky-{size}", mark, learnt, pick)
    return text


def _chain_text(name: str, *rules: str) -> str:
    return f"  chain {name} {{\n" + "".join(f"    {rule}\n" for rule in rules) + "  }\n"


_COLLECTIONS = """\
  map services { type ipv4_addr . inet_proto . inet_service : verdict; }
  map node-ports { type inet_proto . inet_service : verdict; }
  map inner-services { type ipv4_addr . inet_proto . inet_service : verdict; }
  map inner-node-ports { type inet_proto . inet_service : verdict; }
  set hidden { type ipv4_addr . inet_proto . inet_service; }
  set node-hidden { type inet_proto . inet_service; }
  map unserved { type ipv4_addr . inet_proto . inet_service : verdict; }
  map unserved-node-ports { type inet_proto . inet_service : verdict; }
  map endpoints {
    typeof ip daddr . meta l4proto . th dport . numgen random mod 1024 : ip daddr . th dport
  }
  map node-endpoints {
    typeof meta l4proto . th dport . numgen random mod 1024 : ip daddr . th dport
  }
  map affinity-ids { type ipv4_addr . inet_proto . inet_service : mark; }
  map node-affinity-ids { type inet_proto . inet_service : mark; }
  map remember { type mark : verdict; }
  map affinity {
    type ipv4_addr . mark : ipv4_addr . inet_service
    flags dynamic,timeout
    timeout 3h
  }
  set hairpin { type ipv4_addr . ipv4_addr; }
  set announced { type ipv4_addr; }
  set restricted { type ipv4_addr . inet_proto . inet_service; }
  set allowed {
    type ipv4_addr . inet_proto . inet_service . ipv4_addr
    flags interval
  }
"""
_HOOKS = f"""\
  chain refuse {{
    meta l4proto tcp reject with tcp reset
    reject
  }}
  chain dispatch {{
    {_SERVICE_KEY} @hidden {_HIDE}
    {_SERVICE_KEY} vmap @services
    fib daddr type != local return
    {_NODE_KEY} @node-hidden {_HIDE}
    {_NODE_KEY} vmap @node-ports
  }}
  chain dispatch-inner {{
    {_SERVICE_KEY} vmap @inner-services
    fib daddr type local {_NODE_KEY} vmap @inner-node-ports
  }}
  chain unserved {{
    ct state new {_SERVICE_KEY} vmap @unserved
    ct state new fib daddr type local {_NODE_KEY} vmap @unserved-node-ports
  }}
  chain sources {{
    type filter hook prerouting priority -110
    {_SERVICE_KEY} @restricted {_SERVICE_KEY} . ip saddr != @allowed drop
  }}
  chain arriving {{
    type nat hook prerouting priority -100
    iifname "{names.bridge("*")}" jump dispatch-inner
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
    ct state new ip daddr @announced goto refuse
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
    ct status dnat ip saddr . ip daddr @hairpin masquerade
  }}
"""
