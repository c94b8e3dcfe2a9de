"""Which addresses a Service has on a node, and which endpoints are behind each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.node.proxy import service_rules
from kubelite.node.proxy.services import Endpoint, Frontend, Node, frontends, health_check
from kubelite.objects.facts.load_balancers import ANNOUNCED_BY

HERE = Node("here", "zone-a")


def service(**spec):
    ports = [{"name": "web", "port": 80, "protocol": "TCP"}]
    metadata = {"name": "web", "namespace": "default"}
    return {"metadata": metadata, "spec": {"clusterIPs": ["10.96.0.10"], "ports": ports, **spec}}


def endpoint(address, node="here", hints=None, **conditions):
    result = {"addresses": [address], "nodeName": node, "conditions": conditions or {"ready": True}}
    return result | ({"hints": hints} if hints else {})


def endpoint_slice(*endpoints, port=8080, name="web"):
    ports = [{"name": name, "port": port, "protocol": "TCP"}]
    return {"addressType": "IPv4", "ports": ports, "endpoints": list(endpoints)}


def addresses(found, address="10.96.0.10"):
    return [e.address for f in found if f.address == address for e in f.endpoints]


def test_a_cluster_ip_leads_to_ready_endpoints_of_the_port_of_that_name():
    slices = [
        endpoint_slice(endpoint("10.0.0.1"), endpoint("10.0.0.2", ready=False)),
        endpoint_slice(endpoint("10.0.0.3"), name="other"),
    ]
    (found,) = frontends(service(), slices, HERE)
    assert (found.address, found.port, found.protocol) == ("10.96.0.10", 80, "tcp")
    assert found.endpoints == (Endpoint("10.0.0.1", 8080),)
    assert not found.masquerade


def test_endpoints_that_drain_serve_only_where_none_is_ready():
    draining = endpoint("10.0.0.2", ready=False, serving=True, terminating=True)
    gone = endpoint("10.0.0.3", ready=False, serving=False, terminating=True)
    ready = endpoint("10.0.0.1")
    assert addresses(frontends(service(), [endpoint_slice(ready, draining, gone)], HERE)) == [
        "10.0.0.1"
    ]
    assert addresses(frontends(service(), [endpoint_slice(draining, gone)], HERE)) == ["10.0.0.2"]


def test_an_absent_ready_condition_counts_as_ready():
    bare = {"addresses": ["10.0.0.1"], "conditions": {}}
    assert addresses(frontends(service(), [endpoint_slice(bare)], HERE)) == ["10.0.0.1"]


def test_headless_and_external_name_services_have_no_frontend():
    assert frontends(service(clusterIPs=["None"]), [], HERE) == []
    assert frontends({"spec": {"type": "ExternalName", "externalName": "a.b"}}, [], HERE) == []


def test_policy_local_keeps_to_this_node():
    slices = [endpoint_slice(endpoint("10.0.0.1"), endpoint("10.0.0.2", node="there"))]
    web = [{"name": "web", "port": 80, "nodePort": 30080}]
    found = frontends(service(ports=web, externalTrafficPolicy="Local"), slices, HERE)
    cluster, node_port = found
    assert len(cluster.endpoints) == 2
    assert (node_port.address, node_port.port) == ("", 30080)
    assert node_port.endpoints == (Endpoint("10.0.0.1", 8080),)
    assert not node_port.masquerade
    (internal,) = frontends(service(internalTrafficPolicy="Local"), slices, Node("elsewhere"))
    assert internal.endpoints == ()


def test_policy_local_is_for_callers_from_outside():
    slices = [endpoint_slice(endpoint("10.0.0.1"), endpoint("10.0.0.2", node="there"))]
    spec = {"externalIPs": ["192.0.2.1"], "externalTrafficPolicy": "Local"}
    cluster, external = frontends(service(**spec), slices, HERE)
    assert [e.address for e in external.inside] == ["10.0.0.1", "10.0.0.2"]
    assert cluster.inside == ()
    everything_here = [endpoint_slice(endpoint("10.0.0.1"))]
    assert frontends(service(**spec), everything_here, HERE)[1].inside == ()


def test_policy_local_does_not_look_at_hints():
    hints = ({"forZones": [{"name": "zone-a"}]}, {"forZones": [{"name": "zone-b"}]})
    ready = [endpoint(f"10.0.0.{i}", hints=hint) for i, hint in enumerate(hints, 1)]
    spec = {"externalIPs": ["192.0.2.1"], "externalTrafficPolicy": "Local"}
    cluster, external = frontends(service(**spec), [endpoint_slice(*ready)], HERE)
    assert [e.address for e in cluster.endpoints] == ["10.0.0.1"]
    assert [e.address for e in external.endpoints] == ["10.0.0.1", "10.0.0.2"]


def test_without_endpoints_here_policy_local_drops_and_without_any_it_refuses():
    there = [endpoint_slice(endpoint("10.0.0.2", node="there"))]
    spec = {"externalIPs": ["192.0.2.1"], "externalTrafficPolicy": "Local"}
    assert frontends(service(**spec), there, HERE)[1].drop_if_empty
    assert not frontends(service(**spec), [], HERE)[1].drop_if_empty


@pytest.mark.parametrize(
    ("hints", "expected"),
    [
        ([{"forZones": [{"name": "zone-a"}]}, {"forZones": [{"name": "zone-b"}]}], ["10.0.0.1"]),
        ([{"forZones": [{"name": "zone-b"}]}] * 2, ["10.0.0.1", "10.0.0.2"]),
        ([{"forZones": [{"name": "zone-a"}]}, None], ["10.0.0.1", "10.0.0.2"]),
        ([{"forNodes": [{"name": "there"}]}, {"forNodes": [{"name": "here"}]}], ["10.0.0.2"]),
    ],
    ids=["zone", "no endpoint for this zone", "one without hints", "node"],
)
def test_hints_keep_traffic_near_when_all_endpoints_have_them(hints, expected):
    ready = [endpoint(f"10.0.0.{i}", hints=hint) for i, hint in enumerate(hints, 1)]
    assert addresses(frontends(service(), [endpoint_slice(*ready)], HERE)) == expected


def test_load_balancers_serve_virtual_addresses_with_their_source_ranges():
    balancer = service(type="LoadBalancer", loadBalancerSourceRanges=["10.0.0.0/8"])
    ingress = [{"ip": "192.0.2.7"}, {"ip": "192.0.2.8", "ipMode": "Proxy"}, {"hostname": "a"}]
    balancer["status"] = {"loadBalancer": {"ingress": ingress}}
    found = frontends(balancer, [], HERE)
    assert [(f.address, f.source_ranges) for f in found] == [
        ("10.96.0.10", ()),
        ("192.0.2.7", ("10.0.0.0/8",)),
    ]


@pytest.mark.parametrize(("node", "expected"), [("here", True), ("there", False)])
def test_an_address_is_announced_by_the_node_of_the_annotation(node, expected):
    balancer = service(type="LoadBalancer")
    balancer["metadata"]["annotations"] = {ANNOUNCED_BY: node}
    balancer["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}
    assert [f.is_announced for f in frontends(balancer, [], HERE)] == [False, expected]


def test_the_health_check_counts_ready_endpoints_of_this_node():
    slices = [endpoint_slice(endpoint("10.0.0.1"), endpoint("10.0.0.2", node="there"))]
    assert health_check(service(healthCheckNodePort=31000), slices, HERE) == (31000, 1)
    assert health_check(service(), slices, HERE) is None


def test_affinity_has_the_documented_default():
    (found,) = frontends(service(sessionAffinity="ClientIP"), [], HERE)
    assert found.affinity_seconds == 10800


@given(st.integers(1, 3000))
def test_every_endpoint_has_a_slot_and_none_many_more_than_another(count):
    endpoints = [Endpoint(f"10.0.{i // 250}.{i % 250}", 80) for i in range(count)]
    filled = service_rules.slots(endpoints)
    assert len(filled) in service_rules.SIZES
    shares = [filled.count(each) for each in endpoints[: len(filled)]][:50]
    assert max(shares) - min(shares) <= 1
    assert min(shares) >= 1


FRONTENDS = st.lists(
    st.builds(
        lambda last, port, ends, affinity: frontends(
            service(
                clusterIPs=[f"10.96.0.{last}"],
                ports=[{"name": "web", "port": port, "nodePort": 30000 + port}],
                **({"sessionAffinity": "ClientIP"} if affinity else {}),
            ),
            [endpoint_slice(*(endpoint(f"10.0.0.{e}") for e in ends))],
            HERE,
        ),
        st.integers(1, 3),
        st.integers(80, 82),
        st.sets(st.integers(1, 20), max_size=20),
        st.booleans(),
    ),
    max_size=3,
)


@given(FRONTENDS, FRONTENDS)
def test_a_change_names_exactly_what_differs(before, after):
    old = service_rules.elements(f for group in before for f in group)
    new = service_rules.elements(f for group in after for f in group)
    assert service_rules.change("t", new, new) == ""
    text = service_rules.change("t", old, new)
    assert ("delete element" in text) == any(new.get(e) != v for e, v in old.items())
    assert ("add element" in text) == any(old.get(e) != v for e, v in new.items())


def test_stale_affinity_is_what_leads_to_endpoints_that_are_gone():
    listing = (
        '{"nftables": [{"map": {"elem": [[{"elem": {"val": {"concat": ["10.0.0.9", 5]}, '
        '"timeout": 9}}, {"concat": ["10.0.0.1", 80]}], [{"elem": {"val": {"concat": '
        '["10.0.0.8", 6]}}}, {"concat": ["10.0.0.2", 80]}]]}}]}'
    )
    gone = [Endpoint("10.0.0.1", 80), Endpoint("10.0.0.2", 80)]
    stale = service_rules.stale_affinity([listing], {6: gone})
    assert [element.key for element in stale] == ["10.0.0.8 . 6"]


def test_clients_lose_what_their_port_leads_to_no_longer():
    one, two, three = (Endpoint(f"10.0.0.{number}", 80) for number in (1, 2, 3))
    port = Frontend("10.96.0.1", "tcp", 80, (one, two), affinity_seconds=9)
    mark = service_rules.affinity_id(port)
    for after, lost in (
        (port, set()),
        (port._replace(endpoints=(two, three)), {one}),
        (port._replace(endpoints=(one,), inside=(one, two)), {two}),
        (port._replace(affinity_seconds=0), {one, two}),
        (port._replace(port=81), {one, two}),
    ):
        found = service_rules.lost_endpoints([port], [after])
        assert set(found.get(mark, ())) == lost
    local = port._replace(endpoints=(one,), inside=(one, two))
    assert set(service_rules.lost_endpoints([local], [port._replace(endpoints=(one,))])[mark]) == {
        two
    }
