"""Where output goes: data to stdout, everything else to stderr, colour where a person looks on.

A closed stdout (``kubelite pod logs web | head``) ends the command quietly, as
:class:`OutputClosed`.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

from kubelite.cli.settings import Settings
from kubelite.cli.text import Paint, Trouble, clean, render


class OutputClosed(Exception):
    """Nobody reads stdout any more."""


def colours(stream: TextIO, wish: str) -> bool:
    """Whether to colour what goes to ``stream``. ``wish`` is auto, always or never; NO_COLOR and
    TERM=dumb count in auto.
    """
    if wish != "auto":
        return wish == "always"
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


class Screen:
    """Both output streams of a command."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.out = Paint(colours(sys.stdout, settings.color))
        self.err = Paint(colours(sys.stderr, settings.color))

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at what :meth:`data` prints."""
        return sys.stdout.isatty()

    def data(self, text: str) -> None:
        """What the command was called for. Raises OutputClosed."""
        self.bytes(text.encode("utf-8", "backslashreplace"))

    def bytes(self, data: bytes) -> None:
        """The same, not touched at all: logs, and what a program in a container says."""
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            raise OutputClosed from error

    def note(self, text: str) -> None:
        """Something about the command's own work; ``-q`` drops it."""
        if not self._settings.quiet:
            self._say(clean(text))

    def progress(self, line: str) -> None:
        """A line that the command has made itself, colours included; ``-q`` drops it."""
        if not self._settings.quiet:
            self._say(line)

    def detail(self, text: str) -> None:
        """Something that only ``-v`` shows."""
        if self._settings.verbose:
            self._say(self.err("dim", clean(text)))

    def warn(self, trouble: Trouble) -> None:
        """A warning, in the form of an error."""
        self._say(render(trouble, self.err, "warning"))

    def error(self, trouble: Trouble) -> None:
        """An error."""
        self._say(render(trouble, self.err))

    def _say(self, text: str) -> None:
        try:
            sys.stderr.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
            sys.stderr.buffer.flush()
        except BrokenPipeError:
            return
