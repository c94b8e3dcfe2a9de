"""The fixtures of this layer."""

from pathlib import Path

import pytest

from tests.e2e.world import world
from tests.rootfs import make_root

__all__ = ["world"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root file system with a few programs of this machine and the libraries that they need."""
    return make_root(tmp_path / "rootfs")
