"""Which firewall rules of others stand in the way of pods: the ruleset, read as the kernel would go
through it for one packet. Pure.

A packet passes a hook when no chain there drops it; an accept ends only the chain it is in (nft(8),
"Chains"). Matches that are not understood count as not met, and make the answer uncertain.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from kubelite.lib.json import Object
from kubelite.node.network.families import IPV4, IPV6, Family

_OURS = "kubelite-"
_NUMBERS = {"tcp": "6", "udp": "17", "sctp": "132", "icmp": "1"}
_FAMILY_NUMBERS = {IPV4: "2", IPV6: "10"}
_DEPTH = 16
"""How far chains may jump in the kernel (NFT_JUMP_STACK_SIZE)."""


class Packet(NamedTuple):
    """What rules ask of a packet. ``state`` is that of its connection: new or established."""

    source_interface: str
    target_interface: str
    source: str
    target: str
    protocol: str = "tcp"
    port: int = 443
    state: str = "new"

    @property
    def family(self) -> Family:
        """That of its addresses."""
        return IPV6 if IPV6.has(self.source) else IPV4


class Obstacle(NamedTuple):
    """A chain that drops a packet, by its policy or by a rule; ``is_certain`` is False where a rule
    that is not understood may have let it through before.
    """

    table: str
    chain: str
    by_policy: bool
    is_certain: bool

    def __str__(self) -> str:
        how = "drops what none of its rules accepts" if self.by_policy else "has a rule that drops"
        return f'the chain "{self.chain}" of the nftables table {self.table} {how}'


def foreign_tables(listing: str, family: Family = IPV4) -> list[str]:
    """Family and name of the tables of others that packets of a family meet, from the JSON of
    ``list tables``.
    """
    tables = (entry.get("table", {}) for entry in json.loads(listing)["nftables"])
    return [
        f"{table['family']} {table['name']}"
        for table in tables
        if table.get("family") in (family.nft, "inet") and not table["name"].startswith(_OURS)
    ]


class Ruleset:
    """Chains and their rules, from the JSON of ``list table``, one for each table."""

    def __init__(self, listings: Iterable[str]) -> None:
        self._chains: list[Object] = []
        self._rules: dict[tuple[str, str, str], list[Sequence[Object]]] = {}
        entries = (entry for listing in listings for entry in json.loads(listing)["nftables"])
        for entry in entries:
            if chain := entry.get("chain"):
                self._chains.append(chain)
            elif rule := entry.get("rule"):
                key = rule["family"], rule["table"], rule["chain"]
                self._rules.setdefault(key, []).append(rule["expr"])

    def obstacles(self, hook: str, packet: Packet) -> Iterator[Obstacle]:
        """The base chains at a hook (forward, input, output) that drop the packet."""
        for chain in self._chains:
            if chain.get("hook") != hook or chain.get("type") != "filter":
                continue
            walk = _Walk(self._rules, chain["family"], chain["table"], packet)
            verdict = walk.through(chain["name"], 0)
            by_policy = verdict is None and chain.get("policy") == "drop"
            if verdict == "drop" or by_policy:
                table = f"{chain['family']} {chain['table']}"
                yield Obstacle(table, chain["name"], by_policy, not walk.is_uncertain)


class _Walk:
    """One packet on its way through the chains of a table."""

    def __init__(
        self,
        rules: Mapping[tuple[str, str, str], list[Sequence[Object]]],
        family: str,
        table: str,
        packet: Packet,
    ) -> None:
        self._rules, self._family, self._table, self._packet = rules, family, table, packet
        self.is_uncertain = False

    def through(self, chain: str, depth: int) -> str | None:
        """accept, drop, or None where the chain comes to its end."""
        for expressions in self._rules.get((self._family, self._table, chain), ()):
            verdict = self._rule(expressions, depth)
            if verdict == "return":
                return None
            if verdict is not None:
                return verdict
        return None

    def _rule(self, expressions: Sequence[Object], depth: int) -> str | None:
        """accept, drop, return, or None to go on with the next rule."""
        is_understood = True
        for expression in expressions:
            (kind, value), *_ = expression.items()
            if kind in ("accept", "drop", "return", "reject", "jump", "goto"):
                if is_understood:
                    return self._verdict(kind, value, depth)
                self.is_uncertain |= kind not in ("drop", "reject")
                return None
            is_met = _is_met(value, self._packet) if kind == "match" else _harmless(kind)
            if is_met is False:
                return None
            is_understood &= is_met is True
        return None

    def _verdict(self, kind: str, value: Any, depth: int) -> str | None:
        if kind == "reject":
            return "drop"
        if kind not in ("jump", "goto"):
            return kind
        verdict = self.through(value["target"], depth + 1) if depth < _DEPTH else None
        return "return" if verdict is None and kind == "goto" else verdict


def _harmless(kind: str) -> bool | None:
    """Statements that let every packet go on, such as counters; of others nothing is known."""
    return True if kind in ("counter", "log", "comment", "mangle") else None


def _is_met(match: Object, packet: Packet) -> bool | None:
    """Whether a packet meets a match; None where that is not understood."""
    values = _values(match["left"], packet)
    if values is None:
        return None
    holds = _holds(match["right"], values)
    return holds if holds is None or match["op"] != "!=" else not holds


def _values(left: Any, packet: Packet) -> tuple[str, ...] | None:
    """What a packet has there, in every way in which rules may write it."""
    if not isinstance(left, dict):
        return None
    (kind, what), *_ = left.items()
    field = what.get("key") or what.get("field") if isinstance(what, dict) else ""
    protocols = (packet.protocol, _NUMBERS[packet.protocol])
    match kind, field:
        case "meta", "iifname" | "iif":
            return (packet.source_interface,)
        case "meta", "oifname" | "oif":
            return (packet.target_interface,)
        case ("meta", "l4proto") | ("payload", "protocol" | "nexthdr"):
            return protocols
        case "meta", "nfproto":
            return (packet.family.name.lower(), _FAMILY_NUMBERS[packet.family])
        case "payload", "saddr" | "daddr" if what["protocol"] != packet.family.nft:
            return ("of another family",)
        case "ct", "state":
            return (packet.state,)
        case "payload", "saddr":
            return (packet.source,)
        case "payload", "daddr":
            return (packet.target,)
        case "payload", "dport" if what["protocol"] in ("th", packet.protocol):
            return (str(packet.port),)
        case "payload", "dport":
            return ("another protocol",)
    return None


def _holds(right: Any, values: tuple[str, ...]) -> bool | None:
    if isinstance(right, dict):
        (kind, what), *_ = right.items()
        if kind == "set":
            return _any(_holds(member, values) for member in what)
        if kind == "prefix":
            network = ipaddress.ip_network(f"{what['addr']}/{what['len']}", strict=False)
            return any(_address(value) in network for value in values)
        if kind == "range":
            low, high = (_place(end) for end in what)
            return any(low <= _place(value) <= high for value in values)
        return None
    if isinstance(right, list):
        return _any(_holds(member, values) for member in right)
    text = str(right)
    return None if text.startswith("@") else any(fnmatchcase(value, text) for value in values)


def _any(answers: Iterator[bool | None]) -> bool | None:
    known = list(answers)
    return True if True in known else None if None in known else False


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return ipaddress.IPv4Address(0)


def _place(text: Any) -> int:
    """The place of a port or an address among others."""
    return int(text) if str(text).isdigit() else int(_address(str(text)))
