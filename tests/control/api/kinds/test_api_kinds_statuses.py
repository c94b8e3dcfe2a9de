"""What a write to a status may say: conditions, addresses of load balancers, sizes of claims."""

import pytest

from kubelite.control.api.kinds.registry import KINDS

WHEN = "2024-01-01T00:00:00Z"
CONDITION = {"type": "A", "status": "True", "reason": "Why", "lastTransitionTime": WHEN}


def refused(group, kind, status, spec=None):
    check = KINDS[group, kind].check_subresource["status"]
    new = {"spec": spec or {}, "status": status}
    return [cause.field for cause in check(new, {"spec": spec or {}, "status": {}})]


@pytest.mark.parametrize(
    ("changed", "fields"),
    [
        ({}, []),
        ({"type": "Bad Key!"}, ["type"]),
        ({"status": "yes"}, ["status"]),
        ({"observedGeneration": -1}, ["observedGeneration"]),
        ({"lastTransitionTime": None}, ["lastTransitionTime"]),
        ({"reason": ""}, ["reason"]),
        ({"reason": "no words"}, ["reason"]),
        ({"reason": "a" * 1025}, ["reason"]),
        ({"message": "a" * 32769}, ["message"]),
    ],
)
def test_a_condition_says_when_and_why(changed, fields):
    found = refused("policy", "PodDisruptionBudget", {"conditions": [{**CONDITION, **changed}]})
    assert found == [f"status.conditions[0].{field}" for field in fields]


def test_a_condition_is_there_once():
    found = refused("policy", "PodDisruptionBudget", {"conditions": [CONDITION, CONDITION]})
    assert found == ["status.conditions[1].type"]


@pytest.mark.parametrize(
    ("point", "fields"),
    [
        ({"ip": "10.0.0.1", "ipMode": "VIP"}, []),
        ({"ip": "10.0.0.1"}, ["ipMode"]),
        ({"ip": "10.0.0.1", "ipMode": "Other"}, ["ipMode"]),
        ({"ip": "x", "ipMode": "Proxy"}, ["ip"]),
        ({"hostname": "a.example", "ipMode": "VIP"}, ["ipMode"]),
        ({"hostname": "10.0.0.1"}, ["hostname"]),
        ({"hostname": "Bogus!"}, ["hostname"]),
    ],
)
def test_a_load_balancer_answers_at_addresses_and_names(point, fields):
    status = {"loadBalancer": {"ingress": [point]}}
    found = refused("", "Service", status, {"type": "LoadBalancer"})
    assert found == [f"status.loadBalancer.ingress[0].{field}" for field in fields]


def test_other_services_have_no_load_balancer():
    status = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}
    assert refused("", "Service", status, {"type": "ClusterIP"}) == ["status.loadBalancer.ingress"]


def test_an_ingress_answers_at_addresses_and_names():
    points = [{"ip": "10.0.0.1"}, {"hostname": "10.0.0.1"}, {"ip": "x"}]
    assert refused("networking.k8s.io", "Ingress", {"loadBalancer": {"ingress": points}}) == [
        "status.loadBalancer.ingress[1].hostname",
        "status.loadBalancer.ingress[2].ip",
    ]


def test_the_sizes_of_a_claim():
    status = {
        "capacity": {"storage": "-1"},
        "allocatedResources": {"storage": "-1", "cpu": "1", "Bad Key!": "1"},
    }
    assert refused("", "PersistentVolumeClaim", status) == [
        "status.capacity[storage]",
        "status.allocatedResources[storage]",
        "status.allocatedResources",
        "status.allocatedResources",
    ]


def test_a_health_check_port_never_changes():
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30001}
    check = KINDS["", "Service"].check_update
    other = {"spec": {**spec, "healthCheckNodePort": 30002}}
    assert [(cause.field, cause.message) for cause in check(other, {"spec": spec})] == [
        ("spec.healthCheckNodePort", "Forbidden: field is immutable")
    ]


def test_what_becomes_of_claims_is_retain_or_delete():
    spec = {
        "selector": {"matchLabels": {"a": "b"}},
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "OnDelete"},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "x", "whenScaled": "Delete"},
        "template": {"metadata": {"labels": {"a": "b"}}},
    }
    found = {cause.field for cause in KINDS["apps", "StatefulSet"].check({"spec": spec})}
    assert "spec.persistentVolumeClaimRetentionPolicy.whenDeleted" in found
    assert "spec.persistentVolumeClaimRetentionPolicy.whenScaled" not in found
