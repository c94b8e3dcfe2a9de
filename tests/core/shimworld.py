"""A shim with a pod in it, for tests: real processes made from real plans, everything below one
directory.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kubelite.core import protocol
from kubelite.core import shim as shims
from kubelite.core.plan import Attr, Flag, Mount, MountKind, Namespace, Plan, Root, encode
from kubelite.core.protocol import LogRotation, Message, Process, Role, Started, StartFlag
from kubelite.core.shim import Shim

LOG = LogRotation(10 << 20, 5)
KERNEL = Attr.NOSUID | Attr.NODEV | Attr.NOEXEC
SHARED = Namespace.NET | Namespace.IPC | Namespace.UTS
EVERYTHING = SHARED | Namespace.PID | Namespace.MOUNT | Namespace.CGROUP
PAUSE = Plan(
    new_ns=SHARED | Namespace.MOUNT,
    root=Root.EMPTY,
    hostname="pod",
    flags=Flag.CAPS | Flag.NO_NEW_PRIVS,
)
SHELL_ENV = ("PATH=/usr/bin:/bin", "LC_ALL=C")
SYSTEM = (
    Mount(MountKind.PROC, "/proc", attr=KERNEL),
    Mount(MountKind.DEV, "/dev", options="mode=0755,size=64k", attr=Attr.NOSUID),
)


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Waits until something has become true; fails loudly when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


def new_id() -> str:
    return secrets.token_hex(32)


class LogRecord(NamedTuple):
    time: str
    stream: str
    tag: str
    text: bytes


def records(path: str) -> list[LogRecord]:
    """Every record of a log file; a line of another form fails."""
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")
    assert lines.pop() == b"", f"{path} ends in the middle of a record"
    parts = [line.split(b" ", 3) for line in lines]
    return [LogRecord(p[0].decode(), p[1].decode(), p[2].decode(), p[3]) for p in parts]


class World:
    """One pod. ``with`` ends it and checks that its shim has gone."""

    def __init__(self, root: str, *, cleanup: tuple[str, ...] = ()) -> None:
        self.root = root
        for name in ("exits", "logs", "upper", "work"):
            os.mkdir(f"{root}/{name}")
        self.directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        exits = os.open(f"{root}/exits", os.O_RDONLY | os.O_DIRECTORY)
        launched = shims.launch(f"uid-{secrets.token_hex(4)}", self.directory, exits, cleanup)
        os.close(exits)
        self.pid, self.pidfd, self.shim = launched
        self.pause_id = new_id()

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with contextlib.suppress(shims.ShimGone), self.connect() as shim:
                shim.shutdown()
            assert self.gone(10), "the shim did not end"
        finally:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            self.shim.close()
            os.close(self.pidfd)
            os.close(self.directory)

    def connect(self) -> Shim:
        return shims.connect(self.directory)

    def gone(self, seconds: float = 0) -> bool:
        """Whether the shim has ended."""
        return bool(select.select([self.pidfd], [], [], seconds)[0])

    # -- starting ----------------------------------------------------------------------------------

    def pause(self, plan: Plan = PAUSE) -> Started:
        started, fds = self.shim.started(
            self.shim.ask_start(self.pause_id, Role.PAUSE, encode(plan)), 10
        )
        for fd in fds:
            os.close(fd)
        return started

    def plan(self, *args: str, **changes: object) -> Plan:
        """A container on the machine's own root file system."""
        plan = Plan(
            args=args,
            env=SHELL_ENV,
            new_ns=Namespace.MOUNT | Namespace.PID | Namespace.CGROUP,
            join_ns=SHARED,
            root=Root.OVERLAY,
            root_base=self.root,
            root_options="lowerdir=/,upperdir=upper,workdir=work,index=off,metacopy=off,redirect_dir=off",
            mounts=SYSTEM,
        )
        return plan._replace(**changes)  # type: ignore[arg-type]

    def start(
        self,
        plan: Plan,
        *,
        id: str | None = None,
        flags: StartFlag = StartFlag.NONE,
        log_bytes: int = LOG.max_size,
        log_files: int = LOG.max_files,
        shim: Shim | None = None,
    ) -> str:
        """Starts a container that logs to ``logs/0.log``; returns its id when it runs."""
        shim = shim or self.shim
        id = id or new_id()
        body = protocol.start(
            id, Role.CONTAINER, flags | StartFlag.LOG, log=LogRotation(log_bytes, log_files)
        )
        memfd, logs = shims.sealed(encode(plan)), os.open(f"{self.root}/logs", os.O_RDONLY)
        try:
            seq = shim.ask(Message.START, body, [memfd, logs])
        finally:
            os.close(memfd)
            os.close(logs)
        shim.started(seq, 10)
        return id

    def shell(self, script: str, **options: object) -> str:
        """Starts ``sh -c script`` as a container."""
        return self.start(self.plan("sh", "-c", script), **options)  # type: ignore[arg-type]

    def session(
        self, target: str, *args: str, tty: bool = False, rows: int = 0, columns: int = 0
    ) -> Session:
        """An exec session on a connection of its own."""
        shim, id = self.connect(), new_id()
        plan = Plan(
            args=args, env=SHELL_ENV, join_ns=EVERYTHING, flags=Flag.TERMINAL if tty else Flag.NONE
        )
        flags = StartFlag.ATTACH | StartFlag.STDIN
        try:
            seq = shim.ask_start(
                id, Role.EXEC, encode(plan), flags=flags, target=target, rows=rows, columns=columns
            )
            started, _ = shim.started(seq, 10)
        except BaseException:
            shim.close()
            raise
        return Session(shim, id, started.pid)

    # -- looking -----------------------------------------------------------------------------------

    def exit(self, id: str, seconds: float = 20) -> Process:
        """How a process ended, once it has."""
        return self.shim.exited(self.shim.ask_wait(id), seconds)

    def log(self) -> list[LogRecord]:
        """The live log file."""
        return records(f"{self.root}/logs/0.log")

    def log_files(self) -> list[str]:
        """Oldest first, the live one last."""
        names = sorted(os.listdir(f"{self.root}/logs"))
        return [f"{self.root}/logs/{name}" for name in (*names[1:], names[0])]


class Session:
    """What an attached caller sees."""

    def __init__(self, shim: Shim, id: str, pid: int) -> None:
        self.shim, self.id, self.pid = shim, id, pid
        self.output = {1: b"", 2: b""}
        self.code: int | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.shim.close()

    def turns(self) -> Iterator[None]:
        """Takes in one packet at a time until the exit."""
        while self.code is None:
            packet = self.shim.stream()
            if packet.type == Message.DATA:
                self.output[packet.flags] += packet.body
            elif packet.type == Message.EXITED:
                self.code = protocol.read_processes(packet.body)[0].code
            yield

    def expect(self, text: bytes) -> None:
        """Reads until stdout holds ``text``."""
        for _ in self.turns():
            if text in self.output[1]:
                return
        raise AssertionError(f"{text!r} never came: {self.output}")

    def finish(self) -> int:
        """Reads to the end; returns the exit code."""
        for _ in self.turns():
            pass
        assert self.code is not None
        return self.code

    def write(self, data: bytes) -> None:
        self.shim.ask(Message.DATA, data)

    def end(self) -> None:
        self.shim.ask(Message.END)

    def resize(self, rows: int, columns: int) -> None:
        self.shim.ask(Message.RESIZE, protocol.window(rows, columns))
