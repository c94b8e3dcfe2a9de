"""The Typer application for one command line, built from the declarations of its verb.

Only the command that the line names is imported; all others are there by name, for "did you mean".
"""

from __future__ import annotations

import enum
import inspect
import keyword
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kubelite.cli.common.command import (
    GLOBAL_OPTIONS,
    Commands,
    Option,
    Parameter,
    Settings,
    load,
    named,
    parameters,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

# Help is made by help_page; "--version" alone by dispatch.
_CONTEXT: dict[str, Any] = {"help_option_names": []}


class Color(enum.StrEnum):
    """When to color output."""

    auto = "auto"
    always = "always"
    never = "never"


def build(groups: Mapping[str, str], commands: Commands, args: list[str]) -> Any:
    """The parser for ``args``: call it with the arguments, the result is the exit code."""
    chosen = named(commands, args)[0]
    app = typer.Typer(
        name="kubelite",
        context_settings={**_CONTEXT, "auto_envvar_prefix": "KUBELITE"},
        pretty_exceptions_enable=False,
        add_completion=False,
        rich_markup_mode=None,
    )
    app.callback()(_global_options)
    subapps: dict[str, typer.Typer] = {}
    for group, text in groups.items():
        subapps[group] = typer.Typer(context_settings=_CONTEXT, rich_markup_mode=None)
        app.add_typer(subapps[group], name=group, help=text)
    if chosen:
        group, _, name = chosen.rpartition(" ")
        target = subapps[group] if group else app
        function = _adapted(load(commands[chosen]))
        target.command(name, context_settings=_CONTEXT)(function)
    parser = typer.main.get_command(app)
    _add_names(parser, commands)
    return parser


def _add_names(parser: Any, commands: Commands) -> None:
    """Adds every other command by its name alone: Typer would look at each one's signature, which
    takes longer than the command itself.
    """
    stub = typer.core.TyperCommand(None, callback=_not_loaded)
    for path in commands:
        group, _, name = path.rpartition(" ")
        target = parser.commands[group] if group else parser
        target.commands.setdefault(name, stub)


def _not_loaded() -> None:
    """Stands for a command that the line does not name."""


def _adapted(function: Callable[..., int]) -> Callable[..., int]:
    """A function with the signature that Typer reads; it calls the verb with the settings first."""
    declared = {_option_name(parameter): parameter for parameter in parameters(function)}

    def call(typer_context: typer.Context, **arguments: Any) -> int:
        named_arguments = {declared[name].name: value for name, value in arguments.items()}
        return function(typer_context.obj, **named_arguments)

    signature = [inspect.Parameter("typer_context", _KEYWORD, annotation=typer.Context)]
    signature += [
        inspect.Parameter(
            name,
            _KEYWORD,
            annotation=Annotated[parameter.type, _typer_parameter(parameter)],
            default=inspect.Parameter.empty if parameter.default is ... else parameter.default,
        )
        for name, parameter in declared.items()
    ]
    call.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in signature}
    return call


def _option_name(parameter: Parameter) -> str:
    """The name that environment variables are made of: that of the option, not of the argument."""
    declaration = parameter.declaration
    if not isinstance(declaration, Option):
        return parameter.name
    name = declaration.names.split()[0].partition("/")[0].lstrip("-").replace("-", "_")
    return parameter.name if keyword.iskeyword(name) else name


_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def _typer_parameter(parameter: Parameter) -> Any:
    declaration = parameter.declaration
    options: dict[str, Any] = {"metavar": declaration.metavar or None}
    if declaration.parser is not None:
        options["parser"] = _parser(declaration.parser)
    if not isinstance(declaration, Option):
        return typer.Argument(**options)
    return typer.Option(
        *declaration.names.split(),
        count=declaration.counted,
        min=declaration.minimum,
        max=declaration.maximum,
        **options,
    )


def _parser(parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    """``parse`` for Typer: a default arrives as the value it is, ValueError is wrong usage."""

    def parsed(text: Any) -> Any:
        if not isinstance(text, str):
            return text
        try:
            return parse(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    return parsed


def _global_option(name: str) -> Any:
    option = GLOBAL_OPTIONS[name]
    return typer.Option(*option.names.split(), count=option.counted, metavar=option.metavar or None)


def _global_options(
    context: typer.Context,
    root: Annotated[str | None, _global_option("root")] = None,
    namespace: Annotated[str | None, _global_option("namespace")] = None,
    color: Annotated[Color, _global_option("color")] = Color.auto,
    debug: Annotated[bool, _global_option("debug")] = False,
    quiet: Annotated[bool, _global_option("quiet")] = False,
    verbose: Annotated[int, _global_option("verbose")] = 0,
) -> None:
    context.obj = Settings(root, namespace, color.value, debug, quiet, verbose)
