"""From the command line to a function and back to an exit code.

Whatever happens inside a command ends here: as its exit code, as errors on stderr, or, for what
nobody foresaw, as one sentence. ``--version`` and the plainest verbs never import Typer.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.cli import quick, settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from kubelite.cli.text import Trouble


class Word(NamedTuple):
    """A command: its module in ``kubelite.cli.commands``, its function, and the exit code of a
    failure without its own.
    """

    module: str
    function: str
    failure: int = 1
    alias: bool = False


def enter(groups: Mapping[str, str], words: Mapping[str, Word]) -> int:
    """Runs the command line of this process. Never raises."""
    args = sys.argv[1:]
    if args == ["--version"]:
        return show_version()
    front, rest = settings.hoist(args)
    named = " ".join(rest[:2])
    failure = words[named].failure if named in words else 1
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        return _run(groups, words, front, rest)
    except BaseException as error:  # noqa: BLE001 - whatever it was ends here, as a sentence
        return _end(error, failure, front)


def _run(
    groups: Mapping[str, str], words: Mapping[str, Word], front: list[str], rest: list[str]
) -> int:
    call = quick.match(front, rest) if _plain_environment() else None
    if call is not None:
        # msgspec asks for it and does without; only Typer needs it, and importing it takes as long
        # as starting a pod.
        sys.modules.setdefault("typing_extensions", None)  # type: ignore[arg-type]
        module = import_module(f"kubelite.cli.{call.module}")
        return int(getattr(module, call.function)(call.settings, **call.arguments))
    from kubelite.cli.tree import build

    if not rest or (len(rest) == 1 and rest[0] in groups):
        rest = [*rest, "--help"]
    command = build(groups, words, rest)
    result: Any = command(args=[*front, *rest], prog_name="kubelite", standalone_mode=False)
    return result if isinstance(result, int) else 0


def show_version() -> int:
    """What ``--version`` prints, with nothing imported for it."""
    from kubelite import __version__

    os.write(1, f"kubelite {__version__}\n".encode())
    return 0


def _plain_environment() -> bool:
    """Whether no environment variable sets an option or asks for completion; the root is read
    below.
    """
    return not any(
        name.lstrip("_").startswith("KUBELITE_") and name != "KUBELITE_ROOT" for name in os.environ
    )


def _interrupt(number: int, _frame: FrameType | None) -> None:
    from kubelite.cli.failures import Interrupted

    raise Interrupted(number)


def _end(error: BaseException, failure: int, front: list[str]) -> int:
    """Shows what ended the command, and returns the exit code for it."""
    from kubelite.cli.screen import OutputClosed, Screen

    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, OutputClosed):
        _silence_stdout()
        return 128 + signal.SIGPIPE
    screen = Screen(settings.Settings(color=_colour_wish(front)))
    if "--debug" in front or os.environ.get("KUBELITE_DEBUG"):
        import traceback

        screen.note("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, KeyboardInterrupt):
        return 128 + int(getattr(error, "number", signal.SIGINT))
    shown = _troubles(error, failure)
    for trouble in shown:
        screen.error(trouble)
    return shown[0].exit


def _troubles(error: BaseException, failure: int) -> tuple[Trouble, ...]:
    from kubelite.cli.failures import troubles, usage

    wrong = usage(error) if isinstance(error, Exception) else None
    return (wrong,) if wrong is not None else troubles(error, exit=failure)


def _colour_wish(front: list[str]) -> str:
    wish = os.environ.get("KUBELITE_COLOR", "auto")
    for word, value in zip(front, [*front[1:], ""], strict=False):
        if word == "--color":
            wish = value
        elif word.startswith("--color="):
            wish = word.partition("=")[2]
    return wish if wish in ("always", "never") else "auto"


def _silence_stdout() -> None:
    """Keeps the interpreter's last flush from failing on a pipe that nobody reads."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
