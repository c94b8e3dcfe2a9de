"""What the launcher asks for, as ``csrc/launcher/request.h`` lays it out. Pure."""

from __future__ import annotations

import struct
from typing import NamedTuple

HEAD = struct.Struct("=IIIIQQII")
REPLY = struct.Struct("=II")
VERSION = 1
MAX_REQUEST = 4 << 20
LISTENS, STARTED, EXITED, KILLED = 1, 2, 3, 4
"""Kinds of replies: the request is awaited; the process that runs the command, its exit code, the
signal that ended it.
"""
_SIGNALS = 64
_SERVED = frozenset("pod image explain version completion __complete --version".split())
_LOCALE = (b"LC_ALL", b"LC_CTYPE", b"LANG")


class Request(NamedTuple):
    """A command line and the state of the process that it was given to. ``arguments`` begin with
    the program's name; signals are numbers.
    """

    arguments: list[str]
    environment: dict[bytes, bytes]
    ignored: frozenset[int]
    blocked: frozenset[int]
    umask: int


def size_of(head: bytes) -> int:
    """The bytes of a whole request. Raises ValueError for one that is not of this version."""
    version, size, *_ = HEAD.unpack_from(head)
    if version != VERSION or not HEAD.size <= size <= MAX_REQUEST:
        raise ValueError("a request of another version")
    return int(size)


def parse(message: bytes) -> Request:
    """A whole request. Raises ValueError for one that does not hold what its head says."""
    _, _, arguments, variables, ignored, blocked, umask, _ = HEAD.unpack_from(message)
    texts = message[HEAD.size :].split(b"\0")
    if len(texts) != arguments + variables + 1 or texts[-1] or not arguments:
        raise ValueError("a request that does not hold what its head says")
    named = (text.partition(b"=") for text in texts[arguments:-1])
    return Request(
        [text.decode(errors="surrogateescape") for text in texts[:arguments]],
        {name: value for name, _, value in named},
        _numbers(ignored),
        _numbers(blocked),
        umask,
    )


def is_served(request: Request, own: dict[bytes, bytes]) -> bool:
    """Whether a process with the environment ``own`` can run this command as a new one would.

    Commands that stay for long (servers, agents) get a process of their own. Python reads some
    variables once, as it starts.
    """
    from kubelite.cli.common.fastpath import hoist

    rest = hoist(request.arguments[1:])[1]
    return bool(rest) and rest[0] in _SERVED and _read_once(request.environment) == _read_once(own)


def _read_once(environment: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """What Python takes from its environment as it starts: its own variables, and the locale, which
    is C.UTF-8 where the environment says C or nothing (PEP 538, PEP 540).
    """
    own = {name: value for name, value in environment.items() if name.startswith(b"PYTHON")}
    chosen = next(filter(None, map(environment.get, _LOCALE)), b"C")
    own[b"locale"] = b"C.UTF-8" if chosen in (b"C", b"POSIX") else chosen
    return own


def _numbers(mask: int) -> frozenset[int]:
    return frozenset(number for number in range(1, _SIGNALS + 1) if mask >> (number - 1) & 1)
