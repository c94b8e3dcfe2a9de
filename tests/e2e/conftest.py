"""The fixtures of this layer."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.world import world

__all__ = ["world"]
PROGRAMS = ("sh", "cat", "stat", "ls", "rm", "mv", "mkdir", "ln", "chmod", "id")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root file system with a few programs of this machine and the libraries that they need."""
    made = tmp_path / "rootfs"
    (made / "etc").mkdir(parents=True)
    (made / "etc").chmod(0o711)
    for name in PROGRAMS:
        found = shutil.which(name)
        assert found is not None
        said = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
        for source in (found, *re.findall(r"(/\S+) \(0x", said)):
            target = made / source.removeprefix("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return made
