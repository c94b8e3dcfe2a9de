"""A pod whose image takes long: how far it is, and that it can be deleted meanwhile."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.world import Cluster, eventually
from tests.node.image.conftest import Build
from tests.node.image.registry import Proxy, Registry

SIZE = 4 << 20
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: slow}}
spec: {{containers: [{{name: c, image: "{image}"}}]}}
"""


@pytest.fixture
def slow_image(tmp_path: Path) -> Iterator[str]:
    """An image whose layer comes piece by piece, and never wholly."""
    registry, build, ended = Registry(tmp_path / "registry"), Build(), threading.Event()
    proxy = Proxy(registry)

    def trickle(handler: Any, path: str, body: bytes) -> bool:
        if "/blobs/" not in path or len(body) < SIZE:
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        for start in range(0, len(body) // 2, len(body) // 400):
            handler.wfile.write(body[start : start + len(body) // 400])
            if ended.wait(0.2):
                return True
        ended.wait()
        return True

    try:
        layer = build.layer(build.entry("file", "f", os.urandom(SIZE)))
        registry.push(build.layout(tmp_path / "layout", [({}, [layer])]).path, "slow:1")
        proxy.disturb = trickle
        yield f"{proxy.host}/slow:1"
    finally:
        ended.set()
        proxy.close()
        registry.close()


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
