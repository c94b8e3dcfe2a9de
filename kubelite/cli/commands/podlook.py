"""The words of ``kubelite pod`` that look at what goes on in a pod."""

from __future__ import annotations

from typing import Annotated

import typer

from kubelite.cli.output import Output

_NAME = typer.Argument(metavar="NAME", help="The pod's name.")


def events(
    context: typer.Context,
    name: Annotated[str, _NAME],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what happens.")
    ] = False,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="How to show it.")
    ] = Output.table,
) -> int:
    """Show what has happened to a pod: starts, ends, probes that failed, hooks, back-off.

    kubelite pod events web

    kubelite pod events -f web
    """
    from kubelite.cli.events import events as act

    return act(context.obj, name, follow=follow, format=output)


def top(
    context: typer.Context,
    name: Annotated[str, _NAME],
    output: Annotated[
        Output, typer.Option("--output", "-o", help="How to show it.")
    ] = Output.table,
) -> int:
    """List the processes of a pod, with pids and users as this machine numbers them.

    kubelite pod top web
    """
    from kubelite.cli.usage import top as act

    return act(context.obj, name, format=output)


def stats(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this pod.")] = None,
    stream: Annotated[
        bool, typer.Option("--stream/--no-stream", help="Again each second, or once.")
    ] = True,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="How to show it.")
    ] = Output.table,
) -> int:
    """Show what containers use: CPU, memory, tasks, network.

    kubelite pod stats

    kubelite pod stats web --no-stream
    """
    from kubelite.cli.usage import stats as act

    return act(context.obj, name, stream=stream, format=output)


def diff(
    context: typer.Context,
    name: Annotated[str, _NAME],
    container: Annotated[
        str | None,
        typer.Option(
            "--container",
            "-c",
            help="The container; the first one when left out.",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Show the files that a container has added (A), changed (C) and deleted (D): 0 none, 1 some, 2
    it has not run.

    kubelite pod diff web
    """
    from kubelite.cli.prune import diff as act

    return act(context.obj, name, container)
