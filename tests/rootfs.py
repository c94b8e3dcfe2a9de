"""A root file system for images, made of programs of this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

PROGRAMS = "sh cat stat ls rm mv cp mkdir ln chmod chown id env touch sleep sha256sum".split()


def make_root(made: Path) -> Path:
    """Programs and the libraries that they need, below a directory; /etc has an unusual mode."""
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
