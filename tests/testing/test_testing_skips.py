"""What tests/conftest.py gives every test: a network of its own, and in strict mode no skip without
an excuse on file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
FILE = """
import os, pytest

def test_network():
    own = os.readlink("/proc/thread-self/ns/net")
    assert os.geteuid() != 0 or own != os.environ["OUTSIDE"]

def test_excused(): pytest.skip("this machine has no such hierarchies")

def test_not_excused(): pytest.skip("no time")

@pytest.mark.xfail
def test_expected(): assert False
"""


def outcomes(directory: Path, strict: str) -> str:
    for name in ("conftest.py", "allowed_skips.txt"):
        shutil.copy(TESTS / name, directory)
    (directory / "test_it.py").write_text(FILE)
    (directory / "test_module.py").write_text(
        "import pytest; pytest.importorskip('no_such_module')"
    )
    outside = os.readlink("/proc/thread-self/ns/net")
    env = {
        **os.environ,
        "KUBELITE_STRICT": strict,
        "PYTHONPATH": str(TESTS.parent),
        "OUTSIDE": outside,
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--continue-on-collection-errors",
        "--rootdir",
        directory,
    ]
    return subprocess.run(
        [*command, directory], env=env, capture_output=True, text=True
    ).stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("strict", "summary"),
    [
        ("1", "1 failed, 1 passed, 1 skipped, 1 xfailed, 1 error"),
        ("0", "1 passed, 3 skipped, 1 xfailed"),
    ],
)
def test_a_skip_without_an_excuse_fails_in_strict_mode(
    tmp_path: Path, strict: str, summary: str
) -> None:
    assert outcomes(tmp_path, strict).startswith(summary)
