"""Carries input and output between the caller and a program in a container.

One poll loop, no threads: input is read only when the session accepts it, so that neither side
can block the other.
"""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING

from kubelite.cli.common.screen import OutputClosed
from kubelite.cli.session import terminal

if TYPE_CHECKING:
    from kubelite.node.runtime.exec.session import Session

DETACH_KEYS = b"\x10\x11"
"""Ctrl-P Ctrl-Q."""
_BUFFER = 1 << 14
_DETACH_SECONDS = 0.5


def relay_raw(session: Session, detach_keys: bytes = b"") -> int:
    """:func:`relay` with the caller's terminal in raw mode."""
    with terminal.RawTerminal() as console:
        return relay(session, terminal.STDIN, console, detach_keys)


def relay(
    session: Session,
    source: int | None,
    console: terminal.RawTerminal | None = None,
    detach_keys: bytes = b"",
    *,
    ends_input: bool = True,
) -> int:
    """Carries input, output and window sizes until the program ends; returns its exit code.

    ``source`` is the descriptor that input comes from, None for no input; ``detach_keys`` end it
    early, with code 0; ``ends_input``: the end of our input closes the program's. Raises
    OutputClosed, ShimGone.
    """
    pending = held = b""
    held_until = 0.0
    if source is None:
        session.close_stdin()
    while True:
        readers = [session.fileno()]
        if source is not None and not pending:
            readers.append(source)
        if console is not None:
            readers.append(console.winch)
        timeout = max(held_until - time.monotonic(), 0) if held and not pending else None
        ready, is_writable = _wait(readers, session.fileno() if pending else None, timeout)
        if timeout is not None and source not in ready and time.monotonic() >= held_until:
            # No second key: the first one was meant for the program.
            pending, held = held, b""
        if session.fileno() in ready:
            received = session.read_packet()
            if isinstance(received, int):
                return received
            if received is not None:
                _write_all(*received)
        if console is not None and console.winch in ready:
            console.resized()
            session.resize(*terminal.size())
        if is_writable:
            session.write(pending)
            pending = b""
        elif source is not None and source in ready:
            typed = _read(source)
            pending = held + typed
            held = b""
            if detach_keys and console is not None:
                if detach_keys in pending:
                    return 0
                # The first detach key is held back for a moment, so that detaching leaves
                # nothing in the program's line editor.
                if typed and pending.endswith(detach_keys[:1]):
                    pending, held = pending[:-1], detach_keys[:1]
                    held_until = time.monotonic() + _DETACH_SECONDS
            if not typed:
                source = None
                if ends_input:
                    session.close_stdin()


def _wait(readers: list[int], writer: int | None, timeout: float | None) -> tuple[set[int], bool]:
    """Waits until a descriptor has input or its end, or ``writer`` accepts output, at most
    ``timeout`` seconds: which have, and whether it does. With poll: select supports no descriptor
    above 1023, and the caller may have left many open.
    """
    events = dict.fromkeys(readers, select.POLLIN)
    if writer is not None:
        events[writer] = events.get(writer, 0) | select.POLLOUT
    poll = select.poll()
    for fd, mask in events.items():
        poll.register(fd, mask)
    happened = poll.poll(None if timeout is None else timeout * 1000)
    ready = {fd for fd, event in happened if event & ~select.POLLOUT and fd in readers}
    return ready, any(fd == writer and event & ~select.POLLIN for fd, event in happened)


def _read(source: int) -> bytes:
    """The next input; a terminal that has gone away counts as the end."""
    try:
        return os.read(source, _BUFFER)
    except OSError:
        return b""


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            _wait([], fd, None)
        except BrokenPipeError as error:
            raise OutputClosed from error
