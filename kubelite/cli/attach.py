"""``pod exec``: a program in a container with the caller's terminal or pipes.

One select loop, no threads: input is read only when the session takes it, so that neither side can block the other.
"""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

from kubelite.cli import terminal
from kubelite.cli.engine import doc, pods
from kubelite.cli.podrow import default_container
from kubelite.cli.screen import OutputClosed, Screen
from kubelite.cli.text import CliError, Trouble

if TYPE_CHECKING:
    from kubelite.cli.settings import Settings
    from kubelite.node.runtime.session import Session

_PIECE = 1 << 14
FAILED = 125


def execute(
    settings: Settings, name: str, args: list[str], container: str | None = None, *, stdin: bool, tty: bool
) -> int:
    """Runs ``args`` in a container and returns its exit code, 128+n when signal n ended it.

    Raises CliError with 126 for a program that cannot be executed and 127 for one that is not there.
    """
    from kubelite.node.runtime.errors import CannotStart

    screen = Screen(settings)
    engine = pods(settings, screen)
    if container is None:
        container, names = default_container(doc(engine.get(settings.space, name)))
        if len(names) > 1:
            screen.detail(f'Defaulted container "{container}" out of: {", ".join(names)}')
    raw = tty and stdin and os.isatty(terminal.STDIN)
    if tty and not raw:
        screen.warn(Trouble("unable to use a terminal: stdin is not one, or -i was not given"))
    rows, columns = terminal.size() if raw else (0, 0)
    try:
        session = engine.exec(
            settings.space, name, container, args, stdin=stdin, tty=tty, rows=rows, columns=columns
        )
    except CannotStart as error:
        raise CliError(
            Trouble(error.message, cause=error.cause or "", hint=error.hint or "", exit=_code(error.exit_code))
        ) from error
    try:
        return _raw(session) if raw else converse(session, terminal.STDIN if stdin else None)
    finally:
        session.close()


def _code(exit_code: int) -> int:
    return exit_code if exit_code in (126, 127) else FAILED


def _raw(session: Session) -> int:
    with terminal.RawTerminal() as console:
        return converse(session, terminal.STDIN, console)


def converse(session: Session, source: int | None, console: terminal.RawTerminal | None = None) -> int:
    """Carries input, output and window sizes to and fro until the program ends; returns its exit code.

    ``source`` is the descriptor that input comes from, None for no input. Raises OutputClosed, ShimGone.
    """
    pending = b""
    if source is None:
        session.close_stdin()
    while True:
        readers: list[int | Session] = [session]
        if source is not None and not pending:
            readers.append(source)
        if console is not None:
            readers.append(console.winch)
        ready, writable, _ = select.select(readers, [session] if pending else [], [])
        if session in ready:
            got = session.read()
            if isinstance(got, int):
                return got
            _write_all(*got)
        if console is not None and console.winch in ready:
            console.resized()
            session.resize(*terminal.size())
        if writable:
            session.write(pending)
            pending = b""
        elif source is not None and source in ready:
            pending = _read(source)
            if not pending:
                session.close_stdin()
                source = None


def _read(source: int) -> bytes:
    """The next input; a terminal that has gone away counts as the end."""
    try:
        return os.read(source, _PIECE)
    except OSError:
        return b""


def _write_all(stream: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(stream, view) :]
        except BlockingIOError:
            select.select([], [stream], [])
        except BrokenPipeError as error:
            raise OutputClosed from error
