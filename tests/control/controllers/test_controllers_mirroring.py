"""EndpointSlices that mirror Endpoints."""

from __future__ import annotations

import pytest

from kubelite.control.controllers.actions import Create, Delete, Update
from kubelite.control.controllers.network.endpointslice_mirroring import plan
from kubelite.control.controllers.view import FixedView

KEY = ("default", "svc")


def service(**spec):
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "svc", "namespace": "default"},
        "spec": spec,
    }


def subset(*ready, late=(), port=80):
    return {
        "addresses": [{"ip": ip} for ip in ready],
        "notReadyAddresses": [{"ip": ip} for ip in late],
        "ports": [{"name": "p", "port": port}],
    }


def endpoints(*subsets, labels=(), annotations=()):
    metadata = {"name": "svc", "namespace": "default", "uid": "u"}
    metadata |= {"labels": dict(labels), "annotations": dict(annotations)}
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": metadata,
        "subsets": list(subsets),
    }


def planned(*objects):
    return plan(FixedView(objects), KEY, 0.0).steps


def made(*objects):
    """The slices that are created, as a server would hold them."""
    actions = planned(*objects)
    assert all(isinstance(action, Create) for action in actions)
    bodies = [action.body for action in actions]
    for number, body in enumerate(bodies):
        body["metadata"] |= {"name": f"svc-{number}", "uid": str(number), "resourceVersion": "1"}
    return bodies


def test_a_slice_for_each_family_and_list_of_ports() -> None:
    slices = made(
        service(),
        endpoints(subset("10.0.0.1", "fd00::1", late=["10.0.0.2"]), subset("10.0.0.3", port=81)),
    )
    assert [(s["addressType"], s["ports"][0]["port"]) for s in slices] == [
        ("IPv4", 80),
        ("IPv6", 80),
        ("IPv4", 81),
    ]
    assert [e["conditions"]["ready"] for e in slices[0]["endpoints"]] == [True, False]
    assert slices[0]["metadata"]["ownerReferences"][0]["kind"] == "Endpoints"


def test_nothing_is_asked_for_twice() -> None:
    objects = service(), endpoints(subset("10.0.0.1"))
    assert planned(*objects, *made(*objects)) == ()


def test_a_changed_slice_keeps_its_name() -> None:
    slices = made(service(), endpoints(subset("10.0.0.1")))
    (update,) = planned(service(), endpoints(subset("10.0.0.9")), *slices)
    assert isinstance(update, Update)
    assert update.body["metadata"]["name"] == "svc-0"
    assert "generateName" not in update.body["metadata"]
    assert update.body["endpoints"][0]["addresses"] == ["10.0.0.9"]


@pytest.mark.parametrize(
    "objects",
    [
        (service(),),
        (endpoints(subset("10.0.0.1")),),
        (service(selector={"app": "web"}), endpoints(subset("10.0.0.1"))),
        (
            service(),
            endpoints(
                subset("10.0.0.1"), labels={"endpointslice.kubernetes.io/skip-mirror": "true"}
            ),
        ),
        (
            service(),
            endpoints(
                subset("10.0.0.1"), annotations={"control-plane.alpha.kubernetes.io/leader": "x"}
            ),
        ),
        (service(), endpoints()),
    ],
)
def test_what_is_not_mirrored(objects) -> None:
    slices = made(service(), endpoints(subset("10.0.0.1")))
    (deletion,) = planned(*objects, *slices)
    assert isinstance(deletion, Delete)
    assert planned(*objects) == ()


def test_a_thousand_addresses_are_mirrored() -> None:
    many = endpoints(subset(*(f"10.0.{n // 250}.{n % 250}" for n in range(1002))))
    event, creation = planned(service(), many)
    assert len(creation.body["endpoints"]) == 1000
    assert event.message == (
        "A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. "
        "2 addresses were skipped"
    )
