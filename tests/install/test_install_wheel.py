"""Installing with pip: a wheel that runs anywhere in a virtual environment, and one clear sentence
where a part is missing.
"""

from __future__ import annotations

import os
import re
import sys
import zipfile
from pathlib import Path

import pytest

from tests.e2e.world import SLEEP, World, pod, world
from tests.install.conftest import ROOT, Run

__all__ = ["world"]


def files_of_the_page() -> list[Path]:
    return [path for path in (ROOT / "kubelite/ui/static").rglob("*") if path.is_file()]


@pytest.fixture(scope="session")
def wheel(source: Path, outside: Run) -> Path:
    """That of a release, made from the source archive."""
    done = outside("make", "dist", f"PYTHON={sys.executable}", cwd=source)
    assert done.returncode == 0, done.stderr
    files = sorted(path.suffix for path in (source / "dist").iterdir())
    assert files == [".gz", ".whl"]
    return next((source / "dist").glob("*.whl"))


def test_the_wheel_fits_every_python_from_311_and_holds_the_programs(wheel: Path) -> None:
    assert re.search(rf"-cp311-abi3-manylinux_2_\d+_{os.uname().machine}\.whl$", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    assert modes["kubelite/bin/kubelite-shim"] & 0o777 == 0o755
    assert "kubelite/core/_native.abi3.so" in modes
    page = {path.relative_to(ROOT).as_posix() for path in files_of_the_page()}
    assert page and page <= modes.keys()
    (launcher,) = (name for name in modes if name.endswith(".data/scripts/kubelite"))
    assert modes[launcher] & 0o777 == 0o755
    assert not [
        name for name in modes if name.endswith((".c", ".h", ".S")) or name.startswith("tests")
    ]


def test_a_pod_runs_from_a_wheel_installed_without_a_compiler(
    wheel: Path, outside: Run, tmp_path: Path, world: World
) -> None:
    venv = tmp_path / "venv"
    assert outside(sys.executable, "-m", "venv", str(venv), cwd=tmp_path).returncode == 0
    # No compiler is found there, and nothing may be built.
    bare = {**os.environ, "PATH": str(venv / "bin"), "CC": "no-such-compiler"}
    done = outside(
        *(str(venv / "bin" / "pip"), "install", "-q", "--only-binary", ":all:", str(wheel)),
        cwd=tmp_path,
        env=bare,
    )
    assert done.returncode == 0, done.stderr
    env = {**world.env, "PYTHONPATH": ""}
    manifest = tmp_path / "pod.yaml"
    import json
    import subprocess

    manifest.write_text(json.dumps(pod(SLEEP)))
    up = subprocess.run(
        [venv / "bin" / "kubelite", "pod", "up", manifest],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert up.returncode == 0, up.stderr
    assert (venv / "bin" / "kubelite").read_bytes().startswith(b"\x7fELF")
    shim = world.inspect("p")["sandbox"]["shim"]
    assert Path(f"/proc/{shim}/comm").read_text() == "kubelite-shim\n"
    assert f"{venv}/bin/python" in Path(f"/proc/{shim}/cmdline").read_text()


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [("CC=no-such-compiler", "apt install gcc"), ("CFLAGS=", "")],
    ids=["no compiler", "nothing missing"],
)
def test_a_missing_compiler_is_one_sentence(source: Path, missing: str, sentence: str) -> None:
    import subprocess

    key, _, value = missing.partition("=")
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_programs", "--output", str(source / "out")],
        cwd=source,
        env={**os.environ, key: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert sentence in done.stderr
    assert (done.returncode != 0) == bool(sentence)
    assert "Traceback" not in done.stderr
