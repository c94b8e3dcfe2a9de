"""The README's first command, as a newcomer types it in a fresh copy of the source."""

from __future__ import annotations

import subprocess
from pathlib import Path

from kubelite.testing.host import difference, snapshot
from tests.e2e.world import World, world
from tests.install.conftest import ROOT, Run

__all__ = ["world"]


def test_the_two_commands_are_those_of_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    assert "bash scripts/demo " in text and "bash scripts/test " in text


def test_the_demo_ends_with_the_page_and_what_the_sidecar_read(
    world: World, source: Path, outside: Run
) -> None:
    prepared = outside("bash", "scripts/setup", cwd=source)
    assert prepared.returncode == 0, prepared.stderr
    before = snapshot(world.root)
    env = {**world.env, "PYTHONPATH": ""}
    demo = subprocess.run(
        ["bash", "scripts/demo"],
        cwd=source,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "web is up in" in demo.stdout
    assert "<h1>Hello from a pod</h1>" in demo.stdout
    assert '"GET / HTTP/1.1" 200' in demo.stdout.split("the sidecar has read")[1]
    world.kl("pod", "down", "web", "--grace-period", "1")
    assert difference(before, snapshot(world.root)) == []
