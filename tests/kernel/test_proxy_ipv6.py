"""Services with IPv6 addresses, by packets: what the proxy's second table does."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest

from kubelite.node.network import nftables
from kubelite.node.network.families import IPV6
from kubelite.node.proxy import netfilter
from kubelite.node.proxy.proxy import ServiceProxy
from kubelite.node.proxy.services import Endpoint, Frontend, Node, frontends
from tests.kernel.test_proxy import (  # noqa: F401
    TABLE,
    WEB,
    Backend,
    ask,
    backends,
    call,
    host,
    network,
)

VIP = "fd00:10:96::10"


@pytest.fixture
def proxy(host) -> Iterator[ServiceProxy]:  # noqa: F811
    proxy = ServiceProxy(TABLE, nftables.run, IPV6)
    proxy.apply({}, [])
    yield proxy
    proxy.stop()
    assert not nftables.has_table(TABLE, IPV6.nft)


def endpoints(*pods: Backend) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(pod.ipv6, 8080) for pod in pods)


def serve(proxy: ServiceProxy, pods: list[Backend], *served: Frontend) -> set[Endpoint]:
    return proxy.apply({WEB: served}, [pod.ipv6 for pod in pods])


def test_connections_are_spread_and_keep_their_source(proxy, backends, host):  # noqa: F811
    serve(proxy, backends, Frontend(VIP, "tcp", 80, endpoints(*backends)))
    client = backends[0]
    answers = [call(client.space, VIP, 80) for _ in range(60)]
    assert set(Counter(name for name, _ in answers)) == {"a", "b", "c"}
    assert {peer for name, peer in answers if name != "a"} == {client.ipv6}


def test_a_client_with_affinity_stays_while_its_endpoint_is_there(proxy, backends):  # noqa: F811
    frontend = Frontend(VIP, "tcp", 80, endpoints(*backends), affinity_seconds=60)
    serve(proxy, backends, frontend)
    client = backends[0].space
    (name,) = {call(client, VIP, 80)[0] for _ in range(20)}
    left = [backend for backend in backends if backend.name != name]
    serve(proxy, backends, frontend._replace(endpoints=endpoints(*left)))
    (other,) = {call(client, VIP, 80)[0] for _ in range(20)}
    assert other != name


def test_udp_clients_that_go_on_sending_reach_the_new_endpoint(proxy, backends):  # noqa: F811
    frontend = Frontend(VIP, "udp", 53, endpoints(backends[0]))
    serve(proxy, backends, frontend)
    client = backends[1].space
    assert ask(client, VIP, 53, source_port=5000) == "a"
    gone = serve(proxy, backends, frontend._replace(endpoints=endpoints(backends[2])))
    assert ask(client, VIP, 53, source_port=5000) == "a", "the kernel still tracks the old flow"
    assert netfilter.forget_udp(gone, IPV6) == 1
    assert ask(client, VIP, 53, source_port=5000) == "c"


def test_a_service_without_endpoints_refuses(proxy, backends):  # noqa: F811
    subprocess.run(["ip", "-6", "route", "add", "fd00:10:96::/112", "dev", "up0"], check=True)
    serve(proxy, backends, Frontend(VIP, "tcp", 80, ()))
    with pytest.raises(ConnectionRefusedError):
        call(backends[0].space, VIP, 80)
    subprocess.run(["ip", "-6", "route", "del", "fd00:10:96::/112", "dev", "up0"], check=True)


@pytest.mark.parametrize(
    ("ranges", "passes"),
    [(["203.0.113.0/24"], True), (["fd00::/16", "203.0.113.0/24"], False), (["FD6B::/16"], True)],
)
def test_source_ranges_are_those_of_the_family(proxy, backends, ranges, passes):  # noqa: F811
    """As with kube-proxy, ranges of the other family restrict nothing."""
    target = {"addressType": "IPv6", "ports": [{"name": "", "port": 8080}]}
    target["endpoints"] = [{"addresses": [backends[1].ipv6]}]
    spec = {"clusterIPs": ["fd00:10:96::11"], "ports": [{"port": 80}]}
    spec["loadBalancerSourceRanges"] = ranges
    status = {"loadBalancer": {"ingress": [{"ip": VIP}]}}
    service = {"metadata": {"name": "web"}, "spec": spec, "status": status}
    serve(proxy, backends, *frontends(service, [target], Node("here"), IPV6))
    try:
        answered = call(backends[0].space, VIP, 80)[0]
    except TimeoutError:
        answered = ""
    assert answered == ("b" if passes else "")
