import json

import msgspec
import pytest

from kubelite.control.api.schema import structs
from kubelite.objects.facts import schema


def written(name, obj):
    return json.loads(structs.encoded(structs.read(name, obj)))


def container(**fields):
    return written("core.v1.Container", {"name": "c", **fields})


def test_what_is_empty_is_left_out_and_what_a_server_writes_empty_is_not():
    assert container(image="", command=[], stdin=False) == {"name": "c", "resources": {}}
    assert written("core.v1.PodSpec", {}) == {"containers": None}
    assert written("rbac.v1.Role", {})["rules"] is None


def test_the_zero_of_a_pointer_is_a_value():
    spec = written("apps.v1.DeploymentSpec", {"replicas": 0, "paused": False})
    assert spec["replicas"] == 0
    assert "paused" not in spec
    assert (
        written("core.v1.PodSpec", {"automountServiceAccountToken": False})[
            "automountServiceAccountToken"
        ]
        is False
    )


def test_an_empty_pointer_to_a_struct_stays():
    assert written("core.v1.Volume", {"name": "v", "emptyDir": {}}) == {"name": "v", "emptyDir": {}}


def test_fields_come_out_in_the_servers_order_and_map_keys_sorted():
    text = structs.encoded(
        structs.read(
            "core.v1.Container",
            {"image": "i", "name": "c", "resources": {"limits": {"memory": "1", "cpu": "1"}}},
        )
    )
    assert text == b'{"name":"c","image":"i","resources":{"limits":{"cpu":"1","memory":"1"}}}'


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        (0.5, "500m"),
        ("0.5", "500m"),
        (1, "1"),
        ("1000m", "1"),
        ("1024Mi", "1Gi"),
        ("1e3", "1e3"),
        (" 2 ", "2"),
        ("100m", "100m"),
    ],
)
def test_quantities_take_their_canonical_form(given, canonical):
    limits = container(resources={"limits": {"cpu": given}})["resources"]["limits"]
    assert limits == {"cpu": canonical}


@pytest.mark.parametrize("given", ["x", True, [], "1.2.3", ""])
def test_what_is_no_quantity_is_refused(given):
    with pytest.raises(msgspec.ValidationError, match="quantities must match"):
        container(resources={"limits": {"cpu": given}})


@pytest.mark.parametrize(
    ("given", "seconds", "micros"),
    [
        ("2026-01-02T03:04:05.000001Z", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000001Z"),
        ("2026-01-02T03:04:05.123456Z", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456Z"),
        ("2026-01-02T03:04:05.000000+02:00", "2026-01-02T01:04:05Z", "2026-01-02T01:04:05.000000Z"),
        ("2026-01-02T03:04:05.500000+02:00", "2026-01-02T01:04:05Z", "2026-01-02T01:04:05.500000Z"),
    ],
)
def test_times_are_utc_to_the_second_or_the_microsecond(given, seconds, micros):
    event = written("core.v1.Event", {"firstTimestamp": given, "eventTime": given})
    assert (event["firstTimestamp"], event["eventTime"]) == (seconds, micros)


@pytest.mark.parametrize(
    "given", ["2026-01-02", "now", "2026-13-02T03:04:05Z", 3, "2026-01-02T03:04:05"]
)
def test_what_is_no_time_is_refused(given):
    with pytest.raises(msgspec.ValidationError):
        structs.read("meta.v1.ObjectMeta", {"creationTimestamp": given})


def test_numbers_fit_their_type():
    assert (
        written("core.v1.ContainerPort", {"containerPort": 2**31 - 1})["containerPort"] == 2**31 - 1
    )
    with pytest.raises(msgspec.ValidationError):
        structs.read("core.v1.ContainerPort", {"containerPort": 2**31})


def test_bytes_must_be_base64():
    assert written("core.v1.Secret", {"data": {"a": "Yg=="}})["data"] == {"a": "Yg=="}
    with pytest.raises(msgspec.ValidationError, match="illegal base64 data at input byte 0"):
        structs.read("core.v1.Secret", {"data": {"a": "!"}})


def test_a_strict_struct_refuses_what_it_does_not_know_and_a_plain_one_drops_it():
    assert container(extra=1) == {"name": "c", "resources": {}}
    with pytest.raises(msgspec.ValidationError, match="extra"):
        structs.read("core.v1.Container", {"name": "c", "extra": 1}, strict=True)


def test_names_that_python_cannot_say_are_read_and_written():
    rule = {"from": [{"podSelector": {}}]}
    assert written("networking.v1.NetworkPolicyIngressRule", rule) == rule
    assert structs.attribute("from") == "from_"


def test_raw_values_are_kept_as_they_are():
    data = {"b": None, "a": [1, {"z": ""}]}
    assert written("apps.v1.ControllerRevision", {"data": data, "revision": 1})["data"] == data


@pytest.mark.parametrize("name", schema.names())
def test_an_empty_document_of_every_definition_is_stable(name):
    empty = structs.empty(name)
    assert json.loads(json.dumps(empty)) == empty
