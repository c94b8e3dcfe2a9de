"""The application of ``scripts/three-tier``, from its first pod to its last."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.cluster.world import Cluster
from tests.control.debian import kubectl_of

SCRIPT = Path(__file__).parents[2] / "scripts" / "three-tier"
SECONDS = 900


def test_an_application_is_deployed_scaled_updated_and_healed(cluster: Cluster) -> None:
    cluster.kubectl("taint", "nodes", "--all", "node.kubernetes.io/not-ready-", check=False)
    own = {
        "KUBECONFIG": cluster.kubeconfig,
        "KUBECTL": kubectl_of("new"),
        "KUBELITE": f"{sys.executable} -m kubelite",
    }
    done = subprocess.run(
        [str(SCRIPT)],
        env={**os.environ, **cluster.env, **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-3000:]
    assert done.stdout.count("lost: 0") == 2  # updated; healed where another replica is there
    assert cluster.get("pods")["items"] == []
