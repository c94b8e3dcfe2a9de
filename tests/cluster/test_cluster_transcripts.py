"""The verbs of a cluster as they look in a terminal of 80 and of 40 columns, and piped."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.successes import OF_A_CLUSTER, succeed
from tests.cli.terminal import STYLES
from tests.control.debian import free_ports
from tests.e2e.world import World, world

__all__ = ["world"]


@pytest.mark.parametrize("style", STYLES)
def test_successes(style: str, world: World, tmp_path: Path) -> None:
    api, kubelet = free_ports(2)
    names = {
        "api_port": str(api),
        "kubelet_port": str(kubelet),
        "config": str(world.root / "cluster" / "default" / "kubeconfig"),
    }
    try:
        for shown in succeed(STYLES[style], OF_A_CLUSTER, str(world.root), str(tmp_path), **names):
            assert "Traceback" not in shown.text, shown.text
            steps = [line for line in shown.text.splitlines() if line.startswith("✓")]
            assert [line for line in steps if len(line) >= (STYLES[style].columns or 80)] == []
            assert b"\x1b" not in shown.raw or style not in ("NO_COLOR", "piped"), shown.text
    finally:
        world.kl("down", check=False)
