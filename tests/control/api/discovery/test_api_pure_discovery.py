import json

import pytest

from kubelite.control.api.discovery import discovery
from kubelite.control.api.kinds import registry
from tests.control.api.pure import RESOURCES, created, widget


def names(listed):
    return [each["name"] for each in listed["resources"]]


def test_core_and_groups():
    assert discovery.core_versions("1.2.3.4:6443")["versions"] == ["v1"]
    groups = {each["name"]: each for each in discovery.groups(RESOURCES)["groups"]}
    assert "" not in groups
    assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    assert [each["version"] for each in groups["autoscaling"]["versions"]] == ["v2", "v1"]
    assert discovery.group(RESOURCES, "apps")["name"] == "apps"
    assert discovery.group(RESOURCES, "none") is None
    assert discovery.group(RESOURCES, "") is None


def test_resources_of_a_version_with_their_subresources():
    listed = discovery.resource_list(RESOURCES, "", "v1")
    assert listed["groupVersion"] == "v1"
    rows = {each["name"]: each for each in listed["resources"]}
    assert rows["pods"]["shortNames"] == ["po"]
    assert rows["pods"]["categories"] == ["all"]
    assert rows["pods"]["singularName"] == "pod"
    assert rows["pods/log"] == {
        "name": "pods/log",
        "singularName": "",
        "namespaced": True,
        "kind": "Pod",
        "verbs": ["get"],
    }
    eviction = rows["pods/eviction"]
    assert (eviction["group"], eviction["version"], eviction["kind"], eviction["verbs"]) == (
        "policy",
        "v1",
        "Eviction",
        ["create"],
    )
    assert rows["serviceaccounts/token"]["kind"] == "TokenRequest"
    assert rows["services/proxy"]["kind"] == "ServiceProxyOptions"
    assert rows["namespaces/finalize"]["verbs"] == ["update"]
    assert discovery.resource_list(RESOURCES, "apps", "v9") is None
    scale = {
        each["name"]: each for each in discovery.resource_list(RESOURCES, "apps", "v1")["resources"]
    }["deployments/scale"]
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")


def test_the_aggregated_documents_say_the_same():
    plain = {(found.group, found.version, found.plural) for found in RESOURCES}
    seen = set()
    for core in (True, False):
        document = discovery.aggregated(RESOURCES, core)
        assert document["apiVersion"] == "apidiscovery.k8s.io/v2"
        for item in document["items"]:
            group = item["metadata"].get("name", "")
            assert (group == "") is core
            for version in item["versions"]:
                for row in version["resources"]:
                    seen.add((group, version["version"], row["resource"]))
                    listed = discovery.resource_list(RESOURCES, group, version["version"])
                    below = {
                        f"{row['resource']}/{each['subresource']}"
                        for each in row.get("subresources", ())
                    }
                    assert below == {
                        name for name in names(listed) if name.startswith(row["resource"] + "/")
                    }
    assert seen == plain
    assert (
        discovery.aggregated(RESOURCES, True, "v2beta1")["apiVersion"]
        == "apidiscovery.k8s.io/v2beta1"
    )


def test_custom_resources_are_discovered_too():
    listed = discovery.resource_list([*RESOURCES, widget(None)], "example.com", "v1")
    assert names(listed) == ["widgets", "widgets/status"]


def test_the_version_names_the_level():
    found = discovery.version_info()
    assert found["gitVersion"].startswith(f"v{found['major']}.{found['minor']}.")
    assert set(found["gitCommit"]) <= set("0123456789abcdef") != set()


TARGET = {
    "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
    "minReplicas": 1,
    "maxReplicas": 3,
}
CPU = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
}
PODS = {
    "type": "Pods",
    "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "3"}},
}


def autoscaler(version, spec, **more):
    return {
        "apiVersion": version,
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "a"},
        "spec": spec,
        "status": {},
        **more,
    }


def annotation(obj, name):
    return json.loads(obj["metadata"]["annotations"][f"autoscaling.alpha.kubernetes.io/{name}"])


def test_an_autoscaler_of_version_2_in_version_1_and_back():
    policy = {"type": "Pods", "value": 1, "periodSeconds": 5}
    up = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [policy]}
    down = {**up, "stabilizationWindowSeconds": 9}
    new = autoscaler(
        "autoscaling/v2",
        {
            **TARGET,
            "minReplicas": 1,
            "metrics": [PODS, CPU],
            "behavior": {"scaleUp": up, "scaleDown": down},
        },
    )
    old = registry.convert(new, "autoscaling/v1")
    assert old["spec"] == {**TARGET, "minReplicas": 1, "targetCPUUtilizationPercentage": 50}
    assert old["status"] == {"currentReplicas": 0, "desiredReplicas": 0}
    assert annotation(old, "metrics") == [
        {"type": "Pods", "pods": {"metricName": "m", "targetAverageValue": "3"}}
    ]
    assert annotation(old, "behavior")["ScaleUp"] == {
        "StabilizationWindowSeconds": 0,
        "SelectPolicy": "Max",
        "Policies": [{"Type": "Pods", "Value": 1, "PeriodSeconds": 5}],
        "Tolerance": None,
    }
    assert registry.convert(old, "autoscaling/v2") == {
        **new,
        "status": {"desiredReplicas": 0, "currentMetrics": None},
    }


@pytest.mark.parametrize(
    ("metric", "written"),
    [
        (
            {
                "type": "Object",
                "object": {
                    "describedObject": {"kind": "K", "name": "n", "apiVersion": "g/v1"},
                    "metric": {"name": "m", "selector": {"matchLabels": {"a": "b"}}},
                    "target": {"type": "Value", "value": "5"},
                },
            },
            {
                "target": {"kind": "K", "name": "n", "apiVersion": "g/v1"},
                "metricName": "m",
                "targetValue": "5",
                "selector": {"matchLabels": {"a": "b"}},
            },
        ),
        (
            {
                "type": "External",
                "external": {
                    "metric": {"name": "m"},
                    "target": {"type": "AverageValue", "averageValue": "2"},
                },
            },
            {"metricName": "m", "targetAverageValue": "2"},
        ),
        (
            {
                "type": "ContainerResource",
                "containerResource": {
                    "name": "memory",
                    "container": "c",
                    "target": {"type": "Utilization", "averageUtilization": 7},
                },
            },
            {"name": "memory", "targetAverageUtilization": 7, "container": "c"},
        ),
    ],
)
def test_metrics_of_every_kind_are_written_as_version_1_had_them(metric, written):
    spec = {**TARGET, "minReplicas": 1, "metrics": [metric, CPU]}
    old = registry.convert(autoscaler("autoscaling/v2", spec), "autoscaling/v1")
    field = metric["type"][0].lower() + metric["type"][1:]
    assert annotation(old, "metrics") == [{"type": metric["type"], field: written}]
    assert registry.convert(old, "autoscaling/v2")["spec"]["metrics"] == [metric, CPU]


def test_an_autoscaler_of_version_1_is_stored_in_version_2_with_its_defaults():
    status = {"currentReplicas": 1, "desiredReplicas": 1, "currentCPUUtilizationPercentage": 10}
    behavior = '{"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 5}]}}'
    old = autoscaler(
        "autoscaling/v1",
        {**TARGET, "targetCPUUtilizationPercentage": 50},
        status=status,
        metadata={
            "name": "a",
            "annotations": {"autoscaling.alpha.kubernetes.io/behavior": behavior},
        },
    )
    new = registry.convert(old, "autoscaling/v2")
    assert new["spec"]["metrics"] == [CPU]
    assert new["spec"]["behavior"]["scaleDown"]["policies"] == [
        {"type": "Percent", "value": 100, "periodSeconds": 15}
    ]
    assert new["status"]["currentMetrics"][0]["resource"]["current"] == {
        "averageUtilization": 10,
        "averageValue": "0",
    }
    shown = registry.convert(new, "autoscaling/v1")
    assert shown["status"] == status
    assert annotation(shown, "current-metrics") == [
        {
            "type": "Resource",
            "resource": {
                "name": "cpu",
                "currentAverageUtilization": 10,
                "currentAverageValue": "0",
            },
        }
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "7",
        '[{"type": 5}]',
        '[{"type": "Pods", "pods": {"metricName": 5}}]',
        '[{"type": "Object", "object": {"target": "x", "targetValue": "many"}}]',
    ],
)
@pytest.mark.parametrize("name", ["metrics", "current-metrics", "behavior", "conditions"])
def test_an_annotation_that_cannot_be_read_says_nothing(name, text):
    annotations = {f"autoscaling.alpha.kubernetes.io/{name}": text, "x": "y"}
    old = autoscaler("autoscaling/v1", TARGET, metadata={"name": "a", "annotations": annotations})
    new = registry.convert(old, "autoscaling/v2")
    assert new["metadata"]["annotations"] == {"x": "y"}
    assert not new["status"].get("currentMetrics")


def test_an_event_in_either_group():
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"namespace": "default"},
    }
    core = created(
        {
            **event,
            "message": "m",
            "count": 2,
            "source": {"component": "c"},
            "firstTimestamp": "2026-01-01T00:00:00Z",
        }
    )
    new = registry.convert(core, "events.k8s.io/v1")
    assert (new["note"], new["deprecatedCount"], new["deprecatedSource"]) == (
        "m",
        2,
        {"component": "c"},
    )
    assert new["regarding"] == core["involvedObject"]
    assert new["eventTime"] is None
    assert registry.convert(new, "v1") == core


@pytest.mark.parametrize("gv", ["example.com/v1", "example.com/v2"])
def test_other_kinds_change_their_name_only(gv):
    obj = {"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"a": 1}}
    assert registry.convert(obj, gv) == {**obj, "apiVersion": gv}
