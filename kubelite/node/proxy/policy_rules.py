"""The nftables table of a node's network policies: chains for policies, sets for their peers. Pure.

There is one table for each family of addresses, both alike.

A pod that comes or goes is an element of sets; only a policy that is written or changed is a chain.
Direction by direction a packet meets

    egress-pods   source address       -> chain of the policies that isolate this pod
    ingress-pods  destination address  -> the same for the receiver

and that chain jumps to the chain of each policy, which accepts, and drops what none has accepted.
The two directions are base chains of their own, since an accept ends only the base chain it is in.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kubelite.node.network.families import IPV4, Family
from kubelite.node.proxy import service_rules
from kubelite.node.proxy.policies import INGRESS, Isolation, PodFacts, Policy, Ports, Rule
from kubelite.node.proxy.service_rules import Element, Elements


class Content(NamedTuple):
    """Everything in the table that policies and pods decide: rules by chain, types by set."""

    chains: dict[str, tuple[str, ...]]
    sets: dict[str, str]
    elements: Elements


EMPTY = Content({}, {}, {})
_PREFIX = {"Ingress": "in", "Egress": "eg"}


def table(name: str, family: Family = IPV4) -> str:
    """The table without policies, as nft commands that replace any table of that name."""
    emptied = service_rules.without_table(name, family)
    return f"{emptied}table {family.nft} {name} {{\n{_base(family)}}}\n"


def content(
    ingress: Isolation, egress: Isolation, pods: Sequence[PodFacts], family: Family = IPV4
) -> Content:
    """What holds these policies. ``pods`` are all pods, whose named ports rules may refer to."""
    result = Content({}, {}, {})
    for direction, isolated in (("Ingress", ingress), ("Egress", egress)):
        prefix = _PREFIX[direction]
        for policy in isolated.policies.values():
            _add_policy(result, direction, policy, isolated, pods, family)
        for address, keys in isolated.by_address.items():
            chain = f"{prefix}-pods-{_hash(' '.join(keys))}"
            jumps = [f"jump {_chain(prefix, key)}" for key in keys]
            result.chains[chain] = (*jumps, "drop")
            result.elements[Element(f"{direction.lower()}-pods", address)] = f"goto {chain}"
            result.elements[Element("self", f"{address} . {address}")] = ""
    return result


def change(name: str, old: Content, new: Content, family: Family = IPV4) -> str:
    """Commands that turn ``old`` into ``new`` as one transaction.

    Sets and chains come first, empty; elements change once everything they name is there; what
    nobody names any more goes last.
    """
    new_sets = {key: kind for key, kind in new.sets.items() if old.sets.get(key) != kind}
    filled = {key: rules for key, rules in new.chains.items() if old.chains.get(key) != rules}
    gone_chains = [key for key in old.chains if key not in new.chains]
    gone_sets = [key for key in old.sets if key not in new.sets]
    kept = {e: value for e, value in old.elements.items() if e.collection not in gone_sets}
    table = f"{family.nft} {name}"
    lines = [f"add set {table} {key} {{ {kind}; }}" for key, kind in new_sets.items()]
    lines += [f"add chain {table} {key}" for key in filled]
    lines += [f"flush chain {table} {key}" for key in filled if key in old.chains]
    lines += [f"add rule {table} {key} {rule}" for key, rules in filled.items() for rule in rules]
    elements = service_rules.change(name, kept, new.elements, family)
    last = [f"flush chain {table} {key}" for key in gone_chains]
    last += [f"delete chain {table} {key}" for key in gone_chains]
    last += [f"delete set {table} {key}" for key in gone_sets]
    return _lines(lines) + elements + _lines(last)


def _add_policy(
    result: Content,
    direction: str,
    policy: Policy,
    isolated: Isolation,
    pods: Sequence[PodFacts],
    family: Family,
) -> None:
    chain = _chain(_PREFIX[direction], policy.key)
    lines: list[str] = []
    for number, rule in enumerate(policy.rules):
        label = f"{chain}-{number}"
        if rule.peers.addresses:
            _add_set(result, f"{label}-peers", f"type {family.type}", sorted(rule.peers.addresses))
        if any(port.name for port in rule.ports):
            subjects = {a for a, keys in isolated.by_address.items() if policy.key in keys}
            named = _named_receivers(direction, rule, subjects, pods)
            receivers = f"type {family.type} . inet_proto . inet_service"
            _add_set(result, f"{label}-ports", receivers, named)
        lines += _rule_lines(direction, rule, label, family)
    result.chains[chain] = tuple(lines)


def _add_set(result: Content, name: str, kind: str, keys: Iterable[str]) -> None:
    result.sets[name] = kind
    result.elements.update({Element(name, key): "" for key in keys})


def _rule_lines(direction: str, rule: Rule, label: str, family: Family) -> list[str]:
    side = f"{family.nft} {'saddr' if direction == INGRESS else 'daddr'}"
    return [
        " ".join(filter(None, (peer, port, "accept")))
        for peer in _peer_matches(rule, side, label)
        for port in _port_matches(rule.ports, label, family)
    ]


def _peer_matches(rule: Rule, side: str, label: str) -> list[str]:
    if rule.peers.everybody:
        return [""]
    matches = [f"{side} @{label}-peers"] if rule.peers.addresses else []
    for block, exceptions in rule.peers.blocks:
        outside = f" {side} != {{ {', '.join(exceptions)} }}" if exceptions else ""
        matches.append(f"{side} {block}{outside}")
    return matches


def _port_matches(ports: Sequence[Ports], label: str, family: Family) -> list[str]:
    if not ports:
        return [""]
    matches = [_range(port) for port in ports if not port.name]
    if any(port.name for port in ports):
        matches.append(f"{family.nft} daddr . meta l4proto . th dport @{label}-ports")
    return matches


def _range(port: Ports) -> str:
    if (port.first, port.last) == (0, 65535):
        return f"meta l4proto {port.protocol}"
    span = f"{port.first}" if port.first == port.last else f"{port.first}-{port.last}"
    return f"meta l4proto {port.protocol} th dport {span}"


def _named_receivers(
    direction: str, rule: Rule, subjects: set[str], pods: Sequence[PodFacts]
) -> list[str]:
    """The pods' own numbers for the names of a rule: of the subjects, or of those they call."""
    wanted = {(port.name, port.protocol) for port in rule.ports if port.name}

    def receives(pod: PodFacts) -> bool:
        if direction == INGRESS:
            return pod.address in subjects
        return rule.peers.everybody or pod.address in rule.peers.addresses

    return sorted(
        {
            f"{pod.address} . {protocol} . {number}"
            for pod in pods
            if receives(pod)
            for name, protocol, number in pod.ports
            if (name, protocol) in wanted
        }
    )


def _chain(prefix: str, key: str) -> str:
    """A policy's chain. Names of chains end at 127 bytes, so a long key is told by its hash
    alone.
    """
    return f"{prefix}-{_hash(key)}-{key[:80]}"


def _hash(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _base(family: Family) -> str:
    ip, address = family.nft, family.type
    return f"""\
  map ingress-pods {{ type {address} : verdict; }}
  map egress-pods {{ type {address} : verdict; }}
  set self {{ type {address} . {address}; }}
  chain egress {{
    type filter hook forward priority 0
    ct state established,related accept
    {ip} saddr . {ip} daddr @self accept
    {ip} saddr vmap @egress-pods
  }}
  chain ingress {{
    type filter hook forward priority 1
    ct state established,related accept
    {ip} saddr . {ip} daddr @self accept
    {ip} daddr vmap @ingress-pods
  }}
"""
