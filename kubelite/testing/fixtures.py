"""The pytest plug-in that comes with kubelite: ``cluster`` and ``kube``. See docs/testing.md.

Nothing is imported before a test asks for a cluster.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kubelite.testing.cluster import Cluster
    from kubelite.testing.kube import Kube

MAX_NAME = 63


@pytest.fixture(scope="session")
def cluster_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the clusters of a session have their keys: the first takes a while to make them."""
    return tmp_path_factory.mktemp("kubelite")


@pytest.fixture
def cluster(cluster_keys: Path) -> Iterator[Cluster]:
    """A control plane with one node, for one test.

    A fixture of the same name with a wider scope, over ``run_cluster``, shares one between tests.
    """
    from kubelite.testing.cluster import run_cluster

    with run_cluster(cluster_keys) as running:
        yield running


@pytest.fixture
def kube(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Kube]:
    """The cluster as seen from a namespace that is the test's own, and goes with it."""
    from kubelite.client.resources import NAMESPACES
    from kubelite.testing.kube import Kube

    name = namespace_of_test(request.node.name)
    body = {"metadata": {"generateName": f"{name}-"}}
    namespace = cluster.run(cluster.client.create(NAMESPACES, body))["metadata"]["name"]
    yield Kube(cluster, namespace)
    cluster.run(cluster.client.delete(NAMESPACES, namespace))


def namespace_of_test(test: str) -> str:
    """A test's name as a namespace may be called; there is room for a suffix."""
    words = re.sub(r"[^a-z0-9]+", "-", test.lower().removeprefix("test_")).strip("-")
    return words[: MAX_NAME - 10].rstrip("-") or "test"
