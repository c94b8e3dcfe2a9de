"""Which pods a NetworkPolicy isolates, and whom its rules let through."""

from __future__ import annotations

import pytest

from kubelite.node.proxy import policy_rules
from kubelite.node.proxy.policies import EGRESS, INGRESS, isolation, pod_facts, policy_types

NAMESPACES = {"shop": {"team": "a"}, "bank": {"team": "b"}}


def pod(namespace, name, address, **labels):
    return {
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {"containers": [{"ports": [{"name": "web", "containerPort": 8080}]}]},
        "status": {"podIPs": [{"ip": address}], "phase": "Running"},
    }


PODS = [
    pod("shop", "web", "10.0.0.1", app="web"),
    pod("shop", "db", "10.0.0.2", app="db"),
    pod("bank", "web", "10.0.0.3", app="web"),
]
FACTS = pod_facts(PODS)
EVERYWHERE = [facts.address for facts in FACTS]


def policy(spec, namespace="shop", name="p"):
    return {"metadata": {"namespace": namespace, "name": name}, "spec": spec}


def isolated(spec, direction=INGRESS, local=EVERYWHERE):
    return isolation(direction, [policy(spec)], FACTS, NAMESPACES, local)


def peers(spec_peers):
    spec = {"podSelector": {}, "ingress": [{"from": spec_peers}]}
    (rule,) = isolated(spec).policies["shop/p"].rules
    return rule.peers


@pytest.mark.parametrize(
    ("spec", "directions"),
    [
        ({}, (INGRESS,)),
        ({"ingress": [{}]}, (INGRESS,)),
        ({"egress": [{}]}, (INGRESS, EGRESS)),
        ({"policyTypes": ["Egress"]}, ["Egress"]),
    ],
)
def test_directions_of_a_policy(spec, directions):
    assert policy_types(spec) == directions


def test_a_policy_isolates_the_pods_of_its_namespace_that_it_selects_and_that_are_here():
    selector = {"podSelector": {"matchLabels": {"app": "web"}}}
    assert set(isolated(selector).by_address) == {"10.0.0.1"}
    assert set(isolated({"podSelector": {}}).by_address) == {"10.0.0.1", "10.0.0.2"}
    assert set(isolated({"podSelector": {}}, local=["10.0.0.2"]).by_address) == {"10.0.0.2"}
    assert not isolated({"podSelector": {}}, direction=EGRESS).by_address


@pytest.mark.parametrize(
    ("entries", "addresses"),
    [
        ([{"podSelector": {}}], {"10.0.0.1", "10.0.0.2"}),
        ([{"podSelector": {"matchLabels": {"app": "db"}}}], {"10.0.0.2"}),
        ([{"namespaceSelector": {}}], {"10.0.0.1", "10.0.0.2", "10.0.0.3"}),
        ([{"namespaceSelector": {"matchLabels": {"team": "b"}}}], {"10.0.0.3"}),
        (
            [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}],
            {"10.0.0.1", "10.0.0.3"},
        ),
    ],
)
def test_peers_are_pods_of_the_own_namespace_or_of_those_selected(entries, addresses):
    assert peers(entries).addresses == addresses


def test_no_peers_mean_everybody_and_blocks_keep_their_exceptions():
    assert peers([]).everybody
    block = {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}
    assert peers([{"ipBlock": block}]).blocks == (("10.0.0.0/8", ("10.1.0.0/16",)),)
    assert peers([{"ipBlock": {"cidr": "fd00::/8"}}]).blocks == ()


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"hostNetwork": True, "containers": []}},
        {"status": {"phase": "Succeeded", "podIPs": [{"ip": "10.0.0.9"}]}},
        {"status": {}},
        {"status": {"podIPs": [{"ip": "fd00::1"}]}},
    ],
    ids=["host network", "ended", "no address", "IPv6"],
)
def test_pods_that_policies_cannot_be_about(change):
    assert pod_facts([PODS[0] | change]) == []


def test_the_same_content_again_changes_nothing_and_names_stay_within_limits():
    long = policy({"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}, name="n" * 253)
    ingress = isolation(INGRESS, [long], FACTS, NAMESPACES, EVERYWHERE)
    egress = isolation(EGRESS, [long], FACTS, NAMESPACES, EVERYWHERE)
    content = policy_rules.content(ingress, egress, FACTS)
    assert policy_rules.change("t", content, content) == ""
    assert all(len(name) < 128 for name in (*content.chains, *content.sets))
