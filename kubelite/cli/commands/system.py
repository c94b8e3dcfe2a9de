"""The words of ``kubelite system``."""

from __future__ import annotations

from typing import Annotated

import typer

from kubelite.cli.output import Document


def info(
    context: typer.Context,
    output: Annotated[
        Document | None,
        typer.Option("--output", "-o", help="For tools, in place of text.", show_default=False),
    ] = None,
) -> int:
    """Show versions, kernel features, cgroups, paths; what is missing and why.

    kubelite system info

    kubelite system info -o json
    """
    from kubelite.cli.systems import info as act

    return act(context.obj, format=output)


def reset(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int:
    """Remove all pods, images, logs and kernel objects of this root; the machine is as it was
    before.

    kubelite system reset

    kubelite --root /tmp/try system reset --yes
    """
    from kubelite.cli.systems import reset as act

    return act(context.obj, yes=yes)


def agent(
    context: typer.Context,
    stay: Annotated[
        bool,
        typer.Option(
            "--stay", help="Do not end when no pod needs looking after: for a service manager."
        ),
    ] = False,
) -> int:
    """Run the node agent in the foreground: it restarts containers, probes them and brings pods
    back after a reboot.

    `pod up` starts one in the background where a pod needs it; this is for looking on, and for
    service managers.

    kubelite system agent -v

    kubelite system agent --stay
    """
    from kubelite.cli.systems import agent as act

    return act(context.obj, stay=stay)
