"""``pod exec``: runs a program in a container."""

from __future__ import annotations

import os
from typing import Annotated

from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import as_document, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import NAME, pod_name
from kubelite.cli.pod_row import default_container
from kubelite.cli.session import terminal
from kubelite.cli.session.relay import relay, relay_raw

FAILED = 125
CONTAINER = Option(
    "--container -c", "Container; the first one by default.", "NAME", completes="container"
)
STDIN = Option("--stdin -i", "Pass stdin to the program.")
TTY = Option("--tty -t", "Allocate a terminal for the program.")


@usage(
    "kubelite pod exec -it web -- sh",
    "kubelite pod exec web -c reader -- cat /logs/access.log",
    notes="The exit code is the program's; 125 if kubelite failed, 126 if the program is not"
    " executable, 127 if it was not found.",
)
def execute(
    settings: Settings,
    name: Annotated[str, NAME],
    command: Annotated[list[str], Argument("-- COMMAND", "Program and its arguments.")],
    *,
    container: Annotated[str | None, CONTAINER] = None,
    stdin: Annotated[bool, STDIN] = False,
    tty: Annotated[bool, TTY] = False,
) -> int:
    """Runs a program and returns its exit code, 128+n if signal n ended it.

    Raises CliError with 126 for a program that cannot be executed and 127 for one that does not
    exist.
    """
    from kubelite.node.runtime.errors import CannotStart

    name = pod_name(name)
    screen = Screen(settings)
    pods = open_pods(settings, screen)
    if container is None:
        container, names = default_container(
            as_document(pods.queries.get(settings.active_namespace, name))
        )
        if len(names) > 1:
            screen.detail(f'Defaulted container "{container}" out of: {", ".join(names)}')
    tty = with_terminal(screen, stdin, tty)
    raw = tty and stdin
    rows, columns = terminal.size() if raw else (0, 0)
    try:
        session = pods.exec(
            settings.active_namespace,
            name,
            container,
            command,
            stdin=stdin,
            tty=tty,
            rows=rows,
            columns=columns,
        )
    except CannotStart as error:
        raise CliError(
            Diagnostic(
                error.message,
                cause=error.cause or "",
                hint=error.hint or "",
                exit_code=error.exit_code if error.exit_code in (126, 127) else FAILED,
            )
        ) from error
    try:
        return relay_raw(session) if raw else relay(session, terminal.STDIN if stdin else None)
    finally:
        session.close()


def with_terminal(screen: Screen, stdin: bool, tty: bool) -> bool:
    """Whether the program gets a terminal: as with kubectl, not if stdin is passed but is none."""
    if not tty or not stdin or os.isatty(terminal.STDIN):
        return tty
    screen.warn(Diagnostic("unable to use a TTY: stdin is not a terminal"))
    return False
