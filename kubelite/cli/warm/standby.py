"""A child that was forked before its command came, as the warm process and the child see it.

What travels between them: the process that gave the command line, the request, and the descriptors
of the connection and of the request.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import struct
from typing import NamedTuple

MAX_MESSAGE = 1 << 16
"""Bytes; longer command lines get a child of their own."""
_HEAD = struct.Struct("=I")
_FDS = 8


class Command(NamedTuple):
    """A command line that was handed over: ``message`` is the request."""

    connection: socket.socket
    peer: int
    message: bytes
    fds: list[int]


class Standby(NamedTuple):
    """The waiting child ``pid``; who has the other end of ``channel`` reads its command there."""

    pid: int
    pidfd: int
    channel: socket.socket

    def hand_over(self, command: Command) -> bool:
        """False where it cannot take the command; it is killed then."""
        fds = [command.connection.fileno(), *command.fds]
        try:
            if len(command.message) > MAX_MESSAGE:
                raise OSError(errno.EMSGSIZE, "a long command line")
            os.sched_setscheduler(self.pid, os.sched_getscheduler(0), os.sched_getparam(0))
            socket.send_fds(self.channel, [_HEAD.pack(command.peer), command.message], fds)
        except OSError:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            return False
        return True

    def close(self) -> None:
        """Closes the descriptors: a child that has no command yet ends."""
        os.close(self.pidfd)
        self.channel.close()


def channel() -> tuple[socket.socket, socket.socket]:
    """The warm process's end, which never waits, and the child's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, theirs


def give_way() -> None:
    """Lets this process run only while no other one wants to, until a command is handed over."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def has_come(channel: socket.socket) -> bool:
    """Whether the child's wait is over."""
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    return bool(poll.poll(0))


def receive(channel: socket.socket) -> Command | None:
    """The command, once it comes; None when the warm process is gone."""
    packet, fds, _, _ = socket.recv_fds(channel, _HEAD.size + MAX_MESSAGE, _FDS)
    channel.close()
    if not packet:
        return None
    (peer,) = _HEAD.unpack_from(packet)
    connection = socket.socket(fileno=fds.pop(0))
    return Command(connection, peer, packet[_HEAD.size :], fds)
