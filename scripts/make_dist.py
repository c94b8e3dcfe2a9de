"""Builds the source archive and, from it, a wheel into dist/.

    python scripts/make_dist.py [FOLDER]

The wheel holds the compiled module, the shim and pause, works with every Python from 3.11 on
(stable ABI), and names the oldest C library that it works with (PEP 600). Needs the tools of a
build, and the package index for pip's build environment.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
MODULE = TREE / "kubelite/core/_native.abi3.so"


def run(*command: str | Path, **env: str) -> str:
    """Runs a command in the source tree. Raises SystemExit when it fails."""
    done = subprocess.run(
        command, cwd=TREE, env={**os.environ, **env}, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"error: {' '.join(map(str, command))} failed")
    return done.stdout


def platform(module: Path) -> str:
    """The platform tag for the newest symbol version of the C library that a module needs."""
    versions = re.findall(r"\bGLIBC_(\d+)\.(\d+)", run("objdump", "-p", module))
    major, minor = max((int(major), int(minor)) for major, minor in versions)
    return f"manylinux_{major}_{minor}_{os.uname().machine}"


def main(folder: str) -> None:
    """Leaves exactly the two files of this version in the folder."""
    target = Path(folder).resolve()
    target.mkdir(parents=True, exist_ok=True)
    for old in target.glob("kubelite-*"):
        old.unlink()
    run(sys.executable, "setup.py", "-q", "sdist", "--dist-dir", target)
    (archive,) = target.glob("kubelite-*.tar.gz")
    pip = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--disable-pip-version-check")
    run(*pip, "-w", target, archive, KUBELITE_PLATFORM=platform(MODULE))
    (wheel,) = target.glob("kubelite-*.whl")
    for path in (archive, wheel):
        print(f"{path.stat().st_size >> 10:6} KiB  {path}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "dist")
