"""The installed command for a test: the launcher as pip puts it, and the warm process it finds."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from kubelite.cli.warm.server import DIRECTORY
from tests.e2e.world import TIMEOUT, World, eventually

TREE = Path(__file__).resolve().parents[2]
_RUN_BY_RUN = re.compile(rb" +[\d.]+ m?s\b|10\.\d+\.\d+\.\d+")
"""Times and addresses, which no two runs share."""

Answer = tuple[int, bytes, bytes]
"""The exit code of a command, and what it wrote to its stdout and its stderr."""


class Launcher:
    """The launcher in a directory of its own, as pip installs it, and the warm process that it
    finds.
    """

    def __init__(self, folder: Path, world: World) -> None:
        folder.mkdir()
        self.path = folder / "kubelite"
        (built,) = (TREE / "build" / "launcher").glob(f"{os.uname().machine}/kubelite")
        shutil.copy(built, self.path)
        python = folder / "kubelite-python"
        python.write_text(f"#!{sys.executable}\nfrom kubelite.cli.main import run\nrun()\n")
        python.chmod(0o755)
        info = self.path.stat()
        self.name = f"{info.st_dev}-{info.st_ino}"
        self.socket = Path(DIRECTORY, self.name)
        self.env = {**world.env, "PYTHONPATH": str(TREE), "KUBELITE_WARM_SECONDS": "60"}
        self.cold = {**self.env, "KUBELITE_WARM_SECONDS": "0"}
        self.warm: subprocess.Popen[bytes] | None = None

    def start_warm(self) -> int:
        command = [sys.executable, "-m", "kubelite.cli.warm.server", self.name]
        self.warm = subprocess.Popen(command, env=self.env, start_new_session=True, cwd="/")
        eventually(self.answering, "a warm process")
        return self.warm.pid

    def answering(self) -> int:
        """The warm process that listens now; 0 for none."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(self.socket))
                peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        except OSError:
            return 0
        return int.from_bytes(peer[:4], sys.byteorder)

    def stop_warm(self) -> None:
        """Ends that of the test and those that commands without one have started since."""
        if self.warm is not None:
            self.warm.kill()
            self.warm.wait()
        eventually(lambda: not self._kill_others() and not self._kill_others(), "none is left")
        self.socket.unlink(missing_ok=True)

    def _kill_others(self) -> list[int]:
        """Kills the warm processes of this launcher and their commands; returns which."""
        pids = [
            int(place.name)
            for place in Path("/proc").glob("[0-9]*")
            if self.name.encode() in _bytes_of(place / "cmdline").split(b"\0")
        ]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
        return pids

    def start(
        self, *args: str, env: dict[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen([self.path, *args], env=env or self.env, **options)

    def run(self, *args: str, **options: Any) -> Answer:
        process = self.start(*args, stdin=subprocess.DEVNULL, stdout=-1, stderr=-1, **options)
        out, err = process.communicate(timeout=TIMEOUT)
        return process.returncode, out, err

    def children(self) -> list[int]:
        """The commands that the warm process runs."""
        assert self.warm is not None
        return commands(self.warm.pid)


def without_times(answer: Answer) -> Answer:
    """An answer without what differs from one run to the next: times and addresses."""
    code, out, err = answer
    return code, _RUN_BY_RUN.sub(b"", out), _RUN_BY_RUN.sub(b"", err)


def commands(warm: int) -> list[int]:
    """The children of a warm process that run a command; each of them leads a process group."""
    running = []
    for child in children(warm):
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(child) == child:
                running.append(child)
    return running


def children(pid: int) -> list[int]:
    """Those of a process's main thread; none once it has ended."""
    return list(map(int, _bytes_of(Path(f"/proc/{pid}/task/{pid}/children")).split()))


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
