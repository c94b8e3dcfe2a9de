"""The words of ``kubelite pod`` that start, stop and hold what is there."""

from __future__ import annotations

from typing import Annotated

import typer

_NAMES = typer.Argument(metavar="NAME...", help="The pods' names.")
_CONTAINER = typer.Option("--container", "-c", help="Only this container.")
_GRACE = typer.Option(
    "--grace-period", help="Seconds between the stop signal and SIGKILL.", min=0, show_default=False
)


def start(context: typer.Context, names: Annotated[list[str], _NAMES]) -> int:
    """Start the containers of pods that were stopped or have ended.

    kubelite pod start web
    """
    from kubelite.cli.life import start as act

    return act(context.obj, names)


def stop(
    context: typer.Context,
    names: Annotated[list[str], _NAMES],
    grace: Annotated[int | None, _GRACE] = None,
) -> int:
    """End the containers of pods and leave it at that; address, volumes and logs stay.

    kubelite pod stop web
    """
    from kubelite.cli.life import stop as act

    return act(context.obj, names, grace)


def restart(
    context: typer.Context,
    names: Annotated[list[str], _NAMES],
    container: Annotated[str | None, _CONTAINER] = None,
    grace: Annotated[int | None, _GRACE] = None,
) -> int:
    """End and start the containers of pods where they are, without waiting for a back-off.

    kubelite pod restart web

    kubelite pod restart web -c server
    """
    from kubelite.cli.life import restart as act

    return act(context.obj, names, container, grace)


def kill(
    context: typer.Context,
    names: Annotated[list[str], _NAMES],
    signal: Annotated[
        str, typer.Option("--signal", "-s", help="A signal's name or number.")
    ] = "KILL",
    container: Annotated[str | None, _CONTAINER] = None,
) -> int:
    """Send a signal to the containers of pods; what follows is up to their restart policy.

    kubelite pod kill --signal HUP web
    """
    from kubelite.cli.life import kill as act

    return act(context.obj, names, signal, container)


def pause(context: typer.Context, names: Annotated[list[str], _NAMES]) -> int:
    """Hold all processes of pods still where they are.

    kubelite pod pause web
    """
    from kubelite.cli.life import pause as act

    return act(context.obj, names)


def unpause(context: typer.Context, names: Annotated[list[str], _NAMES]) -> int:
    """Let the processes of paused pods go on.

    kubelite pod unpause web
    """
    from kubelite.cli.life import unpause as act

    return act(context.obj, names)
