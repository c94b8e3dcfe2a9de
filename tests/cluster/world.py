"""A whole cluster of a test's own: ``kubelite up`` with a real kubectl, and the proof that ``down``
leaves the machine as it was.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kubelite.testing.host import difference, snapshot
from tests.cluster.terminal import Terminal
from tests.control.debian import free_ports, kubectl_of
from tests.e2e.world import SLOW, TIMEOUT, World

PATIENCE = 30 * SLOW


class Cluster(World):
    """A root with a cluster that is up."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.ports = free_ports(2)
        self.kubeconfig = str(root / "cluster" / "default" / "kubeconfig")
        self._kubectl = [kubectl_of("new")]
        self._env = {**self.env, "KUBECONFIG": self.kubeconfig, "HOME": str(root)}

    def up(self, *options: str) -> None:
        """``kubelite up`` on ports of this cluster's own."""
        api, kubelet = (str(port) for port in self.ports)
        self.kl("up", "--port", api, "--kubelet-port", kubelet, "--allow-host-image", *options)

    def terminal(self, *words: str) -> Terminal:
        """``kubectl WORDS`` in a terminal of its own."""
        return Terminal([*self._kubectl, *words], self._env)

    def kubectl(
        self, *words: str, given: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Runs kubectl; with ``check`` a failure fails the test."""
        done = subprocess.run(
            [*self._kubectl, *words],
            input=given,
            capture_output=True,
            text=True,
            env=self._env,
            timeout=TIMEOUT,
        )
        if check:
            assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
        return done

    def apply(self, manifest: str) -> None:
        """``kubectl apply`` of a text."""
        self.kubectl("apply", "-f", "-", given=manifest)

    def get(self, *words: str) -> Any:
        """An object or list as JSON."""
        return json.loads(self.kubectl("get", *words, "-o", "json").stdout)

    def record(self) -> dict[str, Any]:
        """The supervisor's record."""
        path = self.root / "cluster" / "default" / "supervisor.json"
        return json.loads(path.read_text().splitlines()[0])

    def child(self, name: str) -> int:
        """The pid of a process of the cluster."""
        children = {child["name"]: child["pid"] for child in self.record()["children"]}
        return int(children[name])

    def logs_of_processes(self) -> str:
        """What the processes of the cluster have logged, for the message of a failure."""
        paths = sorted((self.root / "cluster" / "default").glob("*.log"))
        return "".join(f"--- {path.name}\n{path.read_text()[-2000:]}" for path in paths)


def eventually(check: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What ``check`` returns as soon as it is true and raises nothing."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = check()
            if found:
                return found
        except (AssertionError, LookupError, OSError, subprocess.SubprocessError):
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, f"never true: {check}"
        time.sleep(0.05)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of the test's own."""
    with cluster_that_is_up(tmp_path / "root") as world:
        yield world


@contextmanager
def cluster_that_is_up(root: Path, *options: str) -> Iterator[Cluster]:
    """A cluster that is up with these ``options``; afterwards nothing of it is left on the
    machine.
    """
    if os.geteuid() != 0:
        pytest.skip("pods need root")
    world = Cluster(root)
    before = snapshot(str(world.root))
    try:
        world.up(*options)
        yield world
    except BaseException:
        print(world.logs_of_processes())
        raise
    finally:
        world.kl("down", check=False)
        world.kl("system", "reset", "--yes", check=False)
    changes = difference(before, snapshot(str(world.root)))
    assert changes == [], changes
