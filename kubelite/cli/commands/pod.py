"""The words of ``kubelite pod`` that create, show and remove pods."""

from __future__ import annotations

from typing import Annotated

import typer

from kubelite.cli.output import Document, Output

_LENIENT = "Fields that this version cannot honour become warnings instead of errors."
_OUTPUT = typer.Option("--output", "-o", help="How to show it.")
_NAME = typer.Argument(metavar="NAME", help="The pod's name.")
_FILE = typer.Argument(metavar="FILE", help="A manifest, or - for stdin.")


def up(
    context: typer.Context,
    source: Annotated[str, _FILE],
    lenient: Annotated[bool, typer.Option("--lenient", help=_LENIENT)] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Take down a pod of the same name that differs or has ended, then create it.",
        ),
    ] = False,
    unsafe: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-unsafe-sysctl",
            metavar="NAME",
            help="A sysctl, or pattern like kernel.msg*, that pods may set.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    output: Annotated[Output | None, _OUTPUT] = None,
) -> int:
    """Create the pods of a manifest and wait until they run; change in place those that differ,
    where that can be.

    kubelite pod up web.yaml

    generate-manifest | kubelite pod up -
    """
    from kubelite.cli.up import up as act

    return act(
        context.obj,
        source,
        lenient=lenient,
        replace=replace,
        unsafe_sysctls=unsafe or (),
        dry_run=dry_run,
        format=output,
    )


def down(
    context: typer.Context,
    target: Annotated[
        str, typer.Argument(metavar="FILE|NAME", help="A manifest, - for stdin, or a pod's name.")
    ],
    grace: Annotated[
        int | None,
        typer.Option(
            "--grace-period", help="Seconds between SIGTERM and SIGKILL.", min=0, show_default=False
        ),
    ] = None,
    missing_ok: Annotated[
        bool, typer.Option("--ignore-not-found", help="A pod that is not there is fine.")
    ] = False,
) -> int:
    """Stop pods and remove everything of theirs.

    kubelite pod down web

    kubelite pod down web.yaml
    """
    from kubelite.cli.down import down as act

    return act(context.obj, target, grace=grace, missing_ok=missing_ok)


def ls(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these pods.")
    ] = None,
    output: Annotated[Output, _OUTPUT] = Output.table,
    everywhere: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Pods of every namespace.")
    ] = False,
    no_headers: Annotated[
        bool, typer.Option("--no-headers", help="Leave the first line out.")
    ] = False,
) -> int:
    """List pods (alias: ps).

    kubelite pod ls -A

    kubelite pod ls web -o yaml
    """
    from kubelite.cli.listing import ls as act

    return act(
        context.obj, names or (), format=output, everywhere=everywhere, headers=not no_headers
    )


def inspect(
    context: typer.Context,
    name: Annotated[str, _NAME],
    output: Annotated[Document, _OUTPUT] = Document.json,
) -> int:
    """Show everything known about a pod: object, sandbox, processes, kernel objects.

    kubelite pod inspect web

    kubelite pod inspect web -o yaml
    """
    from kubelite.cli.listing import inspect as act

    return act(context.obj, name, format=output)


def check(
    context: typer.Context,
    source: Annotated[str, _FILE],
    lenient: Annotated[bool, typer.Option("--lenient", help=_LENIENT)] = False,
) -> int:
    """Check a manifest without creating anything: 0 clean, 1 findings, 2 it could not be read.

    kubelite pod check web.yaml

    cat web.yaml | kubelite pod check -
    """
    from kubelite.cli.check import check as act

    return act(context.obj, source, lenient=lenient)
