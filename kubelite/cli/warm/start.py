"""Starts the warm process, from a command that had to do without one."""

from __future__ import annotations

import os
import sys

_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "VIRTUAL_ENV", "KUBELITE_WARM_SECONDS")


def start(name: str) -> None:
    """In a session of its own and with nothing of the caller's, so that it neither ends with the
    caller nor keeps anything of it open. One that finds another running ends at once. A warm
    process that does not start costs nothing but time, so that nothing is said of it.
    """
    files = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)]
    env = {
        key: value for key, value in os.environ.items() if key in _KEPT or key.startswith("PYTHON")
    }
    command = [sys.executable, "-m", "kubelite.cli.warm.server", name]
    try:
        os.chdir("/")
        os.posix_spawn(sys.executable, command, env, file_actions=files, setsid=True)
    except OSError:
        pass
