"""The words of ``kubelite image``."""

from __future__ import annotations

from typing import Annotated

import typer

from kubelite.cli.output import Output


def import_(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new image's name.")],
    source: Annotated[
        str, typer.Argument(metavar="ROOTFS", help="A root file system: directory or tar archive.")
    ],
) -> int:
    """Make an image of a root file system.

    kubelite image import mydebian rootfs.tar.gz

    kubelite image import scratchpad ./rootfs
    """
    from kubelite.cli.images import import_ as act

    return act(context.obj, name, source)


def load(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="ARCHIVE", help="An OCI layout (directory or tar) or docker archive."
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="The name, in place of the archive's.")
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="A name that is taken moves to the image of the archive."),
    ] = False,
) -> int:
    """Take over the images of an archive, as docker save and skopeo write it.

    kubelite image load nginx.tar

    kubelite image load ./layout --name web:1
    """
    from kubelite.cli.images import load as act

    return act(context.obj, source, name, replace=replace)


def ls(
    context: typer.Context,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="How to show it.")
    ] = Output.table,
) -> int:
    """List the images of the store.

    kubelite image ls

    kubelite image ls -o json
    """
    from kubelite.cli.images import ls as act

    return act(context.obj, format=output)


def rm(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names or ids of images.")],
) -> int:
    """Remove images that no pod runs from.

    kubelite image rm web:1

    kubelite image rm mydebian scratchpad
    """
    from kubelite.cli.images import rm as act

    return act(context.obj, names)
