"""Which addresses Services of type LoadBalancer get, and which node answers for them."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.control.controllers.controller import Settings
from kubelite.control.controllers.network import load_balancer
from kubelite.control.controllers.shared.address_pool import AddressPool, BadPool, parse
from kubelite.objects.facts.load_balancers import ANNOUNCED_BY, CLASS
from tests.control.controllers.plain import World

WEB, OTHER = ("shop", "web"), ("shop", "other")


def service(name="web", ingress=(), announcer="", **spec):
    metadata = {"name": name, "namespace": "shop", "uid": name}
    if announcer:
        metadata["annotations"] = {ANNOUNCED_BY: announcer}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"type": "LoadBalancer", "ipFamilies": ["IPv4"], **spec},
        "status": {"loadBalancer": {"ingress": [{"ip": ip} for ip in ingress]} if ingress else {}},
    }


def node(name, address, ready="True", external="", **metadata):
    addresses = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]
    addresses += [{"type": "ExternalIP", "address": external}] if external else []
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, **metadata},
        "status": {"addresses": addresses, "conditions": [{"type": "Ready", "status": ready}]},
    }


def endpoints(*nodes, ready=True):
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "web-1",
            "namespace": "shop",
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "endpoints": [{"nodeName": name, "conditions": {"ready": ready}} for name in nodes],
    }


def settled(*objects, pool="", keys=(WEB,)):
    """The world after all plans; its service ``web``."""
    world = World(*objects)
    world.converge(partial(load_balancer.plan, parse(pool)), *keys)
    return world.get("Service", "web"), world


def addresses(found):
    return [entry["ip"] for entry in found["status"]["loadBalancer"].get("ingress") or ()]


def announcer(found):
    return (found["metadata"].get("annotations") or {}).get(ANNOUNCED_BY)


def test_without_a_pool_the_nodes_are_the_load_balancer():
    nodes = [
        node("a", "192.0.2.1"),
        node("b", "192.0.2.2", external="203.0.113.2"),
        node("unready", "192.0.2.3", ready="Unknown"),
        node("left-out", "192.0.2.4", labels={load_balancer.EXCLUDED_LABEL: ""}),
    ]
    found, world = settled(service(), *nodes)
    assert addresses(found) == ["192.0.2.1", "203.0.113.2"]
    assert announcer(found) is None
    assert [event.reason for event in world.events] == ["EnsuredLoadBalancer"]


def test_policy_local_counts_nodes_with_a_ready_endpoint():
    nodes = node("a", "192.0.2.1"), node("b", "192.0.2.2")
    local = service(externalTrafficPolicy="Local")
    assert addresses(settled(local, *nodes, endpoints("b"))[0]) == ["192.0.2.2"]
    assert addresses(settled(local, *nodes, endpoints("b", ready=False))[0]) == []
    found, _ = settled(local, *nodes, endpoints("b"), pool="198.51.100.7")
    assert (addresses(found), announcer(found)) == (["198.51.100.7"], "b")


def test_a_service_of_another_class_or_type_is_left_alone():
    one = node("a", "192.0.2.1")
    assert addresses(settled(service(loadBalancerClass="example.com/other"), one)[0]) == []
    assert addresses(settled(service(loadBalancerClass=CLASS), one)[0]) == ["192.0.2.1"]
    foreign = service(ingress=["203.0.113.9"], loadBalancerClass="example.com/other")
    assert addresses(settled(foreign, one)[0]) == ["203.0.113.9"]


def test_a_service_that_is_no_load_balancer_any_more_gives_its_address_up():
    found, _ = settled(service(ingress=["198.51.100.7"], announcer="a", type="ClusterIP"))
    assert (addresses(found), announcer(found)) == ([], None)


def test_each_service_gets_its_own_address_of_the_pool_and_keeps_it():
    one = node("a", "192.0.2.1")
    found, world = settled(
        service(), service("other"), one, pool="198.51.100.7-198.51.100.9", keys=(WEB, OTHER)
    )
    assert {*addresses(found), *addresses(world.get("Service", "other"))} == {
        "198.51.100.7",
        "198.51.100.8",
    }
    kept, _ = settled(service(ingress=["198.51.100.9"]), one, pool="198.51.100.7-198.51.100.9")
    assert addresses(kept) == ["198.51.100.9"]


def test_a_requested_address_is_given_if_it_is_free():
    pool = "198.51.100.0/28"
    found, _ = settled(service(loadBalancerIP="198.51.100.5"), pool=pool)
    assert addresses(found) == ["198.51.100.5"]
    world = World(
        service(loadBalancerIP="198.51.100.5"), service("other", ingress=["198.51.100.5"])
    )
    world.run(load_balancer.plan(parse(pool), world.view, WEB, 0.0))
    assert addresses(world.get("Service", "web")) == []
    assert [event.reason for event in world.events] == ["SyncLoadBalancerFailed"]


def test_who_waits_for_an_address_is_planned_when_one_is_given_up():
    controller = load_balancer.load_balancer_controller(Settings(parse("198.51.100.7")))
    concerned = next(iter(controller.watches.values()))
    old = service("other", ingress=["198.51.100.7"])
    world = World(service())
    assert set(concerned(world.view, old, None)) == {WEB, OTHER}
    assert set(concerned(world.view, old, old)) == {OTHER}


def test_the_announcing_node_stays_until_it_cannot():
    nodes = node("a", "192.0.2.1"), node("b", "192.0.2.2")
    present = service(ingress=["198.51.100.7"], announcer="b")
    found, world = settled(present, *nodes, pool="198.51.100.7")
    assert (announcer(found), world.actions) == ("b", [])
    found, _ = settled(present, nodes[0], node("b", "192.0.2.2", "False"), pool="198.51.100.7")
    assert announcer(found) == "a"
    found, _ = settled(present, pool="198.51.100.7")
    assert announcer(found) is None


def test_a_heartbeat_of_a_node_plans_nothing():
    controller = load_balancer.load_balancer_controller(Settings())
    concerned = list(controller.watches.values())[1]
    world, before = World(service()), node("a", "192.0.2.1")
    assert concerned(world.view, before, node("a", "192.0.2.1", annotations={"x": "1"})) == []
    assert concerned(world.view, before, node("a", "192.0.2.1", "False")) == [WEB]


@given(
    st.lists(st.sampled_from(["web", "other", "third", "fourth"]), max_size=8), st.integers(1, 3)
)
def test_no_address_is_given_twice_whatever_the_order(names, size):
    """Services come and go in any order; each plan sees what the one before has written."""
    pool = parse(f"198.51.100.1-198.51.100.{size}")
    world = World(node("a", "192.0.2.1"))
    present: list[str] = []
    for name in names:
        if name in present:
            present.remove(name)
            world.put(
                service(name, type="ClusterIP", ingress=addresses(world.get("Service", name)))
            )
        else:
            present.append(name)
            world.put(service(name))
        for other in 2 * ("web", "other", "third", "fourth"):
            world.run(load_balancer.plan(pool, world.view, ("shop", other), 0.0))
    given_out = [ip for obj in world.all("Service") for ip in addresses(obj)]
    assert len(given_out) == len(set(given_out))
    assert len(given_out) == min(size, len(present))
    assert all(ip in pool for ip in given_out)


@pytest.mark.parametrize(
    ("text", "first", "size"),
    [
        ("192.0.2.0/30", "192.0.2.1", 2),
        ("192.0.2.4/32", "192.0.2.4", 1),
        ("192.0.2.4-192.0.2.9 , 192.0.2.1", "192.0.2.4", 7),
        ("", "", 0),
    ],
)
def test_pools_are_networks_ranges_and_addresses(text, first, size):
    pool, taken = parse(text), []
    while address := pool.first_free("IPv4", taken):
        assert address in pool
        taken.append(address)
    assert (len(taken), next(iter(taken), "")) == (size, first)
    assert pool.first_free("IPv6", ()) == ""
    assert "192.0.2.200" not in pool and "nonsense" not in AddressPool()


@pytest.mark.parametrize("text", ["192.0.2.1/24", "192.0.2.9-192.0.2.1", "x", "192.0.2.1-::1"])
def test_pools_that_cannot_be_read(text):
    with pytest.raises(BadPool, match=r'^".+" is no '):
        parse(text)
