"""What both tests of installing need: a copy of the source as it would be cloned, and the machine's
network for pip.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

BUILT = (
    ".git",
    ".venv",
    "build",
    "bin",
    "*.so",
    "*.egg-info",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
)
ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source tree without anything that was built."""
    copy = tmp_path_factory.mktemp("source") / "kubelite"
    shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(*BUILT))
    return copy


@pytest.fixture(scope="session")
def outside() -> Run:
    """Runs a command in the network that the tests were started in: packages come from there."""
    network = f"/proc/{os.getppid()}/ns/net"

    def run(*command: str, cwd: Path, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [shutil.which("nsenter") or "nsenter", f"--net={network}", *command],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            **options,
        )

    return run
