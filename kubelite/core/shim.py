"""Talking to a shim: launching one, connecting to its socket, asking and being answered.

A connection carries several questions at once: ``ask`` sends and returns a number, ``answer`` waits
for that number. It is synchronous; nothing here decides anything about pods.
"""

from __future__ import annotations

import fcntl
import math
import os
import select
import socket
from collections import deque
from collections.abc import Collection, Sequence
from typing import NamedTuple

from kubelite.core import protocol
from kubelite.core.errors import NativeError, ProtocolError, ShimGone
from kubelite.core.protocol import Message, Packet, Process, Role, Started, StartFlag

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_STREAM = (Message.DATA, Message.END)
_PROGRAM = os.path.join(os.path.dirname(os.path.dirname(__file__)), "bin", "kubelite-shim")
_ENDS = (ConnectionResetError, BrokenPipeError, ConnectionRefusedError, FileNotFoundError)


class Launched(NamedTuple):
    """A shim that was just started, and the first connection to it."""

    pid: int
    pidfd: int
    shim: Shim


class Shim:
    """One connection to a shim. Close it, or use it in a ``with`` statement."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._seq = 0
        self._kept: dict[int, tuple[Packet, list[int]]] = {}
        self._streamed: deque[Packet] = deque()

    def __enter__(self) -> Shim:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; what the shim runs goes on."""
        for _, fds in self._kept.values():
            _close_all(fds)
        self._kept.clear()
        self._sock.close()

    def fileno(self) -> int:
        """For select and poll."""
        return self._sock.fileno()

    # -- packets --------------------------------------------------------------------------------------------------------

    def ask(self, type: Message, body: bytes = b"", fds: Sequence[int] = (), flags: int = 0) -> int:
        """Sends a question (or, for DATA and its like, a statement); returns the number its answer
        will carry.
        """
        self._seq += 1
        try:
            socket.send_fds(self._sock, [protocol.pack(type, self._seq, body, flags)], fds)
        except _ENDS as error:
            raise ShimGone("the shim has gone") from error
        return self._seq

    def receive(self, timeout: float | None = None) -> tuple[Packet, list[int]] | None:
        """The next packet and its descriptors; None when ``timeout`` seconds pass first. Raises
        ShimGone at the end.
        """
        if timeout is not None and not _is_readable(self._sock.fileno(), timeout):
            return None
        try:
            data, fds, _, _ = socket.recv_fds(
                self._sock, protocol.MSG_MAX, 4, socket.MSG_CMSG_CLOEXEC
            )
        except _ENDS as error:
            raise ShimGone("the shim has gone") from error
        if not data:
            raise ShimGone("the shim has gone")
        return protocol.unpack(data), fds

    def answer(self, seq: int, timeout: float | None = None) -> tuple[Packet, list[int]]:
        """The answer to question ``seq``. Raises NativeError for ERROR, TimeoutError, ShimGone."""
        while seq not in self._kept:
            got = self.receive(timeout)
            if got is None:
                raise TimeoutError("the shim does not answer")
            if got[0].type in _STREAM:
                self._streamed.append(got[0])
            else:
                self._kept[got[0].seq] = got
        packet, fds = self._kept.pop(seq)
        if packet.type == Message.ERROR:
            _close_all(fds)
            code, step, object = protocol.read_error(packet.body)
            raise NativeError(step, object, code)
        return packet, fds

    def take(self, seqs: Collection[int]) -> list[Packet]:
        """Those answers to ``seqs`` that came while another was waited for: no more will be heard
        of them on the socket.
        """
        return [self._kept.pop(seq)[0] for seq in seqs if seq in self._kept]

    def stream(self, timeout: float | None = None) -> Packet:
        """The next packet of an attached process: DATA, END or EXITED. Blocks; raises ShimGone,
        TimeoutError.
        """
        if self._streamed:
            return self._streamed.popleft()
        got = self.receive(timeout)
        if got is None:
            raise TimeoutError("the process says nothing")
        return got[0]

    def _expect(
        self, seq: int, type: Message, timeout: float | None = None
    ) -> tuple[Packet, list[int]]:
        packet, fds = self.answer(seq, timeout)
        if packet.type != type:
            _close_all(fds)
            raise ProtocolError(f"answer {packet.type} where {type.name} belongs")
        return packet, fds

    # -- questions ------------------------------------------------------------------------------------------------------

    def ask_start(
        self,
        id: str,
        role: Role,
        plan: bytes,
        fds: Sequence[int] = (),
        *,
        flags: StartFlag = StartFlag.NONE,
        target: str = "",
        attempt: int = 0,
        rows: int = 0,
        columns: int = 0,
    ) -> int:
        """Asks for a start; ``fds`` are the plan's descriptors and, with StartFlag.LOG, the log
        directory last.
        """
        body = protocol.start(
            id, role, flags, target=target, attempt=attempt, rows=rows, columns=columns
        )
        memfd = sealed(plan)
        try:
            return self.ask(Message.START, body, [memfd, *fds])
        finally:
            os.close(memfd)

    def started(self, seq: int, timeout: float | None = None) -> tuple[Started, list[int]]:
        """The answer to :meth:`ask_start`; for pause the list holds its network namespace, the
        caller's now.
        """
        packet, fds = self._expect(seq, Message.STARTED, timeout)
        return protocol.read_started(packet.body), fds

    def hello(self) -> int:
        """The shim's pid, once both sides have named their version."""
        packet, _ = self._expect(self.ask(Message.HELLO, protocol.hello()), Message.HELLO)
        return int.from_bytes(packet.body[4:8], "little")

    def signal(self, id: str, number: int) -> None:
        """Sends a signal. Raises NativeError ESRCH when the process has ended, ENOENT when the id
        is unknown.
        """
        self._expect(self.ask(Message.SIGNAL, protocol.signal(id, number)), Message.OK)

    def processes(self) -> list[Process]:
        """Everything the shim knows: pause, containers, exec sessions."""
        packet, _ = self._expect(self.ask(Message.STATE), Message.STATE)
        return protocol.read_processes(packet.body)

    def ask_wait(self, id: str) -> int:
        """Asks for the exit of ``id``; :meth:`exited` has the answer."""
        return self.ask(Message.WAIT, protocol.identity(id))

    def exited(self, seq: int, timeout: float | None = None) -> Process:
        """The answer to :meth:`ask_wait`. Raises TimeoutError after ``timeout`` seconds."""
        packet, _ = self._expect(seq, Message.EXITED, timeout)
        return protocol.read_processes(packet.body)[0]

    def acknowledge(self, id: str) -> None:
        """The exit of ``id`` is on record elsewhere: the shim may forget it."""
        self._expect(self.ask(Message.ACK, protocol.identity(id)), Message.OK)

    def attach(self, id: str, streams: int) -> None:
        """From now on the connection carries the streams of ``id``: bit 0 its input, 1 and 2 its
        outputs; :meth:`stream` has them. Leaving does nothing to the process. Raises
        NativeError."""
        self._expect(self.ask(Message.ATTACH, protocol.attach(id, streams)), Message.OK)

    def shutdown(self) -> None:
        """Kills what is left and ends the shim, without its clean-up command."""
        self._expect(self.ask(Message.SHUTDOWN), Message.OK)


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def _is_readable(fd: int, seconds: float) -> bool:
    """By poll: select knows no descriptor above 1023, and an agent has many."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(math.ceil(seconds * 1000)))


def sealed(data: bytes) -> int:
    """A sealed memfd holding ``data``: nobody can change it any more, not even through another
    descriptor.
    """
    fd = os.memfd_create("kubelite-plan", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    return fd


def connect(directory: int, name: str = "shim.sock") -> Shim:
    """Connects to the socket ``name`` in the directory behind a descriptor, so that no path is too
    long for it.

    Raises ShimGone when nobody listens.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        sock.connect(f"/proc/self/fd/{directory}/{name}")
    except OSError as error:
        sock.close()
        raise ShimGone("the shim has gone") from error
    return Shim(sock)


def launch(
    uid: str, directory: int, exits: int, cleanup: Sequence[str], name: str = "shim.sock"
) -> Launched:
    """Starts the shim of pod ``uid``: its socket in ``directory``, its exit files in ``exits``.

    ``cleanup`` is the command line it runs when pause dies unasked. Raises NativeError.
    """
    from kubelite.core import native

    program = os.open(_PROGRAM, os.O_RDONLY | os.O_CLOEXEC)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        listener.bind(f"/proc/self/fd/{directory}/{name}")
        os.chmod(name, 0o600, dir_fd=directory)
        listener.listen(64)
        env = [
            f"{key}={os.environ[key]}"
            for key in ("PATH", "LANG", "PYTHONPATH")
            if os.environ.get(key)
        ]
        fds = (listener.fileno(), theirs.fileno(), exits)
        pid, pidfd = native.shim_launch(program, ["kubelite-shim", uid, *cleanup], env, fds)
    except BaseException:
        ours.close()
        raise
    finally:
        os.close(program)
        listener.close()
        theirs.close()
    return Launched(pid, pidfd, Shim(ours))
