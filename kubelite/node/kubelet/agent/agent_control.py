"""Finds, notifies, starts and stops the node agent of a state root."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator

import msgspec

from kubelite.lib.files import FileLock, RecordError, read_record
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.processes import is_alive

SOCKET, LOCK, RECORD, LOG = "agent.sock", "agent.lock", "agent.json", "agent.log"


class AgentRecord(msgspec.Struct, kw_only=True):
    """The running agent. ``started_at`` is nanoseconds since 1970; ``stays`` is false for one that
    ends when no pod needs it, as those do that commands start.
    """

    version: int = 1
    pid: int
    ticks: int
    started_at: int
    stays: bool = True


def running(home: Home) -> AgentRecord | None:
    """The running agent of this state root, or None."""
    try:
        record = read_record(f"{home.run}/{RECORD}", AgentRecord)
    except (OSError, RecordError):
        return None
    return record if is_alive(record.pid, record.ticks) else None


def has_died(home: Home) -> bool:
    """Whether the agent that has registered last was killed: one that ends takes its record away,
    and one that has just been started has none yet.
    """
    return running(home) is None and os.path.exists(f"{home.run}/{RECORD}")


def notify(home: Home, uid: str) -> bool:
    """Tells the agent that something of a pod has changed; False where no agent listens."""
    try:
        run = os.open(home.run, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        # Through the descriptor: the path of a socket may have 107 bytes, a state root has more.
        sock.sendto(uid.encode(), f"/proc/self/fd/{run}/{SOCKET}")
        return True
    except OSError:
        return False
    finally:
        sock.close()
        os.close(run)


def ensure_agent(home: Home, uid: str) -> None:
    """Lets an agent look after this pod, whose record is on disk; starts one where none runs."""
    if not notify(home, uid):
        _start(home)


def _start(home: Home) -> None:
    """In a session of its own and with nothing of the caller's, so that it neither ends with the
    caller nor keeps anything of it open. An agent that finds another one running ends at once."""
    log = f"{home.run}/{LOG}"
    files = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    kept = ("PATH", "LANG", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    # A thread for each pod, with hardly any memory in use: one arena is enough.
    env["MALLOC_ARENA_MAX"] = "1"
    command = [sys.executable, "-m", "kubelite.node.kubelet.agent.agent", home.root]
    os.posix_spawn(sys.executable, command, env, file_actions=files, setsid=True)


def stop_agent(home: Home) -> None:
    """Kills the agent of this state root and waits until it is gone."""
    from kubelite.node.runtime.processes import kill_and_wait

    record = running(home)
    if record is not None:
        kill_and_wait(record.pid, record.ticks)


@contextlib.contextmanager
def exclude_agents(home: Home) -> Iterator[None]:
    """Kills the agent, and meanwhile lets no other one run. The directories of the state root are
    there. Raises OSError where the lock cannot be used, TimeoutError where it is not given back.
    """
    for attempt in range(3):
        stop_agent(home)
        try:
            lock = acquire_agent_lock(home, 1.0)
            break
        except TimeoutError:  # another one has just started
            if attempt == 2:
                raise
    try:
        yield
    finally:
        lock.release()


def take_over(home: Home, timeout: float) -> FileLock:
    """The agent lock for an agent that stays: one that a command has started for local pods is
    killed first, since it would keep the lock as long as any of them needs care. Raises
    TimeoutError where another agent that stays runs after ``timeout`` seconds.
    """
    for _ in range(3):  # commands may start further agents meanwhile
        record = running(home)
        if record is not None and not record.stays:
            stop_agent(home)
        with contextlib.suppress(TimeoutError):
            return acquire_agent_lock(home, timeout / 4)
    return acquire_agent_lock(home, timeout / 4)


def acquire_agent_lock(home: Home, timeout: float) -> FileLock:
    """The lock that only one agent of a state root can hold. Raises TimeoutError."""
    return FileLock(f"{home.run}/{LOCK}", timeout=timeout).acquire()
