"""``pod exec``, ``pod attach`` and ``pod debug``: a program in a container with the caller's
terminal or pipes.

One select loop, no threads: input is read only when the session takes it, so that neither side can
block the other.
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
    from kubelite.cli.podrow import Doc
    from kubelite.cli.settings import Settings
    from kubelite.node.runtime.exec.session import Session

_PIECE = 1 << 14
FAILED = 125
LEAVE = b"\x10\x11"


def execute(
    settings: Settings,
    name: str,
    args: list[str],
    container: str | None = None,
    *,
    stdin: bool,
    tty: bool,
) -> int:
    """Runs ``args`` in a container and returns its exit code, 128+n when signal n ended it.

    Raises CliError with 126 for a program that cannot be executed and 127 for one that is not
    there.
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
            Trouble(
                error.message,
                cause=error.cause or "",
                hint=error.hint or "",
                exit=_code(error.exit_code),
            )
        ) from error
    try:
        return _raw(session) if raw else converse(session, terminal.STDIN if stdin else None)
    finally:
        session.close()


def _code(exit_code: int) -> int:
    return exit_code if exit_code in (126, 127) else FAILED


def attach(settings: Settings, name: str, container: str | None = None, *, stdin: bool) -> int:
    """Shows what a container's main process says from now on, until it ends; returns its exit code
    then, and 0 when the caller has left with Ctrl-P Ctrl-Q. Raises CliError for input that the
    container does not read."""
    screen = Screen(settings)
    engine = pods(settings, screen)
    pod = doc(engine.get(settings.space, name))
    chosen = container or default_container(pod)[0]
    spec = pod["spec"]
    found: Doc = next(
        (
            c
            for c in (*spec["containers"], *(spec.get("initContainers") or ()))
            if c["name"] == chosen
        ),
        {},
    )
    if stdin and not found.get("stdin"):
        raise CliError(
            Trouble(
                f'container "{chosen}" reads no input',
                hint="its manifest has to say `stdin: true`",
                exit=FAILED,
            )
        )
    with engine.attach(settings.space, name, chosen, stdin=stdin) as session:
        if stdin and found.get("tty") and os.isatty(terminal.STDIN):
            session.resize(*terminal.size())
            screen.note("Ctrl-P Ctrl-Q leaves it running")
            return _raw(session, leave=LEAVE)
        return converse(
            session, terminal.STDIN if stdin else None, ends_input=bool(found.get("stdinOnce"))
        )


def debug(
    settings: Settings,
    name: str,
    args: list[str],
    container: str | None = None,
    *,
    image: str,
    stdin: bool,
    tty: bool,
) -> int:
    """Runs ``args`` from another image beside a container, in its network and among its processes;
    returns its exit code.
    """
    from kubelite.objects.pod.container import Capabilities, Container, SecurityContext
    from kubelite.objects.rules.defaults import pull_policy

    screen = Screen(settings)
    engine = pods(settings, screen)
    chosen = container or default_container(doc(engine.get(settings.space, name)))[0]
    tools = Container(
        name="debugger", image=image, image_pull_policy=pull_policy(image), command=tuple(args), stdin=stdin, tty=tty,
        security_context=SecurityContext(capabilities=Capabilities(add=("SYS_PTRACE",))),
    )  # fmt: skip
    raw = tty and stdin and os.isatty(terminal.STDIN)
    rows, columns = terminal.size() if raw else (0, 0)
    with engine.debug(settings.space, name, chosen, tools, rows=rows, columns=columns) as session:
        return _raw(session) if raw else converse(session, terminal.STDIN if stdin else None)


def _raw(session: Session, leave: bytes = b"") -> int:
    with terminal.RawTerminal() as console:
        return converse(session, terminal.STDIN, console, leave)


def converse(
    session: Session,
    source: int | None,
    console: terminal.RawTerminal | None = None,
    leave: bytes = b"",
    *,
    ends_input: bool = True,
) -> int:
    """Carries input, output and window sizes to and fro until the program ends; returns its exit
    code.

    ``source`` is the descriptor that input comes from, None for no input; ``leave`` are keys that
    end it early, with code 0; ``ends_input``: the end of our input is the end of the program's.
    Raises OutputClosed, ShimGone.
    """
    pending = last = b""
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
            last = last[-1:] + pending
            if leave and console is not None and leave in last:
                return 0
            if not pending:
                source = None
                if ends_input:
                    session.close_stdin()


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
