"""Messages to and from a shim, as bytes. Pure; the layout is that of ``csrc/shim/protocol.h``."""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import NamedTuple

from kubelite.core.errors import ProtocolError

PROTOCOL = 1
MAX_MESSAGE_SIZE = 65536
_HEAD = struct.Struct("<HHIII")
_START = struct.Struct("<64s64sIIIHHQII")
_STARTED = struct.Struct("<iIQQ")
_SIGNAL = struct.Struct("<64siI")
_ATTACH = struct.Struct("<64sII")
_STATE = struct.Struct("<64sIIiiiIQQ")
_ERROR = struct.Struct("<i48s256s")
MAX_DATA_SIZE = MAX_MESSAGE_SIZE - _HEAD.size


class Message(IntEnum):
    """The kinds of message, ``enum msg_type``."""

    HELLO = 1
    START = 2
    SIGNAL = 3
    STATE = 4
    WAIT = 5
    ACK = 6
    ATTACH = 7
    DATA = 8
    END = 9
    RESIZE = 10
    DETACH = 11
    SHUTDOWN = 12
    STARTED = 13
    EXITED = 14
    ERROR = 15
    OK = 16
    CARE = 17


class Role(IntEnum):
    """The role of a process in its pod, ``enum spawn_role``."""

    PAUSE = 1
    CONTAINER = 2
    EXEC = 3


class StartFlag(IntFlag):
    """``enum start_flag``."""

    NONE = 0
    STDIN = 1
    STDIN_ONCE = 2
    ATTACH = 4
    LOG = 8
    TARGET = 16


class ProcessState(IntEnum):
    """``enum process_state``."""

    STARTING = 1
    RUNNING = 2
    EXITED = 3


class LogRotation(NamedTuple):
    """A container's log goes into a new file past ``max_size`` bytes; the ``max_files`` newest are
    kept, the live one included (the kubelet's containerLogMaxSize and containerLogMaxFiles).
    """

    max_size: int
    max_files: int


NO_LOG = LogRotation(0, 0)
"""For a process without a log."""


class Packet(NamedTuple):
    """One message: ``flags`` is the stream number of DATA and END."""

    type: int
    flags: int
    seq: int
    body: bytes


class Started(NamedTuple):
    """A running process: ``start_ticks`` is field 22 of /proc/PID/stat, ``started_at`` nanoseconds
    since 1970.
    """

    pid: int
    already: bool
    start_ticks: int
    started_at: int


class Process(NamedTuple):
    """The state of one process. ``code`` is the exit code, 128 + signal when a signal ended it;
    ``lost`` counts log records lost to a full disk and not yet mentioned in the log.
    """

    id: str
    role: Role
    state: ProcessState
    pid: int
    code: int
    signal: int
    started_at: int
    finished_at: int
    lost: int


def pack(type: Message, seq: int, body: bytes = b"", flags: int = 0) -> bytes:
    """One packet, ready to be sent."""
    return _HEAD.pack(type, flags, seq, len(body), 0) + body


def unpack(data: bytes) -> Packet:
    """Parses a packet. Raises ProtocolError when its head has the wrong size."""
    if len(data) < _HEAD.size:
        raise ProtocolError(f"a packet of {len(data)} bytes")
    type, flags, seq, size, _ = _HEAD.unpack_from(data)
    if size != len(data) - _HEAD.size:
        raise ProtocolError(f"a packet of {len(data) - _HEAD.size} bytes whose head says {size}")
    return Packet(type, flags, seq, data[_HEAD.size :])


def start(
    id: str,
    role: Role,
    flags: StartFlag,
    *,
    target: str = "",
    attempt: int = 0,
    rows: int = 0,
    columns: int = 0,
    log: LogRotation = NO_LOG,
) -> bytes:
    """The body of START. ``log`` counts with StartFlag.LOG."""
    return _START.pack(id.encode(), target.encode(), role, flags, attempt, rows, columns, *log, 0)


def identity(id: str) -> bytes:
    """The body of WAIT and ACK."""
    return id.encode()


def hello() -> bytes:
    """The body of HELLO."""
    return struct.pack("<I", PROTOCOL)


def signal(id: str, number: int) -> bytes:
    """The body of SIGNAL."""
    return _SIGNAL.pack(id.encode(), number, 0)


def attach(id: str, streams: int) -> bytes:
    """The body of ATTACH: bit 0 stdin, 1 stdout, 2 stderr."""
    return _ATTACH.pack(id.encode(), streams, 0)


def care(needed: bool) -> bytes:
    """The body of CARE."""
    return struct.pack("<I", needed)


def window(rows: int, columns: int) -> bytes:
    """The body of RESIZE."""
    return struct.pack("<HH", rows, columns)


def read_started(body: bytes) -> Started:
    """The body of STARTED."""
    try:
        pid, already, ticks, started_at = _STARTED.unpack_from(body)
    except struct.error as error:
        raise ProtocolError("STARTED is too short") from error
    return Started(pid, bool(already), ticks, started_at)


def read_processes(body: bytes) -> list[Process]:
    """The body of STATE and EXITED."""
    if len(body) % _STATE.size:
        raise ProtocolError(f"STATE of {len(body)} bytes")
    processes = []
    for id, role, state, pid, code, number, lost, started, finished in _STATE.iter_unpack(body):
        processes.append(
            Process(
                id.decode(),
                Role(role),
                ProcessState(state),
                pid,
                code,
                number,
                started,
                finished,
                lost,
            )
        )
    return processes


def read_error(body: bytes) -> tuple[int, str, str]:
    """The body of ERROR: errno, step, object."""
    try:
        code, step, object = _ERROR.unpack_from(body)
    except struct.error as error:
        raise ProtocolError("ERROR is too short") from error
    texts = [field.split(b"\0", 1)[0].decode("utf-8", "replace") for field in (step, object)]
    return code, texts[0], texts[1]
