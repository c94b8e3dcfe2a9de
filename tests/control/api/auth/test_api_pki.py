"""The files of a cluster's authority."""

import subprocess
import sys
from pathlib import Path

MAKE = """
import sys
from kubelite.control.api.auth.pki import Pki
Pki(sys.argv[1]).client(sys.argv[2], sys.argv[2])
"""


def test_processes_that_start_together_have_one_authority(tmp_path: Path) -> None:
    """The server and the node of ``kubelite up`` may be the first to ask at the same time."""
    names = [f"user{number}" for number in range(6)]
    together = [
        subprocess.Popen([sys.executable, "-c", MAKE, str(tmp_path / "pki"), name])
        for name in names
    ]
    assert [process.wait(30) for process in together] == [0] * len(names)
    for name in names:
        subprocess.run(
            ["openssl", "verify", "-CAfile", "ca.crt", f"{name}.crt"],
            cwd=tmp_path / "pki",
            check=True,
            capture_output=True,
        )
