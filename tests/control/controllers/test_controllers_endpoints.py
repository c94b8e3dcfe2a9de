"""EndpointSlices and Endpoints of Services."""

from __future__ import annotations

from kubelite.control.controllers.actions import Create, Delete, Update
from kubelite.control.controllers.network import endpoints, endpointslice
from kubelite.control.controllers.view import FixedView

WEB = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "shop", "uid": "service"},
    "spec": {
        "selector": {"app": "web"},
        "ports": [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}],
        "ipFamilies": ["IPv4"],
    },
}


def pod(number, ready=True, deleted=False, port=8080, **spec):
    metadata = {
        "name": f"p{number:03}",
        "namespace": "shop",
        "uid": f"u{number}",
        "labels": {"app": "web"},
    }
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-31T12:00:00Z"
    container = {"ports": [{"name": "web", "containerPort": port, "protocol": "TCP"}]}
    status = "True" if ready else "False"
    address = f"10.0.{number // 250}.{number % 250}"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"nodeName": "n", "containers": [container], **spec},
        "status": {
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": status}],
        },
    }


def slices(*objects):
    return endpointslice.plan(FixedView([WEB, *objects]), ("shop", "web"), 0.0).steps


def stored(create, name):
    body = dict(create.body)
    body["metadata"] = {**body["metadata"], "name": name, "uid": name}
    return body


def test_ready_serving_and_terminating():
    (create,) = slices(pod(1), pod(2, ready=False), pod(3, deleted=True))
    conditions = [e["conditions"] for e in create.body["endpoints"]]
    assert conditions == [
        {"ready": True, "serving": True, "terminating": False},
        {"ready": False, "serving": False, "terminating": False},
        {"ready": False, "serving": True, "terminating": True},
    ]
    assert create.body["ports"] == [{"name": "http", "protocol": "TCP", "port": 8080}]


def test_a_plan_of_what_it_has_made_is_empty():
    (create,) = slices(pod(1))
    made = stored(create, "web-x")
    assert slices(pod(1), made) == ()
    (update,) = slices(pod(1), pod(2), made)
    assert isinstance(update, Update) and len(update.body["endpoints"]) == 2


def test_a_slice_holds_a_hundred_and_one_that_empties_goes():
    creates = slices(*map(pod, range(150)))
    assert sorted(len(c.body["endpoints"]) for c in creates) == [50, 100]
    made = [stored(create, f"web-{i}") for i, create in enumerate(creates)]
    left = [pod(i) for i in range(100)]
    (delete,) = slices(*left, *made)
    assert isinstance(delete, Delete)
    (empty,) = slices()
    assert isinstance(empty, Create) and empty.body["endpoints"] == []


def test_pods_with_other_numbers_for_a_port_have_a_slice_of_their_own():
    creates = slices(pod(1), pod(2, port=9090))
    assert sorted(c.body["ports"][0]["port"] for c in creates) == [8080, 9090]


def test_services_without_a_selector_are_left_to_others():
    bare = {**WEB, "spec": {**WEB["spec"], "selector": None}}
    view = FixedView([bare, pod(1)])
    assert endpointslice.plan(view, ("shop", "web"), 0.0).steps == ()
    assert endpoints.plan(view, ("shop", "web"), 0.0).steps == ()


def test_endpoints_group_ports_that_the_same_pods_serve():
    service = {**WEB, "spec": {**WEB["spec"]}}
    service["spec"]["ports"] = [
        {"name": "http", "port": 80, "targetPort": "web"},
        {"name": "plain", "port": 81, "targetPort": 81},
    ]
    nameless = pod(2)
    nameless["spec"]["containers"] = [{}]
    view = FixedView([service, pod(1), nameless])
    (create,) = endpoints.plan(view, ("shop", "web"), 0.0).steps
    found = [
        ([p["name"] for p in subset["ports"]], len(subset["addresses"]))
        for subset in create.body["subsets"]
    ]
    assert sorted(found) == [(["http"], 1), (["plain"], 2)]


def test_services_that_prefer_what_is_near_give_hints():
    node = {"apiVersion": "v1", "kind": "Node"}
    node["metadata"] = {"name": "n", "labels": {"topology.kubernetes.io/zone": "z"}}

    def hints(distribution):
        service = {**WEB, "spec": {**WEB["spec"], "trafficDistribution": distribution}}
        view = FixedView([service, node, pod(1), pod(2, ready=False)])
        (create,) = endpointslice.plan(view, ("shop", "web"), 0.0).steps
        return [endpoint.get("hints") for endpoint in create.body["endpoints"]]

    zone = {"forZones": [{"name": "z"}]}
    assert hints(None) == [None, None]
    assert hints("PreferClose") == hints("PreferSameZone") == [zone, None]
    assert hints("PreferSameNode") == [{**zone, "forNodes": [{"name": "n"}]}, None]
