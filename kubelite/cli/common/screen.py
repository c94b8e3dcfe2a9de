"""Where output goes: data to stdout, everything else to stderr, color if it is a terminal.

A closed stdout (``kubelite pod logs web | head``) ends the command quietly, as
:class:`OutputClosed`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, TextIO

from kubelite.cli.common.command import Settings
from kubelite.cli.common.diagnostic import Diagnostic, Paint, clean, render

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from kubelite.cli.common.spinner import Spinner


class OutputClosed(Exception):
    """Nobody reads stdout any more."""


def uses_color(stream: TextIO, choice: str) -> bool:
    """Whether to color what goes to ``stream``. ``choice`` is auto, always or never; NO_COLOR and
    TERM=dumb count in auto.
    """
    if choice != "auto":
        return choice == "always"
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


class Screen:
    """Both output streams of a command."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.out = Paint(uses_color(sys.stdout, settings.color))
        self.err = Paint(uses_color(sys.stderr, settings.color))
        self._spinner: Spinner | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether :meth:`data` goes to a terminal."""
        return sys.stdout.isatty()

    @property
    def columns(self) -> int:
        """The width of the terminal in characters; 80 where there is none."""
        try:
            return int(os.environ.get("COLUMNS", "")) or 80
        except ValueError:
            pass
        return _columns_of(1)

    def waiting(self, reason: str) -> AbstractContextManager[object]:
        """While it lasts longer than a second, a terminal shows ``reason``; ``-q`` drops it."""
        if self._settings.quiet or not sys.stderr.isatty():
            return contextlib.nullcontext()
        from kubelite.cli.common.spinner import Spinner

        self._spinner = Spinner(reason, _columns_of(2))
        return self._spinner

    def say_waiting(self, reason: str) -> None:
        """Changes what :meth:`waiting` shows."""
        if self._spinner is not None:
            self._spinner.say(reason)

    def data(self, text: str) -> None:
        """Prints what the command was called for. Raises OutputClosed."""
        self.bytes(text.encode("utf-8", "backslashreplace"))

    def bytes(self, data: bytes) -> None:
        """The same, unchanged: logs, and the output of a program in a container."""
        if self._spinner is not None:
            self._spinner.clear()
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            raise OutputClosed from error

    def note(self, text: str) -> None:
        """Prints something about the command's own work to stderr; ``-q`` drops it."""
        if not self._settings.quiet:
            self._print(clean(text))

    def progress(self, line: str) -> None:
        """Prints a line that is already safe and colored to stderr; ``-q`` drops it."""
        if not self._settings.quiet:
            self._print(line)

    def detail(self, text: str) -> None:
        """Prints something to stderr that only ``-v`` shows."""
        if self._settings.verbose:
            self._print(self.err("dim", clean(text)))

    def warn(self, diagnostic: Diagnostic) -> None:
        """Prints a warning to stderr."""
        self._print(render(diagnostic, self.err, "warning"))

    def error(self, diagnostic: Diagnostic) -> None:
        """Prints an error to stderr."""
        self._print(render(diagnostic, self.err))

    def refusal(self, text: str) -> None:
        """Prints a line in kubectl's words to stderr."""
        self._print(clean(text))

    def _print(self, text: str) -> None:
        if self._spinner is not None:
            self._spinner.clear()
        try:
            sys.stderr.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
            sys.stderr.buffer.flush()
        except OSError:
            return  # nobody reads it, or its disk is full: there is nowhere left to say so


def _columns_of(fd: int) -> int:
    try:
        return os.get_terminal_size(fd).columns or 80
    except OSError:
        return 80
