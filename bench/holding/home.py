"""A kubelite of its own in a temporary root, used by its command line."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Home:
    """A kubelite of its own in a temporary root."""

    def __init__(self) -> None:
        self.root = tempfile.mkdtemp(prefix="kubelite-bench-home-")
        self.env = {**os.environ, "KUBELITE_ROOT": self.root, "PYTHONPATH": str(ROOT)}

    def kl(self, *words: str, input: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "kubelite", *words],
            input=input,
            env=self.env,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def agent(self) -> int:
        return int(
            (json.loads(self.kl("system", "info", "-o", "json"))["agent"] or {}).get("pid", 0)
        )

    def close(self) -> None:
        self.kl("system", "reset", "--yes")
        shutil.rmtree(self.root, ignore_errors=True)
