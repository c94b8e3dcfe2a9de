"""Runs a program in a running container to its end, with a timeout: for probes and hooks."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from time import monotonic
from typing import NamedTuple

from kubelite.core import protocol
from kubelite.core.protocol import Message, StartFlag
from kubelite.core.shim import Shim
from kubelite.node.cgroup.control import processes
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.runtime.container import cgroup_name
from kubelite.node.runtime.exec.execute import begin
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.records import ContainerRecord

MAX_OUTPUT = 10 << 10
_MAX_START_SECONDS = 60.0


class CommandResult(NamedTuple):
    """``code`` is the exit code, None for a program that timed out and was killed. ``output`` holds
    the first bytes of both its streams.
    """

    code: int | None
    output: bytes


def run(
    home: Home,
    tree: CgroupTree,
    uid: str,
    container: ContainerRecord,
    args: Sequence[str],
    seconds: float,
) -> CommandResult:
    """Runs ``args`` for at most ``seconds``; infinity is no limit. Raises what
    :func:`execute.begin` does but TimeoutError.
    """
    end = monotonic() + seconds
    try:
        shim, started = begin(
            home,
            tree,
            uid,
            container,
            args,
            StartFlag.ATTACH,
            timeout=min(max(seconds, 0.001), _MAX_START_SECONDS),
        )
    except TimeoutError:
        return CommandResult(None, b"")
    with shim:
        output = bytearray()
        code = _read_output(shim, output, end)
        if code is None:
            _kill_session(
                processes(tree, uid, cgroup_name(container.name, container.attempt)), started.pid
            )
        return CommandResult(code, bytes(output))


def _read_output(shim: Shim, output: bytearray, end: float) -> int | None:
    while True:
        left = end - monotonic()
        if left <= 0:
            return None
        try:
            packet = shim.stream(None if left == float("inf") else left)
        except TimeoutError:
            return None
        if packet.type == Message.EXITED:
            return protocol.read_processes(packet.body)[0].code
        if packet.type == Message.DATA:
            output += packet.body[: MAX_OUTPUT - len(output)]


def _kill_session(pids: set[int], leader: int) -> None:
    """Kills the processes of the session that ``leader`` leads."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            fd = os.pidfd_open(pid)
            try:
                if _session(pid) == leader:
                    signal.pidfd_send_signal(fd, signal.SIGKILL)
            finally:
                os.close(fd)


def _session(pid: int) -> int:
    """Field 6 of /proc/PID/stat."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[3])
