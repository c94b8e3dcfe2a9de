"""Custom resources own and are owned like all others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubelite.client.resources import GroupVersionResource
from kubelite.testing.cluster import Cluster, run_cluster
from kubelite.testing.kube import Kube, has_condition
from tests.testing.widgets import WIDGETS

pytest_plugins = ["kubelite.testing.fixtures"]


@pytest.fixture(scope="module")
def cluster(cluster_keys: Path) -> Iterator[Cluster]:
    with run_cluster(cluster_keys) as running:
        yield running


@pytest.fixture
def kube(kube: Kube) -> Kube:
    """With the definition."""
    kube.apply(WIDGETS)
    kube.wait("crd", "widgets.example.com", has_condition("Established"))
    return kube


def made(kube: Kube, kind: str, name: str, *owners: Any, **metadata: Any) -> dict[str, Any]:
    api_version = "v1" if kind == "ConfigMap" else "example.com/v1"
    references = [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": True,
        }
        for owner in owners
    ]
    metadata |= {"name": name, "ownerReferences": references}
    (obj,) = kube.apply({"apiVersion": api_version, "kind": kind, "metadata": metadata})
    return obj


def test_dependents_of_a_custom_resource_go_with_it(kube: Kube) -> None:
    owner = made(kube, "Widget", "owner")
    made(kube, "ConfigMap", "dependent", owner)
    made(kube, "Widget", "custom", owner)
    kube.cluster.settle()
    kube.delete("widget", "owner")
    kube.wait_gone("configmap", "dependent")
    kube.wait_gone("widget", "custom")


def test_a_custom_resource_goes_with_its_owner(kube: Kube) -> None:
    owner = made(kube, "ConfigMap", "owner")
    made(kube, "Widget", "dependent", owner)
    kube.delete("configmap", "owner")
    kube.wait_gone("widget", "dependent")


def test_one_that_is_deleted_in_the_foreground_waits_for_its_dependents(kube: Kube) -> None:
    owner = made(kube, "Widget", "owner")
    made(kube, "ConfigMap", "held", owner, finalizers=["example.com/hold"])
    kube.delete("widget", "owner", "Foreground")
    kube.wait("configmap", "held", lambda held: held["metadata"]["deletionTimestamp"])
    kube.cluster.settle()
    assert kube.get("widget", "owner")["metadata"]["finalizers"] == ["foregroundDeletion"]
    kube.patch("configmap", "held", {"metadata": {"finalizers": None}})
    kube.wait_gone("widget", "owner")


def test_orphans_forget_it(kube: Kube) -> None:
    owner = made(kube, "Widget", "owner")
    made(kube, "ConfigMap", "orphan", owner)
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
    kube.apply(WIDGETS)
    kube.wait("crd", "widgets.example.com", has_condition("Established"))
    owner = made(kube, "Widget", "owner")
    made(kube, "ConfigMap", "dependent", owner)
    assert resource in followed(kube)
    kube.delete("widget", "owner")
    kube.wait_gone("configmap", "dependent")


def followed(kube: Kube) -> set[GroupVersionResource]:
    """The resources of which the controllers have a view."""
    return set(kube.cluster._plane.controllers._view._known)
