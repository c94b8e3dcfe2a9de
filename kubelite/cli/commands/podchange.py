"""The words of ``kubelite pod`` that change or clear away what is there."""

from __future__ import annotations

from typing import Annotated

import typer

_NAME = typer.Argument(metavar="NAME", help="The pod's name.")


def update(
    context: typer.Context,
    name: Annotated[str, _NAME],
    image: Annotated[
        list[str] | None, typer.Option("--image", metavar="[CTR=]IMAGE", help="Another image.")
    ] = None,
    cpu: Annotated[
        list[str] | None,
        typer.Option("--cpu", metavar="[CTR=]AMOUNT", help="Another limit of CPU."),
    ] = None,
    memory: Annotated[
        list[str] | None,
        typer.Option("--memory", metavar="[CTR=]AMOUNT", help="Another limit of memory."),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option("--env", metavar="[CTR:]NAME=VALUE", help="A variable; NAME- takes it out."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
) -> int:
    """Change a pod that runs: the container that changes is restarted, limits change as they are.

    kubelite pod update web --image server=web:2

    kubelite pod update web --memory server=256Mi
    """
    from kubelite.cli.update import update as act

    return act(
        context.obj,
        name,
        images=image or (),
        cpu=cpu or (),
        memory=memory or (),
        env=env or (),
        dry_run=dry_run,
    )


def prune(
    context: typer.Context,
    everywhere: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Pods of every namespace.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int:
    """Remove the pods that have ended.

    kubelite pod prune
    """
    from kubelite.cli.prune import prune as act

    return act(context.obj, everywhere=everywhere, yes=yes)
