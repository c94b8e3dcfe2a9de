"""Services and EndpointSlices at random: what the elements of the table do with a connection is
what the documentation of Kubernetes says should become of it.

The model reads the objects only; the interpreter reads the elements only, as the chains do.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from kubelite.node.network.families import FAMILIES, IPV4, IPV6
from kubelite.node.proxy import service_rules
from kubelite.node.proxy.service_rules import Element
from kubelite.node.proxy.services import Node, frontends

HERE, ZONE = "here", "a"
CLUSTER, EXTERNAL, BALANCER = "cluster", "external", "balancer"
ADDRESSES = {
    IPV4: {CLUSTER: "10.96.0.1", EXTERNAL: "192.0.2.1", BALANCER: "192.0.2.2"},
    IPV6: {CLUSTER: "fd00::1", EXTERNAL: "2001:db8::1", BALANCER: "2001:db8::2"},
}
PREFIXES = {IPV4: "10.0.0.", IPV6: "fd00:10::"}
"""Of endpoints, by family; the rest is their number."""
PORT, NODE_PORT, TARGET = 80, 30080, 8080


class Call(NamedTuple):
    """A connection to a Service: to which of its addresses, from a caller on this node or
    outside.
    """

    target: str
    is_inside: bool


class Fate(NamedTuple):
    """What becomes of it: the endpoints it may reach; without any a verdict."""

    endpoints: frozenset[str]
    verdict: str = ""
    is_hidden: bool = False


CALLS = [Call(t, i) for t in (CLUSTER, EXTERNAL, BALANCER, "node") for i in (False, True)]
CONDITIONS = st.fixed_dictionaries(
    {"ready": st.booleans(), "serving": st.booleans(), "terminating": st.booleans()}
)
HINTS = st.one_of(
    st.none(),
    st.sampled_from(["a", "b"]).map(lambda zone: {"forZones": [{"name": zone}]}),
    st.sampled_from([HERE, "there"]).map(
        lambda node: {"forNodes": [{"name": node}], "forZones": [{"name": "a"}]}
    ),
)
ENDPOINTS = st.lists(st.tuples(st.sampled_from([HERE, "there"]), CONDITIONS, HINTS), max_size=6)
SPECS = st.fixed_dictionaries(
    {
        "externalTrafficPolicy": st.sampled_from(["Cluster", "Local"]),
        "internalTrafficPolicy": st.sampled_from(["Cluster", "Local"]),
        "sessionAffinity": st.sampled_from(["None", "ClientIP"]),
    }
)


def objects(spec, endpoints):
    service = {
        "metadata": {"name": "s", "namespace": "d"},
        "spec": {
            **spec,
            "type": "LoadBalancer",
            "clusterIPs": [ADDRESSES[family][CLUSTER] for family in FAMILIES],
            "externalIPs": [ADDRESSES[family][EXTERNAL] for family in FAMILIES],
            "ports": [{"port": PORT, "protocol": "TCP", "nodePort": NODE_PORT}],
        },
        "status": {
            "loadBalancer": {
                "ingress": [{"ip": ADDRESSES[family][BALANCER]} for family in FAMILIES]
            }
        },
    }
    return service, [endpoint_slice(family, endpoints) for family in FAMILIES]


def endpoint_slice(family, endpoints):
    found = []
    for number, (node, conditions, hints) in enumerate(endpoints):
        address = f"{PREFIXES[family]}{number}"
        entry = {"addresses": [address], "nodeName": node, "conditions": conditions}
        found.append({**entry, "hints": hints} if hints else entry)
    ports = [{"name": "", "port": TARGET, "protocol": "TCP"}]
    return {"addressType": family.name, "ports": ports, "endpoints": found}


# -- the model -------------------------------------------------------------------------------------


def usable(endpoints, *, with_hints):
    """Ready endpoints, near ones where all say so; without ready ones those that still serve."""
    ready = {i: (n, h or {}) for i, (n, c, h) in enumerate(endpoints) if c["ready"]}
    if not ready:
        return {i for i, (_, c, _) in enumerate(endpoints) if c["serving"] and c["terminating"]}
    for key, wanted in (("forNodes", HERE), ("forZones", ZONE)):
        if with_hints and all(hints.get(key) for _, hints in ready.values()):
            near = {i for i, (_, h) in ready.items() if {"name": wanted} in h[key]}
            if near:
                return near
    return set(ready)


def expected(call, spec, endpoints, family):
    """What should become of a connection."""
    everywhere = usable(endpoints, with_hints=True)
    local = [e if e[0] == HERE else (e[0], NOWHERE, None) for e in endpoints]
    on_node = usable(local, with_hints=False)
    if call.target == CLUSTER:
        keeps, hides = spec["internalTrafficPolicy"] == "Local", False
    else:
        keeps = spec["externalTrafficPolicy"] == "Local" and not call.is_inside
        hides = spec["externalTrafficPolicy"] == "Cluster"
    used = on_node if keeps else everywhere
    addresses = frozenset(canonical(f"{PREFIXES[family]}{number}") for number in used)
    if addresses:
        return Fate(addresses, is_hidden=hides)
    return Fate(addresses, "drop" if everywhere else "refuse")


def canonical(address):
    return str(ipaddress.ip_address(address))


NOWHERE = {"ready": False, "serving": False, "terminating": False}


# -- the interpreter -------------------------------------------------------------------------------


def carried_out(elements, call, family):
    """What the table does: the maps in the order of its chains."""
    if call.target == "node":
        key, prefix, services = f"tcp . {NODE_PORT}", "node-", "node-ports"
        unserved = "unserved-node-ports"
    else:
        key, prefix, services = f"{ADDRESSES[family][call.target]} . tcp . {PORT}", "", "services"
        unserved = "unserved"
    for collection in (f"inner-{services}", services) if call.is_inside else (services,):
        if chain := elements.get(Element(collection, key)):
            kind, size = chain.split()[1].split("-")[0], int(chain.rsplit("-", 1)[1])
            offset = service_rules.INNER_OFFSET if kind == "inner" else 0
            targets = f"{prefix}endpoints"
            slots = range(offset, offset + size)
            found = {elements[Element(targets, f"{key} . {slot}")] for slot in slots}
            assert all(target.endswith(f" . {TARGET}") for target in found)
            hidden = kind == "lb" and Element(f"{prefix}hidden", key) in elements
            return Fate(frozenset(t.split(" . ")[0] for t in found), is_hidden=hidden)
    verdict = elements.get(Element(unserved, key), "")
    return Fate(frozenset(), verdict.removeprefix("goto "))


@given(SPECS, ENDPOINTS, st.sampled_from(FAMILIES))
def test_every_connection_meets_the_fate_that_the_documentation_says(spec, endpoints, family):
    found = frontends(*objects(spec, endpoints), Node(HERE, ZONE), family)
    elements = service_rules.elements(found)
    for call in CALLS:
        assert carried_out(elements, call, family) == expected(call, spec, endpoints, family), call


@given(SPECS, ENDPOINTS, ENDPOINTS)
def test_a_change_leaves_exactly_what_a_new_table_would_have(spec, before, after):
    """The text of the change, read back and applied to the old elements, gives the new ones."""
    node = Node(HERE, ZONE)
    old = service_rules.elements(frontends(*objects(spec, before), node))
    new = service_rules.elements(frontends(*objects(spec, after), node))
    table = dict(old)
    for line in service_rules.change("t", old, new).splitlines():
        verb, _, _, _, collection, rest = line.split(" ", 5)
        for entry in rest.strip("{} ").split(", "):
            key, _, value = entry.partition(" : ")
            if verb == "delete":
                del table[Element(collection, key)]
            else:
                assert Element(collection, key) not in table
                table[Element(collection, key)] = value
    assert table == new
