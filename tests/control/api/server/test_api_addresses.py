"""Which servers of a store the Service ``kubernetes`` leads to."""

from __future__ import annotations

from typing import Any

from kubelite.control.api.server import addresses
from kubelite.control.api.server.addresses import Address, alive, observe

ONE, TWO = Address("192.0.2.1", 6443), Address("192.0.2.2", 6443)


def lease(address: Address, renewed: str) -> dict[str, Any]:
    annotations = {addresses.ANNOTATION: addresses.annotation(address)}
    return {"metadata": {"annotations": annotations}, "spec": {"renewTime": renewed}}


def test_a_server_stays_while_its_lease_changes() -> None:
    seen = observe({}, [lease(ONE, "a"), lease(TWO, "a")], [ONE, TWO], 0)
    assert alive({ONE}, seen, 20) == [ONE, TWO]
    seen = observe(seen, [lease(ONE, "b"), lease(TWO, "b")], [ONE, TWO], 20)
    assert alive({ONE}, seen, 40) == [ONE, TWO]
    seen = observe(seen, [lease(ONE, "c"), lease(TWO, "b")], [ONE, TWO], 40)
    assert alive({ONE}, seen, 46) == [ONE]
    assert alive({ONE}, observe(seen, [lease(ONE, "d")], [ONE], 41), 41) == [ONE]


def test_what_a_dead_server_has_left_is_not_announced_again() -> None:
    seen = observe({}, [lease(TWO, "a")], [ONE], 0)
    assert alive({ONE}, seen, 0) == [ONE]
    seen = observe(seen, [lease(TWO, "b")], [ONE], 5)
    assert alive({ONE}, seen, 5) == [ONE, TWO]


def test_all_addresses_have_the_port_of_the_first() -> None:
    other = Address("192.0.2.3", 7443)
    seen = observe({}, [lease(other, "a"), lease(TWO, "a")], [other, TWO], 0)
    assert alive({ONE}, seen, 1) == [ONE, TWO]
    assert alive({other}, seen, 1) == [TWO]


def test_leases_without_an_address_are_of_no_server() -> None:
    for text in ("", "192.0.2.1", "192.0.2.1 x", " 6443"):
        broken = {"metadata": {"annotations": {addresses.ANNOTATION: text}}}
        assert addresses.address_of(broken) is None
    assert addresses.address_of({"metadata": {}}) is None


def test_objects_say_what_was_announced() -> None:
    assert addresses.announced(addresses.endpoints_object([ONE, TWO])) == [ONE, TWO]
    assert addresses.announced({}) == []
