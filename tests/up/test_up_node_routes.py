"""Which Node objects lead to ways: whoever may write one must not stop the others' agents."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kubelite.node.network.between.ways import Peer
from kubelite.objects.facts import pod_ranges
from kubelite.up.node_routes import peers_of

RANGE, OWN_RANGE = "10.208.7.0/24", "10.208.1.0/24"
PLACE = "192.0.2.7"


def node(name: str, range: Any = RANGE, *addresses: Any, link: Any = None, age: str = "") -> Any:
    metadata: dict[str, Any] = {"name": name, "creationTimestamp": age or "2026-01-01T00:00:00Z"}
    if link is not None:
        metadata["annotations"] = {pod_ranges.LINK_LOCAL: link}
    internal = [{"type": "InternalIP", "address": text} for text in addresses or (PLACE,)]
    status = {"addresses": [{"type": "Hostname", "address": name}, *internal]}
    return {"metadata": metadata, "spec": {"podCIDR": range}, "status": status}


def of(*nodes: Any) -> tuple[dict[str, Peer], list[str]]:
    own = node("own", OWN_RANGE, "192.0.2.1")
    return peers_of([own, *nodes], "own", OWN_RANGE)


def test_nodes_that_say_all_are_peers_and_those_that_say_nothing_yet_are_none() -> None:
    far = node("far", RANGE, "fd00::7", PLACE, link="fe80::7")
    early: Any = {"metadata": {"name": "early"}}
    assert of(far, early, node("later", None)) == ({RANGE: Peer("far", PLACE, "fe80::7")}, [])


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (node("bad", "fd00::/64"), "'fd00::/64' is no /24 of 10.208.0.0/12"),
        (node("bad", "0.0.0.0/0"), "'0.0.0.0/0' is no /24 of"),
        (node("bad", "10.208.8.1/24"), "'10.208.8.1/24' is no /24 of"),
        (node("bad", "10.208.8.0/255.255.255.0"), "'10.208.8.0/255.255.255.0' is no /24 of"),
        (node("bad", "192.0.2.0/24"), "'192.0.2.0/24' is no /24 of"),
        (node("bad", "\n"), "'\\n' is no /24 of"),
        (node("bad", "10.208.8.0/24", "fd00::8"), "none of its internal addresses is of IPv4"),
        (node("bad", "10.208.8.0/24", "1.2.3.4; flush ruleset"), "none of its internal addresses"),
        (node("bad", OWN_RANGE), f"node own has its range {OWN_RANGE} already"),
        (node("bad", RANGE, "192.0.2.8"), f"node far has its range {RANGE} already"),
    ],
)
def test_a_node_that_cannot_be_used_is_named_and_the_others_are_peers(
    bad: Any, sentence: str
) -> None:
    peers, problems = of(node("far", age="2025-01-01T00:00:00Z"), bad)
    assert peers == {RANGE: Peer("far", PLACE)}
    (problem,) = problems
    assert problem.startswith(f"no way to the pods of node bad: {sentence}")


@pytest.mark.parametrize("link", ["fe80::7\0", "fe80::7%eth0", "2001:db8::7", "::1", "ff02::1", ""])
def test_an_address_that_is_not_of_a_link_is_left_out(link: str) -> None:
    assert of(node("far", link=link)) == ({RANGE: Peer("far", PLACE)}, [])


TEXT = some.text() | some.sampled_from([RANGE, OWN_RANGE, PLACE, "fe80::7", "fd00::/64", "\0"])


@given(some.lists(some.tuples(TEXT, TEXT, TEXT), max_size=4))
def test_any_text_makes_a_peer_or_a_sentence(fields: list[tuple[str, str, str]]) -> None:
    nodes = [
        node(f"n{number}", pod_range, address, link=link)
        for number, (pod_range, address, link) in enumerate(fields)
    ]
    peers, problems = of(*nodes)
    assert len(peers) + len(problems) == sum(1 for pod_range, _, _ in fields if pod_range)
    assert all(pod_ranges.is_range(pod_range) for pod_range in peers)
