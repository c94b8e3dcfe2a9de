"""The words of ``kubelite pod`` that talk with running pods: logs, exec, attach, debug, cp, wait."""

from __future__ import annotations

from typing import Annotated

import typer

from kubelite.cli import durations, waiting

_NAME = typer.Argument(metavar="NAME", help="The pod's name.")
_CONTAINER = typer.Option(
    "--container", "-c", help="The container; the first one when left out.", show_default=False
)


def _duration(text: str | float) -> float:
    """A default comes here as the number it is."""
    if isinstance(text, float):
        return text
    try:
        return durations.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _condition(text: str) -> str:
    if text.lower() not in waiting.CONDITIONS:
        raise typer.BadParameter(f"{text!r} is not one of ready, exited, deleted")
    return waiting.CONDITIONS[text.lower()]


def logs(
    context: typer.Context,
    name: Annotated[str, _NAME],
    container: Annotated[str | None, _CONTAINER] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows.")] = False,
    previous: Annotated[
        bool, typer.Option("--previous", "-p", help="The run before this one.")
    ] = False,
    tail: Annotated[
        int, typer.Option("--tail", help="Only the last lines; -1 for all.", min=-1)
    ] = -1,
    since: Annotated[
        float | None,
        typer.Option(
            "--since",
            parser=_duration,
            metavar="TIME",
            help="Only what is newer than 10s, 5m, 1h30m.",
        ),
    ] = None,
    timestamps: Annotated[
        bool, typer.Option("--timestamps", help="Each line's time in front of it.")
    ] = False,
    everyone: Annotated[
        bool, typer.Option("--all-containers", help="The logs of every container.")
    ] = False,
    prefix: Annotated[
        bool, typer.Option("--prefix", help="Pod and container in front of each line.")
    ] = False,
) -> int:
    """Print what a pod's containers have said.

    kubelite pod logs -f web

    kubelite pod logs web -c reader --tail 20
    """
    from kubelite.cli.logs import logs as act

    if everyone and container is not None:
        raise typer.BadParameter("--all-containers and --container exclude each other")
    return act(
        context.obj,
        name,
        container,
        follow=follow,
        previous=previous,
        tail=None if tail < 0 else tail,
        since=since,
        timestamps=timestamps,
        everyone=everyone,
        prefix=prefix,
    )


def exec(
    context: typer.Context,
    name: Annotated[str, _NAME],
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND", help="The program and its arguments.")
    ],
    container: Annotated[str | None, _CONTAINER] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", "-i", help="Pass stdin to the program.")
    ] = False,
    tty: Annotated[bool, typer.Option("--tty", "-t", help="Give the program a terminal.")] = False,
) -> int:
    """Run a program in a container; the exit code is the program's.

    kubelite pod exec -it web -- sh

    kubelite pod exec web -c reader -- cat /logs/access.log
    """
    from kubelite.cli.attach import execute

    return execute(context.obj, name, command, container, stdin=stdin, tty=tty)


def attach(
    context: typer.Context,
    name: Annotated[str, _NAME],
    container: Annotated[str | None, _CONTAINER] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", "-i", help="Pass stdin to the container.")
    ] = False,
) -> int:
    """Attach to the main process of a container; the exit code is the process's.

    kubelite pod attach web

    kubelite pod attach -i shell
    """
    from kubelite.cli.attach import attach as act

    return act(context.obj, name, container, stdin=stdin)


def debug(
    context: typer.Context,
    name: Annotated[str, _NAME],
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- COMMAND]", help="The program and its arguments; a shell when left out."
        ),
    ] = None,
    container: Annotated[str | None, _CONTAINER] = None,
    image: Annotated[
        str, typer.Option("--image", help="The image with the tools; host is this machine's own.")
    ] = "host",
    stdin: Annotated[
        bool, typer.Option("--stdin", "-i", help="Pass stdin to the program.")
    ] = False,
    tty: Annotated[bool, typer.Option("--tty", "-t", help="Give the program a terminal.")] = False,
) -> int:
    """Run tools beside a container that has none: in its network, among its processes, whose files
    are under /proc/1/root.

    kubelite pod debug -it web

    kubelite pod debug web -- ss -tln
    """
    from kubelite.cli.attach import debug as act

    return act(context.obj, name, command or ["sh"], container, image=image, stdin=stdin, tty=tty)


def cp(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A path, POD:PATH, or - for a tar stream on stdin."),
    ],
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="A path, POD:PATH, or - for a tar stream on stdout."),
    ],
    container: Annotated[str | None, _CONTAINER] = None,
) -> int:
    """Copy files between this machine and a running container, whose image needs no tar.

    kubelite pod cp page.html web:/page/index.html

    kubelite pod cp web:/logs ./logs -c reader
    """
    from kubelite.cli.copying import copy

    return copy(context.obj, source, target, container)


def wait(
    context: typer.Context,
    name: Annotated[str, _NAME],
    condition: Annotated[
        str,
        typer.Option(
            "--for", parser=_condition, metavar="CONDITION", help="ready, exited or deleted."
        ),
    ] = "ready",
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", parser=_duration, metavar="TIME", help="How long at most: 30s, 5m."
        ),
    ] = 30.0,
) -> int:
    """Wait until a pod is ready, has ended or is gone; 124 when the time is over first.

    kubelite pod wait web --for=ready --timeout=10s

    kubelite pod wait job --for=exited
    """
    from kubelite.cli.waiting import wait as act

    return act(context.obj, name, condition, timeout)
