"""From the command line to a function and back to an exit code.

Whatever happens inside a command ends here: as its exit code, as errors on stderr, or, if nobody
foresaw it, as one sentence. ``--version``, help and the plainest verbs never import Typer.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from kubelite.cli.common import fastpath
from kubelite.cli.common.command import (
    Command,
    Commands,
    Settings,
    load,
    named,
    parameters,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from kubelite.cli.common.diagnostic import Diagnostic


_HAS_CLUSTER = Command("api.common.access", "has_cluster", "Say whether there is a cluster.")
"""Loaded like a verb: it lives above."""


def dispatch(groups: Mapping[str, str], commands: Commands) -> int:
    """Runs the command line of this process and returns its exit code. Never raises."""
    open_closed_streams()
    args = sys.argv[1:]
    if args == ["--version"]:
        return show_version()
    if args[:1] == ["__complete"]:
        from kubelite.cli.common.completion import print_candidates

        return print_candidates(groups, commands, args[1:])
    global_args, rest = fastpath.hoist(args)
    verb, command = named(commands, rest)
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        return _run(groups, commands, global_args, rest)
    except BaseException as error:  # noqa: BLE001 - whatever it was ends here, as a sentence
        return _report(error, verb, command.failure_code, global_args)


def show_version() -> int:
    """What ``--version`` prints, with nothing imported for it."""
    from kubelite import __version__

    os.write(1, f"kubelite {__version__}\n".encode())
    return 0


def open_closed_streams() -> None:
    """Opens /dev/null for each standard stream that the caller has closed.

    Otherwise the next file to be opened would take its number, and messages would go there.
    """
    if sys.stdin is not None and sys.stdout is not None and sys.stderr is not None:
        return
    fd = 0
    while fd <= 2:  # open() takes the lowest number that is free
        fd = os.open(os.devnull, os.O_RDWR)
    os.close(fd)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _run(
    groups: Mapping[str, str], commands: Commands, global_args: list[str], rest: list[str]
) -> int:
    if _is_plain_environment():
        if call := fastpath.match(global_args, rest):
            _import_msgspec()
        else:
            call = fastpath.match_started(
                global_args, rest, lambda name: parameters(load(commands[name]))
            )
        if call is not None:
            return int(load(commands[call.command])(call.settings, **call.arguments))
    name, command = named(commands, rest)
    if not name or rest[0] in ("up", "down"):
        from kubelite.cli.common import habits

        rest = habits.translate(rest) or rest
    elif command.module.startswith("api.") and not _asks_for_help(groups, rest):
        rest = _without_cluster(global_args, rest)
    if _asks_for_help(groups, rest):
        return _show_help(groups, commands, rest)
    from kubelite.cli.common.typer_app import build

    program = build(groups, commands, rest)
    result: Any = program(args=[*global_args, *rest], prog_name="kubelite", standalone_mode=False)
    return result if isinstance(result, int) else 0


def _without_cluster(global_args: list[str], rest: list[str]) -> list[str]:
    """The command line about the pods of this machine, where it means those too and there is no
    cluster that it could be about.
    """
    from kubelite.cli.common import habits

    local = habits.without_cluster(rest)
    if local is None:
        return rest
    words = [part for word in global_args for part in word.split("=", 1)]
    root = words[words.index("--root") + 1] if "--root" in words else None
    settings = Settings(root=root)
    return rest if load(_HAS_CLUSTER)(settings) else local


def _import_msgspec() -> None:
    """Without typing_extensions, which msgspec asks for and does without: importing it takes as
    long as starting a pod. Others that need it (Typer, aiohttp) find it afterwards.
    """
    sys.modules.setdefault("typing_extensions", None)  # type: ignore[arg-type]
    import msgspec._utils  # noqa: F401

    if sys.modules["typing_extensions"] is None:
        del sys.modules["typing_extensions"]


def _is_plain_environment() -> bool:
    """Whether no environment variable sets an option or asks for completion. Those that are known
    are read elsewhere: by the state root, the launcher, the registry of state roots and the node's
    name server.
    """
    known = (
        "KUBELITE_ROOT",
        "KUBELITE_WARM_SECONDS",
        "KUBELITE_REGISTRY",
        "KUBELITE_NAME_SERVER",
    )
    return not any(
        name.lstrip("_").startswith("KUBELITE_") and name not in known for name in os.environ
    )


def _asks_for_help(groups: Mapping[str, str], rest: list[str]) -> bool:
    before_dashes = rest[: rest.index("--")] if "--" in rest else rest
    return (
        not rest
        or (len(rest) == 1 and rest[0] in groups)
        or "-h" in before_dashes
        or "--help" in before_dashes
    )


def _show_help(groups: Mapping[str, str], commands: Commands, rest: list[str]) -> int:
    from kubelite.cli.common import help_page
    from kubelite.cli.common.screen import Screen

    screen = Screen(Settings())
    name, command = named(commands, rest)
    width = screen.columns
    if name:
        page = help_page.of_command(name, command, load(command), width)
    elif rest and rest[0] in groups:
        page = help_page.of_group(rest[0], groups[rest[0]], commands, width)
    else:
        page = help_page.of_program(groups, commands, width)
    screen.data(page)
    return 0


def _interrupt(number: int, _frame: FrameType | None) -> None:
    from kubelite.cli.common.failures import Interrupted

    raise Interrupted(number)


def _report(error: BaseException, verb: str, failure_code: int, global_args: list[str]) -> int:
    """Shows what ended the command, and returns the exit code for it."""
    from kubelite.cli.common.screen import OutputClosed, Screen

    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, OutputClosed):
        _silence_stdout()
        return 128 + signal.SIGPIPE
    screen = Screen(Settings(color=_color(global_args)))
    if "--debug" in global_args or os.environ.get("KUBELITE_DEBUG"):
        import traceback

        screen.note("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, KeyboardInterrupt):
        return 128 + int(getattr(error, "number", signal.SIGINT))
    shown = _diagnostics(error, verb, failure_code)
    for diagnostic in shown:
        screen.error(diagnostic)
    return shown[0].exit_code or failure_code


def _diagnostics(error: BaseException, verb: str, failure_code: int) -> tuple[Diagnostic, ...]:
    from kubelite.cli.common.failures import diagnostics, usage_error

    wrong_usage = usage_error(error, verb) if isinstance(error, Exception) else None
    if wrong_usage is not None:
        return (wrong_usage,)
    return diagnostics(error, exit_code=failure_code)


def _color(global_args: list[str]) -> str:
    """The value of ``--color``, read without the parser, which may have failed."""
    color = os.environ.get("KUBELITE_COLOR", "auto")
    for word, value in zip(global_args, [*global_args[1:], ""], strict=False):
        if word == "--color":
            color = value
        elif word.startswith("--color="):
            color = word.partition("=")[2]
    return color if color in ("always", "never") else "auto"


def _silence_stdout() -> None:
    """Keeps the interpreter's last flush from failing on a pipe that nobody reads."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
