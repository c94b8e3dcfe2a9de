"""What a command is: its row in the command table, its options and arguments. Pure.

A verb is one function: its parameters are annotated with :class:`Option` and :class:`Argument`,
from which come the parser (:mod:`kubelite.cli.common.typer_app`), the help page
(:mod:`kubelite.cli.common.help_page`) and completion. Nothing of these is imported to run it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin

_Verb = TypeVar("_Verb", bound=Callable[..., int])


class Command(NamedTuple):
    """A row of the command table: where the verb lives and its one-line summary.

    ``module`` is relative to ``kubelite.cli``; ``failure_code`` is the exit code of a failure that
    has none of its own; ``alias_of`` names the command that this one is another name for.
    """

    module: str
    function: str
    summary: str
    failure_code: int = 1
    alias_of: str = ""


class Argument(NamedTuple):
    """A positional argument. ``completes``: what the shell offers, pod, container, image, file."""

    metavar: str
    help: str
    parser: Callable[[str], Any] | None = None
    completes: str = ""


class Option(NamedTuple):
    """An option. ``names`` are its spellings, space-separated: ``--tail`` or ``--output -o``."""

    names: str
    help: str
    metavar: str = ""
    parser: Callable[[str], Any] | None = None
    minimum: int | None = None
    maximum: int | None = None
    show_default: bool = True
    counted: bool = False
    completes: str = ""


class Usage(NamedTuple):
    """What a verb's help page shows besides its summary and parameters."""

    examples: tuple[str, ...]
    notes: str = ""


class Parameter(NamedTuple):
    """One parameter of a verb, with its annotation resolved. ``default`` is ``...`` if required."""

    name: str
    type: Any
    declaration: Option | Argument
    default: Any


class Output(enum.StrEnum):
    """The values of ``-o``."""

    table = "table"
    wide = "wide"
    json = "json"
    yaml = "yaml"
    name = "name"


class Document(enum.StrEnum):
    """The values of ``-o`` for commands that show one document."""

    json = "json"
    yaml = "yaml"


class Settings(NamedTuple):
    """The global options. ``root`` and ``namespace`` are None when not given."""

    root: str | None = None
    namespace: str | None = None
    color: str = "auto"
    debug: bool = False
    quiet: bool = False
    verbose: int = 0

    @property
    def active_namespace(self) -> str:
        """The namespace to work in."""
        return self.namespace or "default"


Commands = Mapping[str, Command]
GLOBAL_OPTIONS = {
    "root": Option("--root", "Directory in which kubelite keeps its state.", "DIR"),
    "namespace": Option("--namespace -n", "Namespace to work in.", "NAME"),
    "color": Option("--color", "When to color output: auto, always or never.", "WHEN"),
    "debug": Option("--debug", "Show the traceback of an error."),
    "quiet": Option("--quiet -q", "Only print results and errors."),
    "verbose": Option("--verbose -v", "Print more; may be repeated.", counted=True),
}


def usage(*examples: str, notes: str = "") -> Callable[[_Verb], _Verb]:
    """Decorator: attaches the examples and notes of a verb's help page to its function."""

    def attach(function: _Verb) -> _Verb:
        function.usage = Usage(examples, notes)  # type: ignore[attr-defined]
        return function

    return attach


def parameters(function: Any) -> list[Parameter]:
    """The command-line parameters of a verb: all but its first one, the settings."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    positional = function.__defaults__ or ()
    defaults = dict(
        zip(names[code.co_argcount - len(positional) : code.co_argcount], positional, strict=True)
    )
    defaults |= function.__kwdefaults__ or {}
    declared = []
    for name in names[1:]:
        annotation = eval(function.__annotations__[name], function.__globals__)
        assert get_origin(annotation) is Annotated, f"{function.__module__}: {name}"
        kind, declaration = get_args(annotation)
        declared.append(Parameter(name, kind, declaration, defaults.get(name, ...)))
    return declared


def named(commands: Commands, rest: list[str]) -> tuple[str, Command]:
    """The command that a command line names; ("", a command that does not exist) if none."""
    for name in (" ".join(rest[:2]), " ".join(rest[:1])):
        if name in commands:
            return name, commands[name]
    return "", Command("", "", "")


def load(command: Command) -> Any:
    """The function of a command."""
    return getattr(import_module(f"kubelite.cli.{command.module}"), command.function)
