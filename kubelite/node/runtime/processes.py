"""Processes of this machine, named beyond doubt: a pid together with the start time that /proc
gives it.
"""

from __future__ import annotations

import os
import signal


def start_ticks(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat, clock ticks since boot; None when there is no such process or
    only its zombie.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def is_alive(pid: int, ticks: int) -> bool:
    """Whether this very process, and not a later one of the same number, runs."""
    return pid > 0 and start_ticks(pid) == ticks


def end(pid: int, ticks: int) -> None:
    """Kills this very process and waits until it is gone, at most ten seconds."""
    import select

    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if is_alive(pid, ticks):
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            select.select([fd], [], [], 10)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)


def find_shims(uid: str) -> list[int]:
    """The pids of the shims that serve pod ``uid``: for a start that was killed before it could
    write down its pid.
    """
    wanted = b"kubelite-shim\0" + uid.encode() + b"\0"
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    if file.read(len(wanted)) == wanted:
                        found.append(int(name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found
