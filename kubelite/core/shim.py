"""The client of a shim: launches one, connects to its socket, sends requests, reads answers.

A connection carries several requests at once: ``ask`` sends one and returns its sequence number,
``answer`` waits for the answer with that number. It is synchronous and makes no decisions.
"""

from __future__ import annotations

import fcntl
import math
import os
import select
import socket
import struct
from collections import deque
from collections.abc import Collection, Sequence
from typing import NamedTuple

from kubelite.core import protocol
from kubelite.core.errors import NativeError, ProtocolError, ShimGone, ShimSilent
from kubelite.core.protocol import LogRotation, Message, Packet, Process, Role, Started, StartFlag

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_STREAM = (Message.DATA, Message.END)
_PROGRAM = os.path.join(os.path.dirname(os.path.dirname(__file__)), "bin", "kubelite-shim")
ANSWER_SECONDS = 10
"""How long a shim may take for what it answers at once."""
_SEND_LIMIT = struct.pack("ll", ANSWER_SECONDS, 0)
"""The same for what is sent, and for the connection, as a struct timeval."""
_DISCONNECTED = (ConnectionResetError, BrokenPipeError, ConnectionRefusedError, FileNotFoundError)


class Launched(NamedTuple):
    """A shim that was just started, and the first connection to it."""

    pid: int
    pidfd: int
    shim: Shim


class Shim:
    """One connection to a shim. Close it, or use it in a ``with`` statement.

    ``patience``: the seconds that it may take for what it answers at once.
    """

    patience: float = ANSWER_SECONDS

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._seq = 0
        self._answers: dict[int, tuple[Packet, list[int]]] = {}
        self._streamed: deque[Packet] = deque()

    def __enter__(self) -> Shim:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; processes of the shim continue."""
        for _, fds in self._answers.values():
            _close_all(fds)
        self._answers.clear()
        self._sock.close()

    def fileno(self) -> int:
        """For poll."""
        return self._sock.fileno()

    # -- packets ---

    def ask(self, type: Message, body: bytes = b"", fds: Sequence[int] = (), flags: int = 0) -> int:
        """Sends a request; returns its sequence number, which the answer, if any, repeats. Raises
        ShimGone, ShimSilent.
        """
        self._seq += 1
        try:
            socket.send_fds(self._sock, [protocol.pack(type, self._seq, body, flags)], fds)
        except BlockingIOError as error:
            raise _silent() from error
        except _DISCONNECTED as error:
            raise ShimGone("the shim has exited") from error
        return self._seq

    def receive(self, timeout: float | None = None) -> tuple[Packet, list[int]] | None:
        """The next packet and its descriptors; None when ``timeout`` seconds pass first. Raises
        ShimGone at the end.
        """
        if timeout is not None and not _is_readable(self._sock.fileno(), timeout):
            return None
        try:
            data, fds, _, _ = socket.recv_fds(
                self._sock, protocol.MAX_MESSAGE_SIZE, 4, socket.MSG_CMSG_CLOEXEC
            )
        except _DISCONNECTED as error:
            raise ShimGone("the shim has exited") from error
        if not data:
            raise ShimGone("the shim has exited")
        return protocol.unpack(data), fds

    def answer(self, seq: int, timeout: float | None = None) -> tuple[Packet, list[int]]:
        """The answer to request ``seq``. Raises NativeError for ERROR, ShimSilent after ``timeout``
        seconds, ShimGone.
        """
        while seq not in self._answers:
            received = self.receive(timeout)
            if received is None:
                raise _silent()
            if received[0].type in _STREAM:
                self._streamed.append(received[0])
            else:
                self._answers[received[0].seq] = received
        packet, fds = self._answers.pop(seq)
        if packet.type == Message.ERROR:
            _close_all(fds)
            code, step, object = protocol.read_error(packet.body)
            raise NativeError(step, object, code)
        return packet, fds

    def take(self, seqs: Collection[int]) -> list[Packet]:
        """The answers to ``seqs`` that arrived during a wait for another one: they will not make
        the socket readable again.
        """
        return [self._answers.pop(seq)[0] for seq in seqs if seq in self._answers]

    def stream(self, timeout: float | None = None) -> Packet:
        """The next packet of an attached process: DATA, END or EXITED. Blocks; raises ShimGone,
        TimeoutError.
        """
        if self._streamed:
            return self._streamed.popleft()
        received = self.receive(timeout)
        if received is None:
            raise TimeoutError("the process sends nothing")
        return received[0]

    def _expect(self, seq: int, type: Message, timeout: float | None) -> tuple[Packet, list[int]]:
        packet, fds = self.answer(seq, timeout)
        if packet.type != type:
            _close_all(fds)
            raise ProtocolError(f"expected {type.name}, received message type {packet.type}")
        return packet, fds

    # -- requests ---

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
        log: LogRotation = protocol.NO_LOG,
    ) -> int:
        """Requests a start; ``fds`` are the plan's descriptors and, with StartFlag.LOG, last the
        log directory, whose files are rotated as ``log`` says.
        """
        body = protocol.start(
            id, role, flags, target=target, attempt=attempt, rows=rows, columns=columns, log=log
        )
        memfd = sealed(plan)
        try:
            return self.ask(Message.START, body, [memfd, *fds])
        finally:
            os.close(memfd)

    def started(self, seq: int, timeout: float | None = None) -> tuple[Started, list[int]]:
        """The answer to :meth:`ask_start`; for pause the list holds its network namespace, owned
        by the caller.
        """
        packet, fds = self._expect(seq, Message.STARTED, timeout)
        return protocol.read_started(packet.body), fds

    def hello(self) -> int:
        """Negotiates the version; returns the pid of the shim."""
        packet, _ = self._expect(
            self.ask(Message.HELLO, protocol.hello()), Message.HELLO, self.patience
        )
        return int.from_bytes(packet.body[4:8], "little")

    def signal(self, id: str, number: int) -> None:
        """Sends a signal. Raises NativeError: ESRCH when the process has exited, ENOENT for an
        unknown id.
        """
        self._expect(
            self.ask(Message.SIGNAL, protocol.signal(id, number)), Message.OK, self.patience
        )

    def processes(self) -> list[Process]:
        """Every process of the shim: pause, containers, exec sessions. Raises ShimSilent."""
        packet, _ = self._expect(self.ask(Message.STATE), Message.STATE, self.patience)
        return protocol.read_processes(packet.body)

    def ask_wait(self, id: str) -> int:
        """Requests the exit of ``id``; :meth:`exited` waits for the answer."""
        return self.ask(Message.WAIT, protocol.identity(id))

    def exited(self, seq: int, timeout: float | None = None) -> Process:
        """The answer to :meth:`ask_wait`. Raises TimeoutError after ``timeout`` seconds."""
        packet, _ = self._expect(seq, Message.EXITED, timeout)
        return protocol.read_processes(packet.body)[0]

    def acknowledge(self, id: str) -> None:
        """The exit of ``id`` is recorded: the shim may drop it."""
        self._expect(self.ask(Message.ACK, protocol.identity(id)), Message.OK, self.patience)

    def attach(self, id: str, streams: int) -> None:
        """The connection carries the streams of ``id`` from now on: bit 0 its input, 1 and 2 its
        outputs, read with :meth:`stream`. Closing it does not affect the process. Raises
        NativeError.
        """
        self._expect(
            self.ask(Message.ATTACH, protocol.attach(id, streams)), Message.OK, self.patience
        )

    def say_care(self, needed: bool) -> None:
        """The pod needs care, which this connection gives until it is closed; or it needs none.
        While nobody gives what is needed, the shim runs its care command.
        """
        self.ask(Message.CARE, protocol.care(needed))

    def shutdown(self) -> None:
        """Kills all processes and ends the shim, without its care command."""
        self._expect(self.ask(Message.SHUTDOWN), Message.OK, self.patience)


def _silent() -> ShimSilent:
    return ShimSilent("the shim does not answer")


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def _is_readable(fd: int, seconds: float) -> bool:
    """With poll: select supports no descriptor above 1023, and an agent has many."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(math.ceil(seconds * 1000)))


def sealed(data: bytes) -> int:
    """A sealed memfd with ``data``, which no other descriptor can change either."""
    fd = os.memfd_create("kubelite-plan", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    return fd


def connect(directory: int, name: str = "shim.sock") -> Shim:
    """Connects to the socket ``name`` in a directory, given as a descriptor: paths of sockets are
    limited to 108 bytes.

    Raises ShimGone when the shim does not listen, ShimSilent when it takes no connection.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SEND_LIMIT)
    try:
        sock.connect(f"/proc/self/fd/{directory}/{name}")
    except BlockingIOError as error:
        sock.close()
        raise _silent() from error
    except OSError as error:
        sock.close()
        raise ShimGone("the shim has exited") from error
    return Shim(sock)


def launch(
    uid: str, directory: int, exits: int, care: Sequence[str], name: str = "shim.sock"
) -> Launched:
    """Starts the shim of pod ``uid``: its socket in ``directory``, its exit files in ``exits``.

    ``care`` is the command line it runs when pause dies unexpectedly, or nobody gives the pod the
    care that it needs (:meth:`Shim.say_care`). Raises NativeError.
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
        pid, pidfd = native.shim_launch(program, ["kubelite-shim", uid, *care], env, fds)
    except BaseException:
        ours.close()
        raise
    finally:
        os.close(program)
        listener.close()
        theirs.close()
    return Launched(pid, pidfd, Shim(ours))
