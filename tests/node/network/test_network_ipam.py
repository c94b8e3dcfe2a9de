"""Which subnet a home gets, and which address a pod."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.node.network import ipam, names
from kubelite.node.network.errors import NoAddress
from kubelite.node.network.ipam import Route

POOL = IPv4Network("10.208.0.0/12")
keys = st.integers(0, 2**32 - 1).map(lambda n: f"{n:08x}")
networks = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(
    lambda pair: IPv4Network(pair, strict=False)
)

TABLE = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
kl-0a1b2c3d\t003DDC0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""


def route(network: IPv4Network, interface: str = "x0") -> Route:
    return Route(interface, int(network.network_address), int(network.netmask))


def chosen(key: str, routes: list[Route], own: str = "kl-0") -> IPv4Network:
    return IPv4Network((ipam.choose_subnet(key, routes, own), ipam.PREFIX))


def test_routes_are_read_in_the_byte_order_of_the_kernel() -> None:
    found = [
        (r.interface, ipam.text(r.address), ipam.text(r.mask)) for r in ipam.parse_routes(TABLE)
    ]
    assert found == [
        ("eth0", "0.0.0.0", "0.0.0.0"),
        ("eth0", "192.0.2.0", "255.255.255.0"),
        ("kl-0a1b2c3d", "10.220.61.0", "255.255.255.0"),
    ]


@given(keys, st.lists(networks.filter(lambda n: n.prefixlen > 12), max_size=8))
def test_a_subnet_lies_in_the_pool_and_overlaps_with_no_route(
    key: str, taken: list[IPv4Network]
) -> None:
    subnet = chosen(key, [route(n) for n in taken])
    assert subnet.subnet_of(POOL)
    assert not any(subnet.overlaps(n) for n in taken)


@given(keys)
def test_a_home_finds_its_subnet_again_and_its_neighbour_another(key: str) -> None:
    first = chosen(key, [])
    assert chosen(key, []) == first
    assert chosen(key, [route(first)]) != first
    assert chosen(key, [route(first, names.bridge(key))], names.bridge(key)) == first


def test_the_bridge_that_is_there_keeps_its_subnet_even_when_others_came_between() -> None:
    there = IPv4Network("10.209.7.0/24")
    assert chosen("00000000", [route(there, "kl-00000000")], "kl-00000000") == there


@pytest.mark.parametrize("wide", ["0.0.0.0/0", "10.0.0.0/8", "10.208.0.0/12"])
def test_a_route_as_wide_as_the_pool_is_left_aside(wide: str) -> None:
    assert chosen("0000002a", [route(IPv4Network(wide))]) == IPv4Network("10.208.42.0/24")


def test_a_pool_that_is_used_up_is_told() -> None:
    halves = [route(half) for half in POOL.subnets(new_prefix=13)]
    with pytest.raises(NoAddress, match="no subnet is left"):
        ipam.choose_subnet("00000000", halves, "kl-0")


@given(keys, st.lists(st.uuids().map(str), min_size=1, max_size=60, unique=True))
def test_addresses_are_usable_and_never_given_twice(key: str, uids: list[str]) -> None:
    subnet = ipam.choose_subnet(key, [], "kl-0")
    taken: set[int] = set()
    for uid in uids:
        taken.add(ipam.choose_address(subnet, uid, taken))
    assert len(taken) == len(uids)
    assert ipam.gateway(subnet) not in taken
    assert all(IPv4Address(a) in list(IPv4Network((subnet, 24)).hosts()) for a in taken)
    assert {ipam.subnet_of(a) for a in taken} == {subnet}


def test_every_address_is_found_before_the_subnet_is_full() -> None:
    subnet = ipam.number("10.208.0.0")
    taken: set[int] = set()
    for number in range(253):
        taken.add(ipam.choose_address(subnet, f"pod-{number}", taken))
    with pytest.raises(NoAddress, match=r"all 253 addresses of 10\.208\.0\.0/24"):
        ipam.choose_address(subnet, "one-more", taken)


@given(st.integers(0, 2**32 - 1))
def test_addresses_as_text_and_back(number: int) -> None:
    assert ipam.text(number) == str(IPv4Address(number))
    assert ipam.number(ipam.text(number)) == number


@pytest.mark.parametrize(
    "text", ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.x", "::1", "1.2.3.-4", "1.2.3.٤"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="not an IPv4 address"):
        ipam.number(text)


@given(keys, st.integers(0, 2**32 - 1))
def test_names_fit_the_kernel_and_are_told_apart(key: str, address: int) -> None:
    port = names.port(key, ipam.text(address))
    assert len(port) <= 15 and port.startswith(names.bridge(key))
    assert names.is_bridge(names.bridge(key)) and not names.is_bridge(port)
    assert names.is_table(names.table(key)) and not names.is_table("kubelite")
