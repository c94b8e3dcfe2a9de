"""The words at the top level: version, explain."""

from __future__ import annotations

from typing import Annotated

import typer

from kubelite.cli.output import Document


def version(
    context: typer.Context,
    output: Annotated[
        Document | None,
        typer.Option("--output", "-o", help="For tools, in place of text.", show_default=False),
    ] = None,
) -> int:
    """Show the versions of kubelite, Python and the kernel."""
    from kubelite.cli.about import version as act

    return act(context.obj, format=output)


def explain(
    context: typer.Context,
    code: Annotated[
        str, typer.Argument(metavar="KLnnn", help="The code in brackets at the end of an error.")
    ],
) -> int:
    """Explain what an error code means and what to do about it.

    kubelite explain KL104
    """
    from kubelite.cli.about import explain as act

    return act(context.obj, code)
