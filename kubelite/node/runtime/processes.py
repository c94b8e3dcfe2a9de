"""Processes of this machine, identified by pid and start time."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

KILL_WAIT_MS = 10_000
OOM_SCORE = -998
"""oom_score_adj of what pods depend on: the kubelet's for its sandboxes."""


def start_ticks(pid: int) -> int | None:
    """The start time of a process, field 22 of /proc/PID/stat, in clock ticks since boot; None for
    one that does not exist or is a zombie.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def is_alive(pid: int, ticks: int) -> bool:
    """Whether this process runs, and not a later one with the same pid."""
    return pid > 0 and start_ticks(pid) == ticks


def kill_and_wait(pid: int, ticks: int) -> None:
    """Kills this process and waits until it is gone, at most ten seconds."""
    import select

    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if is_alive(pid, ticks):
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            poll.poll(KILL_WAIT_MS)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)


def spare_from_oom_kills(pid: int) -> None:
    """The kernel takes others first when memory runs out, whatever score the caller was given. A
    score below 0 needs CAP_SYS_RESOURCE; without it 0 is the lowest.
    """
    for score in (OOM_SCORE, 0):
        try:
            with open(f"/proc/{pid}/oom_score_adj", "w") as file:
                file.write(str(score))
        except OSError:
            continue
        return


def find_shims(uid: str) -> list[int]:
    """The pids of the shims of pod ``uid``: for a start that was killed before it could record its
    pid.
    """
    return [pid for pid, arguments in _shims() if arguments[1] == os.fsencode(uid)]


def find_pods_of_root(root: str) -> set[str]:
    """The uids of the pods that shims of this state root run: its path is in their arguments."""
    wanted = os.fsencode(root)
    return {os.fsdecode(arguments[1]) for _, arguments in _shims() if wanted in arguments[2:]}


def _shims() -> Iterator[tuple[int, list[bytes]]]:
    """Pid and arguments of every shim: ``kubelite-shim UID`` and its care command."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                arguments = file.read(1 << 16).split(b"\0")
        except OSError:
            continue
        if arguments[0] == b"kubelite-shim" and len(arguments) > 2:
            yield int(name), arguments
