"""What a pod gets where its manifest says nothing."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from kubelite.objects.rules.pods import defaults


def defaulted(spec: dict[str, Any], asked: str | None = None, **metadata: Any) -> dict[str, Any]:
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", **metadata},
        "spec": spec,
    }
    document = deepcopy(manifest)
    defaults.pod(document, asked or "")
    return document


def container(**fields: Any) -> dict[str, Any]:
    return defaulted({"containers": [{"name": "c", "image": "i", **fields}]})["spec"]["containers"][
        0
    ]


def test_the_smallest_pod() -> None:
    assert defaulted({"containers": [{"name": "c", "image": "i"}]}) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {
            "containers": [
                {
                    "name": "c",
                    "image": "i",
                    "imagePullPolicy": "Always",
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                },
            ],
            "dnsPolicy": "ClusterFirst",
            "enableServiceLinks": True,
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "terminationGracePeriodSeconds": 30,
        },
    }


def test_what_is_said_stays() -> None:
    spec = {
        "containers": [
            {
                "name": "c",
                "image": "i",
                "imagePullPolicy": "Never",
                "terminationMessagePath": "/log",
                "ports": [{"containerPort": 53, "protocol": "UDP"}],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "10m"}},
            }
        ],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "enableServiceLinks": False,
    }
    found = defaulted(spec, "here")
    assert found["metadata"]["namespace"] == "here"
    assert (found["spec"]["restartPolicy"], found["spec"]["terminationGracePeriodSeconds"]) == (
        "Never",
        0,
    )
    assert found["spec"]["enableServiceLinks"] is False
    first = found["spec"]["containers"][0]
    assert (first["imagePullPolicy"], first["terminationMessagePath"]) == ("Never", "/log")
    assert first["ports"][0]["protocol"] == "UDP"
    assert first["resources"]["requests"] == {"cpu": "10m", "memory": "1Gi"}


def test_a_namespace_of_its_own_goes_before_the_one_asked_for() -> None:
    spec = {"containers": [{"name": "c", "image": "i"}]}
    assert defaulted(spec, "asked", namespace="own")["metadata"]["namespace"] == "own"


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.29", "IfNotPresent"),
        ("host:5000/nginx", "Always"),
        ("host:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:" + "0" * 64, "IfNotPresent"),
        ("nginx:latest@sha256:" + "0" * 64, "Always"),
        ("nginx:1@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_from_the_tag(image: str, policy: str) -> None:
    assert container(image=image)["imagePullPolicy"] == policy


def test_probes_and_hooks() -> None:
    found = container(
        livenessProbe={"httpGet": {"port": 80}},
        readinessProbe={"grpc": {"port": 81}, "periodSeconds": 5},
        lifecycle={"preStop": {"httpGet": {"port": "web", "path": "/bye"}}},
    )
    assert found["livenessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert (found["readinessProbe"]["periodSeconds"], found["readinessProbe"]["grpc"]) == (
        5,
        {"port": 81, "service": ""},
    )
    assert found["lifecycle"]["preStop"]["httpGet"] == {
        "port": "web",
        "path": "/bye",
        "scheme": "HTTP",
    }


def test_variables_from_fields_and_resources() -> None:
    found = container(
        env=[
            {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        ]
    )
    assert found["env"][0]["valueFrom"]["fieldRef"] == {
        "fieldPath": "metadata.name",
        "apiVersion": "v1",
    }
    assert found["env"][1]["valueFrom"]["resourceFieldRef"] == {
        "resource": "limits.cpu",
        "divisor": "0",
    }


def test_volumes() -> None:
    spec = {
        "containers": [{"name": "c", "image": "i"}],
        "volumes": [
            {"name": "none"},
            {"name": "host", "hostPath": {"path": "/x"}},
            {"name": "map", "configMap": {"name": "m"}},
            {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        ],
    }
    assert defaulted(spec)["spec"]["volumes"] == [
        {"name": "none", "emptyDir": {}},
        {"name": "host", "hostPath": {"path": "/x", "type": ""}},
        {"name": "map", "configMap": {"name": "m", "defaultMode": 420}},
        {
            "name": "token",
            "projected": {
                "defaultMode": 420,
                "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
            },
        },
    ]


def test_ports_on_the_hosts_network_are_ports_of_the_host() -> None:
    ports = [{"containerPort": 80}, {"containerPort": 81, "hostPort": 81}]
    spec = {"hostNetwork": True, "containers": [{"name": "c", "image": "i", "ports": ports}]}
    assert [port["hostPort"] for port in defaulted(spec)["spec"]["containers"][0]["ports"]] == [
        80,
        81,
    ]


def test_what_only_a_server_sets_is_taken_out_and_nothing_else() -> None:
    server = {"uid": "u", "resourceVersion": "7", "generation": 1,
              "creationTimestamp": "2026-01-01T00:00:00Z",
              "deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 3,
              "selfLink": "/x",
              "managedFields": [{"manager": "m"}]}  # fmt: skip
    kept = {"name": "p", "namespace": "n", "labels": {"a": "b"}, "annotations": {"c": "d"}}
    spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": "x"}
    shown = {"metadata": {**kept, **server}, "spec": spec, "status": {"phase": "Running"}}
    defaults.without_server_fields(shown)
    assert shown == {"metadata": kept, "spec": spec}


def test_defaulting_twice_changes_nothing() -> None:
    spec = {
        "containers": [
            {"name": "c", "image": "i", "livenessProbe": {"exec": {"command": ["true"]}}}
        ],
        "volumes": [{"name": "v"}],
    }
    once = defaulted(spec, "n")
    twice = deepcopy(once)
    defaults.pod(twice, "other")
    assert twice == once
    assert once["metadata"]["namespace"] == "n"


def test_amounts_are_kept_to_the_thousandth() -> None:
    limits = {"cpu": "100u", "memory": "1500u", "example.com/a": "2"}
    resources = container(resources={"limits": limits})["resources"]
    assert resources["limits"] == {"cpu": "1m", "memory": "2m", "example.com/a": "2"}


def test_a_pod_with_resources_of_its_own_requests_what_its_containers_do() -> None:
    main = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}
    found = defaulted(
        {"containers": [main], "resources": {"limits": {"cpu": "4", "memory": "1Gi"}}}
    )
    assert found["spec"]["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
