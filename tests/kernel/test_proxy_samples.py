"""Services and EndpointSlices at random, by packets: those answer of whom the model in
``tests/node/proxy/test_proxy_model.py`` says so, in both families, and one change after the other.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubelite.node.network import nftables
from kubelite.node.network.families import FAMILIES, IPV4, Family
from kubelite.node.network.pod import PodNetwork
from kubelite.node.proxy.proxy import ServiceProxy
from kubelite.node.proxy.services import Node, frontends
from kubelite.testing.netns import NetworkNamespace
from tests.kernel.test_proxy import Backend
from tests.node.proxy import test_proxy_model as model
from tests.testing import uplink

if os.geteuid() != 0:
    pytest.skip("network namespaces need root", allow_module_level=True)

UPLINK, NEIGHBOUR, KEY = "198.51.100.1", "198.51.100.9", "0a1b2c4d"
UPPER = bytes.fromhex("20010db80001000000000000")
"""Of IPv6 addresses outside; the rest is that of the IPv4 address."""
PATIENCE, IMPATIENCE, CALLS = 5.0, 0.4, 200
WEB = ("d", "s")


class Machine:
    """A node with three endpoints and a client, and its neighbour."""

    def __init__(self, pods: PodNetwork, host: NetworkNamespace, outside: NetworkNamespace) -> None:
        self.backends = [Backend(pods, name) for name in "012"]
        self.client = Backend(pods, "client")
        self.inside, self.outside = (host, self.client.space), outside

    def close(self) -> None:
        for backend in (*self.backends, self.client):
            backend.close()


def outer(address: str, family: Family) -> str:
    """An address outside, or the one that goes with it."""
    return address if family is IPV4 else uplink.outer(address, UPPER)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    run = tmp_path_factory.mktemp("run")
    with ExitStack() as stack:
        host = stack.enter_context(NetworkNamespace())
        stack.enter_context(host.inside())
        gateways = (outer(NEIGHBOUR, family) for family in FAMILIES)
        uplink.add_uplink(*gateways, address=UPLINK, upper=UPPER)
        outside = stack.enter_context(uplink.make_neighbour(NEIGHBOUR, UPLINK, UPPER))
        pods = PodNetwork(str(run), KEY, str(Path(run) / "lock"))
        stack.callback(pods.remove_all)
        machine = Machine(pods, host, outside)
        stack.callback(machine.close)
        yield machine


def answer(client: NetworkNamespace, address: str, port: int, timeout: float) -> tuple[str, str]:
    """Who answers, and whom it sees; without an answer ``refuse`` or ``drop`` and nobody."""
    with client.inside():
        try:
            with socket.create_connection((address, port), timeout) as connection:
                name, _, peer = connection.recv(100).decode().partition(" ")
                return name, peer
        except ConnectionRefusedError:
            return "refuse", ""
        except TimeoutError:
            return "drop", ""


def check(machine: Machine, call: model.Call, fate: model.Fate, family: Family, *, sticks: bool):
    """Calls until every endpoint that the model allows has answered, or one that it does not."""
    number = model.NODE_PORT if call.target == "node" else model.PORT
    is_node = call.target == "node"
    address = outer(UPLINK, family) if is_node else model.ADDRESSES[family][call.target]
    numbers = {int(ipaddress.ip_address(endpoint)) & 0xFF for endpoint in fate.endpoints}
    wanted = set(map(str, numbers)) or {fate.verdict}
    for client in machine.inside if call.is_inside else (machine.outside,):
        seen: set[str] = set()
        for _ in range(CALLS):
            patience = IMPATIENCE if wanted == {"drop"} else PATIENCE
            name, peer = answer(client, address, number, patience)
            seen.add(name)
            assert name in wanted, (call, fate)
            if peer and not call.is_inside:
                assert (peer == outer(NEIGHBOUR, family)) != fate.is_hidden, (call, fate)
            if seen == wanted or sticks:
                break
        if sticks:
            again = answer(client, address, number, PATIENCE)[0] if fate.endpoints else ""
            assert again in {"", *seen}, (call, fate)
        else:
            assert seen == wanted, (call, fate)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_who_answers_is_whom_the_model_lets_answer(machine: Machine, family: Family) -> None:
    proxy = ServiceProxy("kubelite-test-samples", nftables.run, family)
    endpoint_lists = st.lists(
        st.tuples(st.sampled_from([model.HERE, "there"]), model.CONDITIONS, model.HINTS),
        max_size=len(machine.backends),
    )

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(model.SPECS, endpoint_lists)
    def sample(spec, endpoints):
        service, slices = model.objects(spec, endpoints)
        for slice_ in slices:
            for backend, endpoint in zip(machine.backends, slice_["endpoints"], strict=False):
                endpoint["addresses"] = [backend.address, backend.ipv6]
        served = frontends(service, slices, Node(model.HERE, model.ZONE), family)
        own = [family.of([b.address, b.ipv6])[0] for b in machine.backends]
        proxy.apply({WEB: served}, own)
        for call in model.CALLS:
            fate = model.expected(call, spec, endpoints, family)
            sticks = spec["sessionAffinity"] == "ClientIP"
            check(machine, call, fate, family, sticks=sticks)

    sample()
    proxy.stop()
