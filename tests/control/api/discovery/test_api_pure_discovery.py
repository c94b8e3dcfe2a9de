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


def test_an_autoscaler_of_version_2_in_version_1_and_back():
    new = autoscaler(
        "autoscaling/v2",
        {**TARGET, "metrics": [PODS, CPU], "behavior": {"scaleUp": {"selectPolicy": "Max"}}},
    )
    old = registry.convert(new, "autoscaling/v1")
    assert old["spec"] == {**TARGET, "targetCPUUtilizationPercentage": 50}
    assert old["status"] == {"currentReplicas": 0, "desiredReplicas": 0}
    assert json.loads(
        old["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/metrics"]
    ) == [PODS]
    assert registry.convert(old, "autoscaling/v2") == {
        **new,
        "status": {"desiredReplicas": 0, "currentMetrics": None},
    }


def test_an_autoscaler_of_version_1_is_stored_in_version_2():
    status = {"currentReplicas": 1, "desiredReplicas": 1, "currentCPUUtilizationPercentage": 10}
    old = autoscaler(
        "autoscaling/v1", {**TARGET, "targetCPUUtilizationPercentage": 50}, status=status
    )
    new = registry.convert(old, "autoscaling/v2")
    assert new["spec"]["metrics"] == [CPU]
    assert new["status"]["currentMetrics"][0]["resource"]["current"] == {"averageUtilization": 10}
    assert registry.convert(new, "autoscaling/v1") == old


def test_a_damaged_annotation_says_nothing():
    old = autoscaler(
        "autoscaling/v1",
        TARGET,
        metadata={
            "name": "a",
            "annotations": {"autoscaling.alpha.kubernetes.io/metrics": "{", "x": "y"},
        },
    )
    assert registry.convert(old, "autoscaling/v2")["metadata"] == {
        "name": "a",
        "annotations": {"x": "y"},
    }


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
