"""A pod whose image takes long: how far it is, and that it can be deleted meanwhile."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.world import Cluster, eventually
from tests.node.image.conftest import Build, build, proxy, registry
from tests.node.image.registry import Proxy, Registry, slowly

__all__ = ["build", "proxy", "registry"]
SIZE = 4 << 20
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: slow}}
spec: {{containers: [{{name: c, image: "{image}"}}]}}
"""


@pytest.fixture
def slow_image(tmp_path: Path, registry: Registry, proxy: Proxy, build: Build) -> Iterator[str]:
    """An image whose layer comes piece by piece, and not wholly before the test is over."""
    ended = threading.Event()
    layer = build.layer(build.entry("file", "f", os.urandom(SIZE)))
    registry.push(build.layout(tmp_path / "layout", [({}, [layer])]).path, "slow:1")
    proxy.disturb = slowly(ended, SIZE, 0.2)
    yield f"{proxy.host}/slow:1"
    ended.set()


def test_a_pod_says_how_far_its_pull_is_and_goes_at_once(cluster: Cluster, slow_image: str) -> None:
    cluster.kubectl("taint", "nodes", "--all", "node.kubernetes.io/not-ready-", check=False)
    cluster.apply(POD.format(image=slow_image))
    row = r"slow +0/1 +Pulling \d+% +0 "
    eventually(lambda: re.match(row, cluster.kubectl("get", "pods", "--no-headers").stdout))
    (status,) = cluster.get("pod", "slow")["status"]["containerStatuses"]
    waiting = status["state"]["waiting"]
    assert waiting["reason"] == "ContainerCreating"
    assert re.fullmatch(
        rf'Pulling image "{slow_image}": \d+% \(.* of 4\.20 MB, .*/s\)', waiting["message"]
    )
    assert "Pulling" in cluster.kl("pod", "ls").stdout

    def announced() -> bool:
        events = cluster.get("events", "--field-selector", "reason=Pulling")["items"]
        return any("% (" in event["message"] for event in events)

    eventually(announced)
    cluster.kubectl("delete", "pod", "slow", "--timeout=20s")
