"""Ranges of addresses for Services: who holds them, and when they may go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubelite.control.controllers.network import service_cidrs
from kubelite.control.controllers.shared.meta import format_time
from kubelite.control.controllers.view import FixedView
from kubelite.testing.cluster import run_cluster
from kubelite.testing.kube import Kube, has_condition
from tests.control.controllers.plain import NOW

TAKEN = {"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}


def cidr(name: str, *networks: str, deleted: float | None = None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "finalizers": [service_cidrs.FINALIZER]}
    if deleted is not None:
        metadata["deletionTimestamp"] = format_time(deleted)
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR"}
    return {**kind, "metadata": metadata, "spec": {"cidrs": list(networks)}}


def address(name: str, **labels: str) -> dict[str, Any]:
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress"}
    return {**kind, "metadata": {"name": name, "labels": labels or TAKEN}}


@pytest.mark.parametrize(
    ("others", "is_needed"),
    [
        ([], False),
        ([address("10.1.0.9")], True),
        ([address("10.2.0.9")], False),
        ([address("10.1.0.9", by="hand")], False),
        ([address("10.1.0.9"), cidr("b", "10.1.0.0/28")], False),
        ([address("10.1.0.99"), cidr("b", "10.1.0.0/28")], True),
        ([address("10.1.0.99"), cidr("b", "10.0.0.0/8")], False),
        ([address("10.1.0.99"), cidr("b", "fd00::/64")], True),
    ],
)
def test_a_range_is_needed_for_addresses_of_no_other(others: list[Any], is_needed: bool) -> None:
    own = cidr("a", "10.1.0.0/24", deleted=NOW)
    view = FixedView([own, *others])
    assert service_cidrs.is_needed(view, own) == is_needed
    plan = service_cidrs.plan(view, ("", "a"), NOW)
    assert (plan.wake_at is None) == is_needed
    later = service_cidrs.plan(view, ("", "a"), NOW + service_cidrs.DELETION_SECONDS)
    (step,) = later.steps
    assert (step.sub == "status") == is_needed  # type: ignore[union-attr]


def test_a_range_with_a_service_in_it_stays(cluster_keys: Path) -> None:
    with run_cluster(cluster_keys) as cluster:
        kube = Kube(cluster, "default")
        range_ = cidr("more", "10.77.0.0/24")
        del range_["metadata"]["finalizers"]
        kube.apply(range_)
        held = kube.wait("servicecidr", "more", has_condition("Ready"))
        assert held["metadata"]["finalizers"] == [service_cidrs.FINALIZER]
        spec = {"clusterIP": "10.77.0.5", "ports": [{"port": 80}]}
        kube.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec})
        kube.delete("servicecidr", "more")
        waits = kube.wait("servicecidr", "more", has_condition("Ready", "False"))
        assert waits["status"]["conditions"][0]["reason"] == "Terminating"
        kube.delete("service", "s")
        kube.cluster.settle()
        cluster.advance(service_cidrs.DELETION_SECONDS)
        kube.wait_gone("servicecidr", "more")
