"""The build: one sentence when a tool is missing, and the programs for the other architecture."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
NEEDED = ("csrc", "kubelite", "setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in")
CROSS = "aarch64-linux-gnu-gcc"
AARCH64 = 183  # e_machine, elf(5)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean copy of the tree, as somebody gets it who has never built it."""
    copy = tmp_path_factory.mktemp("source")
    unwanted = shutil.ignore_patterns("__pycache__", "*.so", "bin", "*.egg-info")
    for name in NEEDED:
        if (TREE / name).is_dir():
            shutil.copytree(TREE / name, copy / name, ignore=unwanted)
        else:
            shutil.copy(TREE / name, copy / name)
    return copy


def run(*command: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """All that a failed build printed, which must be one line."""
    assert done.returncode == 1
    (line,) = (done.stdout + done.stderr).splitlines()
    return line


def test_a_missing_compiler_is_the_only_thing_said(source: Path) -> None:
    done = run(sys.executable, "setup.py", "-q", "build_ext", cwd=source, CC="no-such-compiler")
    assert sentence(done).startswith(
        "error: kubelite needs a C compiler, but no-such-compiler is not installed: "
    )


def test_missing_libc_headers_are_one_sentence(source: Path, tmp_path: Path) -> None:
    fake = tmp_path / "gcc"
    fake.write_text(
        "#!/bin/sh\necho 'fatal error: stdio.h: No such file or directory' >&2\nexit 1\n"
    )
    fake.chmod(0o755)
    done = run(sys.executable, "setup.py", "-q", "build_ext", cwd=source, CC=str(fake))
    assert sentence(done).endswith("apt install libc6-dev")


def test_missing_python_headers_are_one_sentence(source: Path) -> None:
    script = (
        "import sys, sysconfig\npaths = sysconfig.get_paths\n"
        "sysconfig.get_paths = lambda *a, **k: {**paths(*a, **k), 'include': '/nowhere'}\n"
        "sys.argv = ['setup.py', '-q', 'build_ext']\n"
        "__file__ = 'setup.py'\nexec(open('setup.py').read())\n"
    )
    done = run(sys.executable, "-c", script, cwd=source)
    assert sentence(done).endswith("Python.h, which is not installed: apt install python3-dev")


@pytest.mark.skipif(shutil.which(CROSS) is None, reason=f"{CROSS} is not installed")
def test_the_programs_build_for_aarch64(source: Path, tmp_path: Path) -> None:
    done = run(
        sys.executable, "setup.py", "-q", "build_programs", "--output", str(tmp_path),
        cwd=source, CC=CROSS, KUBELITE_WERROR="1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for program in ("kubelite-shim", "kubelite-pause"):
        head = (tmp_path / program).read_bytes()[:64]
        assert head[:4] == b"\x7fELF"
        assert int.from_bytes(head[18:20], "little") == AARCH64
    assert (tmp_path / "kubelite-pause").stat().st_size < 1024
