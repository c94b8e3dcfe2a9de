"""Runs the command line in a real terminal of a given width, or piped."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import NamedTuple

TIMEOUT = 60


class Transcript(NamedTuple):
    """What a terminal showed, or what came through pipes, and the exit code."""

    code: int
    text: str
    raw: bytes


class Style(NamedTuple):
    """How a command is run: ``columns`` of its terminal, 0 for pipes; further environment."""

    columns: int
    environment: dict[str, str]


STYLES = {
    "80 columns": Style(80, {"TERM": "xterm"}),
    "40 columns": Style(40, {"TERM": "xterm"}),
    "NO_COLOR": Style(80, {"TERM": "xterm", "NO_COLOR": "1"}),
    "LC_ALL=C": Style(80, {"TERM": "xterm", "LC_ALL": "C", "LANG": "C"}),
    "piped": Style(0, {}),
}


def run(
    style: Style,
    args: list[str],
    *,
    root: str,
    input: bytes = b"",
    cwd: str | None = None,
) -> Transcript:
    """Runs ``kubelite ARGS`` in this style; ``input`` is typed, or piped into it."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NO_COLOR", "COLUMNS", "LC_ALL", "LANG")
    }
    environment |= {"KUBELITE_ROOT": root, **style.environment}
    command = [sys.executable, "-m", "kubelite", *args]
    if not style.columns:
        done = subprocess.run(
            command,
            env=environment,
            input=input,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT,
            cwd=cwd,
            check=False,
        )
        return Transcript(done.returncode, done.stdout.decode("utf-8"), done.stdout)
    return _in_terminal(command, environment, style.columns, input, cwd)


def _in_terminal(
    command: list[str], environment: dict[str, str], columns: int, input: bytes, cwd: str | None
) -> Transcript:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        cwd=cwd,
    )
    os.close(slave)
    if input:
        os.write(master, input)
    shown = b""
    deadline = time.monotonic() + TIMEOUT
    try:
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.05)[0]:
                try:
                    data = os.read(master, 1 << 16)
                except OSError:  # the last program has closed it
                    break
                shown += data
            elif process.poll() is not None:
                break
        code = process.wait(max(deadline - time.monotonic(), 0.1))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        os.close(master)
    return Transcript(code, shown.decode("utf-8").replace("\r\n", "\n"), shown)
