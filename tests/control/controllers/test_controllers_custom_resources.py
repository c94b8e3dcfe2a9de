"""Custom resources own and are owned like all others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubelite.client.resources import GroupVersionResource
from kubelite.testing.cluster import Cluster, run_cluster
from kubelite.testing.kube import Kube, has_condition
from tests.control.controllers.plain import reference
from tests.testing.widgets import WIDGETS, define, definition

pytest_plugins = ["kubelite.testing.fixtures"]


@pytest.fixture(scope="module")
def cluster(cluster_keys: Path) -> Iterator[Cluster]:
    with run_cluster(cluster_keys) as running:
        yield running


@pytest.fixture
def kube(kube: Kube) -> Kube:
    """With the definition."""
    define(kube, WIDGETS)
    return kube


def create(kube: Kube, kind: str, name: str, *owners: Any, **metadata: Any) -> dict[str, Any]:
    api_version = "v1" if kind == "ConfigMap" else "example.com/v1"
    references = [{**reference(owner), "controller": False} for owner in owners]
    metadata |= {"name": name, "ownerReferences": references}
    (obj,) = kube.apply({"apiVersion": api_version, "kind": kind, "metadata": metadata})
    return obj


def test_dependents_of_a_custom_resource_go_with_it(kube: Kube) -> None:
    owner = create(kube, "Widget", "owner")
    create(kube, "ConfigMap", "dependent", owner)
    create(kube, "Widget", "custom", owner)
    kube.cluster.settle()
    kube.delete("widget", "owner")
    kube.wait_gone("configmap", "dependent")
    kube.wait_gone("widget", "custom")


def test_a_custom_resource_goes_with_its_owner(kube: Kube) -> None:
    owner = create(kube, "ConfigMap", "owner")
    create(kube, "Widget", "dependent", owner)
    kube.delete("configmap", "owner")
    kube.wait_gone("widget", "dependent")


def test_one_that_is_deleted_in_the_foreground_waits_for_its_dependents(kube: Kube) -> None:
    owner = create(kube, "Widget", "owner")
    create(kube, "ConfigMap", "held", owner, finalizers=["example.com/hold"])
    kube.delete("widget", "owner", "Foreground")
    kube.wait("configmap", "held", lambda held: held["metadata"]["deletionTimestamp"])
    kube.cluster.settle()
    assert kube.get("widget", "owner")["metadata"]["finalizers"] == ["foregroundDeletion"]
    kube.patch("configmap", "held", {"metadata": {"finalizers": None}})
    kube.wait_gone("widget", "owner")


def test_orphans_forget_it(kube: Kube) -> None:
    owner = create(kube, "Widget", "owner")
    create(kube, "ConfigMap", "orphan", owner)
    kube.cluster.settle()
    kube.delete("widget", "owner", "Orphan")
    kube.wait_gone("widget", "owner")
    kube.cluster.settle()
    assert "ownerReferences" not in kube.get("configmap", "orphan")["metadata"]


def test_a_kind_that_is_defined_again_is_followed_again(kube: Kube) -> None:
    kube.delete("crd", "widgets.example.com")
    kube.wait_gone("crd", "widgets.example.com")
    kube.cluster.settle()
    resource = GroupVersionResource("example.com", "v1", "widgets")
    assert resource not in followed(kube)
    define(kube, WIDGETS)
    owner = create(kube, "Widget", "owner")
    create(kube, "ConfigMap", "dependent", owner)
    assert resource in followed(kube)
    kube.delete("widget", "owner")
    kube.wait_gone("configmap", "dependent")


def followed(kube: Kube) -> set[GroupVersionResource]:
    """The resources of which the controllers have a view."""
    return set(kube.cluster._plane.controllers._view._known)


SCALE = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
FLEETS = definition("Fleet", subresources={"scale": SCALE})


def guarded_pods(kube: Kube, owner: dict[str, Any], **budget: Any) -> None:
    """Two ready pods that a custom resource controls, and a budget for them."""
    for name in "ab":
        metadata = {"name": name, "labels": {"app": "x"}, "ownerReferences": [reference(owner)]}
        spec = {"containers": [{"name": "c", "image": "img:1"}]}
        kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        kube.wait("pod", name, has_condition("Ready"))
    rules = {"selector": {"matchLabels": {"app": "x"}}, **budget}
    pdb = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "pdb"}}
    kube.apply({**pdb, "spec": rules})


def test_a_budget_asks_a_custom_resource_how_many_pods_it_wants(kube: Kube) -> None:
    define(kube, FLEETS)
    body = {"apiVersion": "example.com/v1", "kind": "Fleet", "metadata": {"name": "f"}}
    (fleet,) = kube.apply({**body, "spec": {"replicas": 3}})
    guarded_pods(kube, fleet, maxUnavailable=2)
    pdb = kube.wait("pdb", "pdb", lambda pdb: pdb["status"]["currentHealthy"] == 2)
    counts = {name: pdb["status"][name] for name in ("expectedPods", "desiredHealthy")}
    assert counts == {"expectedPods": 3, "desiredHealthy": 1}
    assert pdb["status"]["disruptionsAllowed"] == 1


def test_a_budget_cannot_count_pods_of_a_kind_without_a_scale(kube: Kube) -> None:
    guarded_pods(kube, create(kube, "Widget", "w"), minAvailable="50%")
    pdb = kube.wait("pdb", "pdb", has_condition("DisruptionAllowed", "False"))
    (condition,) = pdb["status"]["conditions"]
    assert condition["reason"] == "SyncFailed"
    text = "widgets.example.com does not implement the scale subresource"
    assert condition["message"] == text
