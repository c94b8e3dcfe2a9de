"""Waking the node agent of a home, or starting it where none runs."""

from __future__ import annotations

import contextlib
import os
import socket
import sys

import msgspec

from kubelite.lib.files import FileLock, RecordError, read_record
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.processes import is_alive

SOCKET, LOCK, RECORD, LOG = "agent.sock", "agent.lock", "agent.json", "agent.log"


class AgentRecord(msgspec.Struct, kw_only=True):
    """The agent that runs. ``started_at`` is nanoseconds since 1970."""

    version: int = 1
    pid: int
    ticks: int
    started_at: int


def running(home: Home) -> AgentRecord | None:
    """The agent of this home, or None."""
    try:
        record = read_record(f"{home.run}/{RECORD}", AgentRecord)
    except (OSError, RecordError):
        return None
    return record if is_alive(record.pid, record.ticks) else None


def nudge(home: Home, uid: str) -> bool:
    """Tells the agent that something of a pod has changed; False when there is none."""
    try:
        run = os.open(home.run, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sock.sendto(uid.encode(), f"/proc/self/fd/{run}/{SOCKET}")
        return True
    except OSError:
        return False
    finally:
        sock.close()
        os.close(run)


def summon(home: Home, uid: str) -> None:
    """Sees to it that an agent looks after this pod, whose record is on disk."""
    if not nudge(home, uid):
        _start(home)


def _start(home: Home) -> None:
    """A session of its own with nothing of the caller's, so that it neither ends with the caller
    nor holds anything open. One that finds another already there ends at once."""
    log = f"{home.run}/{LOG}"
    files = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    kept = ("PATH", "LANG", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    env["MALLOC_ARENA_MAX"] = "1"  # a thread for each pod, and hardly anything in them
    command = [sys.executable, "-m", "kubelite.node.kubelet.agent.agent", home.root]
    os.posix_spawn(sys.executable, command, env, file_actions=files, setsid=True)


def dismiss(home: Home) -> None:
    """Ends the agent of this home and waits until it is gone."""
    from kubelite.node.runtime.processes import end

    record = running(home)
    if record is not None:
        end(record.pid, record.ticks)
    for name in (SOCKET, RECORD):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{home.run}/{name}")


def sole(home: Home, timeout: float) -> FileLock:
    """The lock that makes an agent the only one of its home. Raises TimeoutError."""
    return FileLock(f"{home.run}/{LOCK}", timeout=timeout).acquire()
