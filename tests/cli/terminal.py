"""Runs the command line in a real terminal of a given width, or piped."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

TIMEOUT = 60


class Transcript(NamedTuple):
    """What a terminal showed, or what came through pipes, and the exit code."""

    code: int
    text: str
    raw: bytes


class Awaited(NamedTuple):
    """A pattern, and what happens once it is shown: Ctrl-C where nothing is given."""

    until: str
    then: Callable[[], None] | None

    def happen(self, pid: int) -> None:
        if self.then is None:
            os.killpg(pid, signal.SIGINT)
        else:
            self.then()


class Style(NamedTuple):
    """How a command is run: ``columns`` of its terminal, 0 for pipes; further environment;
    whether Python has to start for each, which alone looks at the locale.
    """

    columns: int
    environment: dict[str, str]
    starts_python: bool = False


STYLES = {
    "80 columns": Style(80, {"TERM": "xterm"}),
    "40 columns": Style(40, {"TERM": "xterm"}),
    "NO_COLOR": Style(80, {"TERM": "xterm", "NO_COLOR": "1"}),
    "LC_ALL=C": Style(80, {"TERM": "xterm", "LC_ALL": "C", "LANG": "C"}, starts_python=True),
    "piped": Style(0, {}),
}


class Forks:
    """The process of :mod:`tests.cli.forked`, which ends when this one does."""

    def __init__(self) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            subprocess.Popen(
                [sys.executable, "-m", "tests.cli.forked", str(other.fileno())],
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
            )

    def start(
        self, words: Sequence[str], environment: dict[str, str], cwd: str, streams: Sequence[int]
    ) -> int:
        """The pid of a command line that has begun."""
        request = {"words": list(words), "environment": environment, "cwd": cwd}
        socket.send_fds(self._socket, [json.dumps(request).encode()], list(streams))
        return int(self._socket.recv(64))

    def fileno(self) -> int:
        """Readable once the command line has ended."""
        return self._socket.fileno()

    def exit_code(self) -> int:
        return int(self._socket.recv(64))


@functools.cache
def forks() -> Forks:
    return Forks()


def run(
    style: Style,
    args: list[str],
    *,
    root: str,
    input: bytes = b"",
    cwd: str | None = None,
    until: str = "",
    then: Callable[[], None] | None = None,
    more: Mapping[str, str] | None = None,
) -> Transcript:
    """Runs ``kubelite ARGS`` in this style; ``input`` is typed, or piped into it. Once the pattern
    ``until`` is shown, Ctrl-C ends it, or ``then`` is called. ``more`` are further variables of its
    environment.
    """
    awaited = Awaited(until, then)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NO_COLOR", "COLUMNS", "LC_ALL", "LANG")
    }
    environment |= {"KUBELITE_ROOT": root, **style.environment, **(more or {})}
    if style.starts_python:
        return _in_terminal(args, environment, style.columns, input, cwd, awaited)
    return _forked(args, environment, style.columns, input, cwd or os.getcwd(), awaited)


def _forked(
    args: list[str],
    environment: dict[str, str],
    columns: int,
    input: bytes,
    cwd: str,
    awaited: Awaited,
) -> Transcript:
    ours, theirs = _streams(columns)
    pid = forks().start(args, environment, cwd, theirs)
    for fd in set(theirs):
        os.close(fd)
    os.write(ours[0], input)
    if not columns:
        os.close(ours[0])
    try:
        shown = _read(ours[1], forks().fileno(), pid, awaited)
        if not select.select([forks()], [], [], TIMEOUT)[0]:
            os.killpg(pid, signal.SIGKILL)
        return _transcript(forks().exit_code(), shown)
    finally:
        os.close(ours[1])


def _streams(columns: int) -> tuple[tuple[int, int], tuple[int, int, int]]:
    """What is written to and read from, and the standard streams of the command line."""
    if columns:
        master, slave = _terminal(columns)
        return (master, master), (slave, slave, slave)
    stdin, stdout = os.pipe(), os.pipe()
    return (stdin[1], stdout[0]), (stdin[0], stdout[1], stdout[1])


def _terminal(columns: int) -> tuple[int, int]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    return master, slave


def _read(fd: int, ended: int, pid: int, awaited: Awaited) -> bytes:
    """Everything until the last program has closed its end, or until it has nothing more to say
    after ``ended`` has become readable. What is awaited happens once.
    """
    shown = b""
    pattern = re.compile(awaited.until.encode()) if awaited.until else None
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        has_ended = ended in select.select([fd, ended], [], [], TIMEOUT)[0]
        if fd in select.select([fd], [], [], 0)[0]:
            with contextlib.suppress(OSError):  # a terminal that the last program has closed
                if data := os.read(fd, 1 << 16):
                    shown += data
                    if pattern and pattern.search(shown):
                        pattern = None
                        awaited.happen(pid)
                    continue
            break
        if has_ended:
            break
    return shown


def _transcript(code: int, shown: bytes) -> Transcript:
    return Transcript(code, shown.decode("utf-8").replace("\r\n", "\n"), shown)


def _in_terminal(
    args: list[str],
    environment: dict[str, str],
    columns: int,
    input: bytes,
    cwd: str | None,
    awaited: Awaited,
) -> Transcript:
    master, slave = _terminal(columns)
    process = subprocess.Popen(
        [sys.executable, "-m", "kubelite", *args],
        env=environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        cwd=cwd,
    )
    os.close(slave)
    os.write(master, input)
    ended = os.pidfd_open(process.pid)
    try:
        shown = _read(master, ended, process.pid, awaited)
        return _transcript(process.wait(TIMEOUT), shown)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        os.close(ended)
        os.close(master)
