"""Installing with pip: a wheel that runs anywhere in a virtual environment, and one clear sentence
where a part is missing.
"""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest

from tests.e2e.world import SLEEP, World, pod, world
from tests.install.conftest import Run

__all__ = ["world"]


@pytest.fixture(scope="session")
def wheel(source: Path, outside: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    done = outside(
        sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(target), ".", cwd=source
    )
    assert done.returncode == 0, done.stderr
    return next(target.glob("*.whl"))


def test_the_wheel_fits_every_python_from_311_and_holds_the_programs(wheel: Path) -> None:
    assert "-cp311-abi3-linux_" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    assert modes["kubelite/bin/kubelite-shim"] & 0o777 == 0o755
    assert "kubelite/core/_native.abi3.so" in modes
    assert not [
        name for name in modes if name.endswith((".c", ".h", ".S")) or name.startswith("tests")
    ]


def test_a_pod_runs_from_an_installed_wheel(
    wheel: Path, outside: Run, tmp_path: Path, world: World
) -> None:
    venv = tmp_path / "venv"
    assert outside(sys.executable, "-m", "venv", str(venv), cwd=tmp_path).returncode == 0
    done = outside(str(venv / "bin" / "pip"), "install", "-q", str(wheel), cwd=tmp_path)
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
