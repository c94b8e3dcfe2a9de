"""The words of ``kubelite pod`` that look at what goes on in a pod."""

from __future__ import annotations

from typing import Annotated

import typer

from kubelite.cli.output import Output

_NAME = typer.Argument(metavar="NAME", help="The pod's name.")


def events(
    context: typer.Context,
    name: Annotated[str, _NAME],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens.")] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to show it.")] = Output.table,
) -> int:
    """Show what has happened to a pod: starts, ends, probes that failed, hooks, back-off.

    kubelite pod events web

    kubelite pod events -f web
    """
    from kubelite.cli.events import events as act

    return act(context.obj, name, follow=follow, format=output)
