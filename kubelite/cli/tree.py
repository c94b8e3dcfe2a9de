"""The Typer application, built from the table of contents: only the part that a command line names,
all of it for help.
"""

from __future__ import annotations

import enum
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kubelite.cli.door import show_version
from kubelite.cli.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubelite.cli.door import Word

_CONTEXT = {"help_option_names": ["-h", "--help"]}
_GLOBAL = "Global options (may stand anywhere before --)"
_EPILOG = "Each option can also be set by a variable: KUBELITE_ROOT, KUBELITE_NAMESPACE, KUBELITE_POD_LOGS_TAIL."


class Color(enum.StrEnum):
    """When to colour."""

    auto = "auto"
    always = "always"
    never = "never"


def build(groups: Mapping[str, str], words: Mapping[str, Word], args: list[str]) -> Any:
    """The command to call with the arguments: a group with the commands that ``args`` can mean, all
    where it names none.
    """
    chosen = _chosen(groups, words, args)
    app = typer.Typer(
        name="kubelite",
        help="Run Kubernetes pods natively, in milliseconds, without Docker.",
        epilog=_EPILOG,
        context_settings={**_CONTEXT, "auto_envvar_prefix": "KUBELITE"},
        pretty_exceptions_enable=False,
    )
    app.callback()(_globals)
    parts: dict[str, typer.Typer] = {}
    for path, word in chosen.items():
        group, _, name = path.rpartition(" ")
        if group and group not in parts:
            parts[group] = typer.Typer(context_settings=_CONTEXT)
            app.add_typer(parts[group], name=group, help=groups[group])
        function = getattr(import_module(f"kubelite.cli.commands.{word.module}"), word.function)
        target = parts[group] if group else app
        target.command(name, hidden=word.alias, context_settings=_CONTEXT)(function)
    return typer.main.get_command(app)


def _chosen(
    groups: Mapping[str, str], words: Mapping[str, Word], args: list[str]
) -> dict[str, Word]:
    named = " ".join(args[:2])
    if named in words:
        return {named: words[named]}
    if args[:1] and args[0] in words:
        return {args[0]: words[args[0]]}
    inside = {
        path: word for path, word in words.items() if args[:1] and path.startswith(args[0] + " ")
    }
    return inside or dict(words)


def _version(asked: bool) -> None:
    if asked:
        raise typer.Exit(show_version())


def _globals(
    context: typer.Context,
    root: Annotated[
        str | None,
        typer.Option(
            help="Where kubelite keeps its state.", metavar="DIR", rich_help_panel=_GLOBAL
        ),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace", "-n", help="The namespace to work in.", rich_help_panel=_GLOBAL
        ),
    ] = None,
    color: Annotated[
        Color, typer.Option(help="When to colour output.", rich_help_panel=_GLOBAL)
    ] = Color.auto,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show where an error came from.", rich_help_panel=_GLOBAL),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="Say only what was asked for, and errors.",
            rich_help_panel=_GLOBAL,
        ),
    ] = False,
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Say more.", rich_help_panel=_GLOBAL)
    ] = 0,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and end.",
            allow_from_autoenv=False,
            is_eager=True,
            callback=_version,
        ),
    ] = False,
) -> None:
    context.obj = Settings(root, namespace, color.value, debug, quiet, verbose)
