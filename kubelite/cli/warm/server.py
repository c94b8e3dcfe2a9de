"""The warm process: ``python -m kubelite.cli.warm.server NAME``.

It imports what commands need, listens on ``/run/kubelite-warm/NAME``, where ``NAME`` is the
launcher's device and inode, and forks for each command line; one child is forked ahead, so that a
command finds its memory ready. It has one thread and no state that a command could change: what a
child does, stays in the child. It refuses what it cannot do as a new process would, and the
launcher then executes Python. It ends when its code has changed on disk, when its socket has gone,
and after ``KUBELITE_WARM_SECONDS`` seconds without a command.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import io
import os
import pkgutil
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import NoReturn

from kubelite.cli.main import GARBAGE_THRESHOLD, finish, main
from kubelite.cli.warm import caller, standby
from kubelite.cli.warm.pages import WrittenPages
from kubelite.cli.warm.rehearsal import rehearse
from kubelite.cli.warm.request import (
    EXITED,
    HEAD,
    KILLED,
    LISTENS,
    REPLY,
    STARTED,
    Request,
    is_served,
    parse,
    size_of,
)
from kubelite.cli.warm.standby import Command, Standby
from kubelite.lib.trusted_paths import directory_problem

DIRECTORY = "/run/kubelite-warm"
LINGER_SECONDS = 300
_PRELOADED = (
    *("kubelite.core", "kubelite.objects.pod", "kubelite.objects.rules.pods"),
    *(
        f"kubelite.node.{room}"
        for room in ("runtime", "cgroup", "network", "volume", "image.store")
    ),
    *(f"kubelite.node.kubelet.{room}" for room in ("act", "decide", "pods", "agent")),
    *(f"kubelite.cli.{room}" for room in ("common", "session", "pod")),
    "typer.main",
)
"""What commands about pods import; what only a pull or a cluster needs stays out, for its size."""
_LEFT_OUT = ("kubelite.cli.common.foreground",)  # for servers: with asyncio and ssl
_RECEIVED_FDS = 5
_CALLER_SECONDS = 1.0
"""Who does not send its whole request in that time is not waited for."""
_PAUSE_SECONDS = 0.02
"""While a command runs, that long passes before the child of the next one is forked."""


class Server:
    """Answers on ``listener``, whose name in the file system is ``path``.

    ``lock`` keeps others of that name away, ``code`` is when each module that was imported had been
    written, ``linger`` is in seconds.
    """

    def __init__(
        self,
        listener: socket.socket,
        lock: socket.socket,
        path: str,
        code: tuple[int, ...],
        linger: float,
    ) -> None:
        self._listener = listener
        self._lock = lock
        self._path = path
        self._linger = linger
        self._confines = caller.confines_of("self")
        self._code = code
        self._children: dict[int, tuple[int, socket.socket]] = {}
        self._pages = WrittenPages()
        self._standby: Standby | None = None
        self._wants_standby = True
        """Once for each command: one that dies while it waits is not replaced."""

    def run(self) -> None:
        """Until nobody needs it any more."""
        idle_since = time.monotonic()
        while True:
            if self._wants_standby and not self._children:
                self._prepare()
            ready = self._poll(self._linger - (time.monotonic() - idle_since))
            if not ready and self._wants_standby:
                self._prepare()
            elif not ready and not self._children:
                return
            for pidfd in ready - {self._listener.fileno()}:
                self._reap(pidfd)
            if self._listener.fileno() in ready and not self._accept():
                return
            if ready:
                idle_since = time.monotonic()

    def _poll(self, left: float) -> set[int]:
        """The descriptors with something to read, once there are any; at the latest after ``left``
        seconds where no command runs.
        """
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        for pidfd in self._children:
            poll.register(pidfd, select.POLLIN)
        if self._standby is not None:
            poll.register(self._standby.pidfd, select.POLLIN)
        seconds = None if self._children else max(left, 0)
        if self._wants_standby:
            seconds = _PAUSE_SECONDS
        return {fd for fd, _ in poll.poll(None if seconds is None else seconds * 1000)}

    def _accept(self) -> bool:
        """Serves or refuses one caller; False where this process is not the right one any more."""
        connection, _ = self._listener.accept()
        connection.settimeout(_CALLER_SECONDS)
        peer, uid, _ = _credentials(connection)
        fds: list[int] = []
        try:
            _reply(connection, LISTENS, 0)
            message = _receive(connection, fds)
            request = parse(message)
            is_right = (
                uid == os.geteuid()
                and self._is_current()
                and caller.confines_of(peer) == self._confines
            )
            if is_right and len(fds) == _RECEIVED_FDS and is_served(request, os.environb):  # type: ignore[arg-type]
                self._serve(Command(connection, peer, message, fds))
        except (OSError, ValueError):
            return True  # it went away, or speaks another version
        finally:
            for fd in fds:
                os.close(fd)
            if connection not in (conn for _, conn in self._children.values()):
                connection.close()
        return is_right

    def _is_current(self) -> bool:
        return self._code == _code_times() and os.path.exists(self._path)

    def _serve(self, command: Command) -> None:
        waiting, self._standby = self._standby, None
        self._wants_standby = True
        if waiting is not None and waiting.hand_over(command):
            waiting.channel.close()
            self._children[waiting.pidfd] = (waiting.pid, command.connection)
            return
        if waiting is not None:
            _end(waiting)
        child = os.fork()
        if child == 0:
            self._leave()
            _run_child(command)
        self._children[os.pidfd_open(child)] = (child, command.connection)

    def _prepare(self) -> None:
        """Forks the child that the next command will run in; where that fails, the command gets one
        when it comes.
        """
        self._wants_standby = False
        with contextlib.suppress(OSError):
            self._standby = self._fork_ahead()

    def _fork_ahead(self) -> Standby:
        ours, theirs = standby.channel()
        with theirs:
            child = os.fork()
            if child == 0:
                ours.close()
                self._leave()
                _stand_by(theirs, self._pages)
            return Standby(child, os.pidfd_open(child), ours)

    def _leave(self) -> None:
        """Closes, in a child, what belongs to the warm process and to other children."""
        self._listener.close()
        self._lock.close()  # of this process: the warm one keeps it
        for pidfd, (_, connection) in self._children.items():
            os.close(pidfd)
            connection.close()

    def _reap(self, pidfd: int) -> None:
        if self._standby is not None and pidfd == self._standby.pidfd:
            _end(self._standby)
            self._standby = None
            return
        child, connection = self._children.pop(pidfd)
        os.close(pidfd)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code < 0:
            _reply(connection, KILLED, -code)
        connection.close()


def _end(waiting: Standby) -> None:
    waiting.close()
    os.waitpid(waiting.pid, 0)


def _stand_by(channel: socket.socket, pages: WrittenPages) -> NoReturn:
    """A child until its command comes, and then the command."""
    try:
        standby.give_way()
        pages.take(lambda: standby.has_come(channel))
        command = standby.receive(channel)
        if command is not None:
            _run_child(command, pages.note)
    finally:
        os._exit(125)


def _run_child(command: Command, after: Callable[[], None] = lambda: None) -> NoReturn:
    """The command, in a child that has nothing of the warm process but its modules; ``after`` is
    called when the caller has its answer.
    """
    code = 125
    try:
        lifeline = _become(command)
        code = finish(main)
        os.close(lifeline)
        _reply(command.connection, EXITED, code)
        after()
    finally:
        os._exit(code)


def _become(command: Command) -> int:
    """Takes the caller's place, and waits for its word to begin. Returns the descriptor at whose
    end the kernel kills this process. Raises OSError.
    """
    connection, fds = command.connection, command.fds
    request = parse(command.message)
    os.setpgid(0, 0)
    stdin, stdout, stderr, directory, lifeline = fds
    caller.take_over(command.peer)
    for fd, number in ((stdin, 0), (stdout, 1), (stderr, 2)):
        os.dup2(fd, number)
    os.fchdir(directory)
    _die_with(lifeline)
    fds.remove(lifeline)
    for fd in fds:
        os.close(fd)
    os.umask(request.umask)
    os.environ.clear()
    os.environb.update(request.environment)
    time.tzset()
    sys.argv[:] = request.arguments
    _open_streams()
    connection.settimeout(None)
    _reply(connection, STARTED, os.getpid())
    if connection.recv(1) != b"\0":
        os._exit(125)
    connection.set_inheritable(False)
    _set_signals(request)
    return lifeline


def _die_with(lifeline: int) -> None:
    """The kernel kills this process when the caller, who alone holds the other end, is gone."""
    os.set_inheritable(lifeline, False)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _open_streams() -> None:
    """New stream objects: what Python decided about the old ones depended on their descriptors."""
    for name, fd, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        old = getattr(sys, f"__{name}__")
        stream = open(  # noqa: SIM115 - it lives as long as the process
            fd, mode, encoding=old.encoding, errors=old.errors, closefd=False
        )
        if isinstance(stream, io.TextIOWrapper) and mode == "w":
            stream.reconfigure(line_buffering=name == "stderr" or os.isatty(fd))
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _set_signals(request: Request) -> None:
    """Dispositions and mask as Python has them when it starts in the caller's place."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN if number in request.ignored else signal.SIG_DFL)
    if signal.SIGINT not in request.ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, request.blocked)


def _receive(connection: socket.socket, fds: list[int]) -> bytes:
    """One request as it came; its descriptors are added to ``fds``. Raises OSError, ValueError."""
    message, received, _, _ = socket.recv_fds(connection, 1 << 16, _RECEIVED_FDS)
    fds += received
    if len(message) < HEAD.size:
        raise ValueError("a request without a head")
    size, parts, length = size_of(message), [message], len(message)
    while length < size:
        part = connection.recv(size - length)
        if not part:
            raise ValueError("half a request")
        parts.append(part)
        length += len(part)
    return b"".join(parts)


def _credentials(connection: socket.socket) -> tuple[int, int, int]:
    """Process, user and group at the other end."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid, uid, gid = (int.from_bytes(raw[start : start + 4], sys.byteorder) for start in (0, 4, 8))
    return pid, uid, gid


def _reply(connection: socket.socket, kind: int, value: int) -> None:
    try:
        connection.send(REPLY.pack(kind, value))
    except OSError:
        pass  # the caller is gone


def _code_times() -> tuple[int, ...]:
    """When each of kubelite's loaded modules was last written, 0 for one that is gone."""
    paths = [
        module.__file__
        for name, module in list(sys.modules.items())
        if name.startswith("kubelite") and getattr(module, "__file__", None)
    ]
    return tuple(_written_at(path) for path in paths if path)


def _written_at(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _preload(name: str) -> None:
    """Imports a module, or a package with all that is below it, for the children to find there."""
    module = import_module(name)
    for below in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{name}."):
        if below.name not in _LEFT_OUT:
            _preload(below.name)


def serve(name: str) -> None:
    """Listens until nobody needs it; at once over where another one does already."""
    os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)
    if directory_problem(DIRECTORY):
        return
    path = f"{DIRECTORY}/{name}"
    lock = _only_one(name)
    if lock is None:
        return
    for module in _PRELOADED:
        _preload(module)
    rehearse()
    code = _code_times()
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    _remove(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    listener.bind(path)
    os.umask(before)
    listener.listen(16)
    linger = float(os.environ.get("KUBELITE_WARM_SECONDS") or LINGER_SECONDS)
    try:
        Server(listener, lock, path, code, linger).run()
    finally:
        _remove(path)
        lock.close()


def _only_one(name: str) -> socket.socket | None:
    """A lock that the kernel takes back when its holder dies, and that leaves no file; None while
    another warm process of that name has it.
    """
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        lock.bind(f"\0kubelite-warm-{name}")
    except OSError:
        lock.close()
        return None
    return lock


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


if __name__ == "__main__":
    serve(sys.argv[1])
