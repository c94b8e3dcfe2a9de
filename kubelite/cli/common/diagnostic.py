"""How messages look: color, unprintable characters, the layout of an error. Pure.

Nothing here knows where the text goes; :mod:`kubelite.cli.common.screen` does.
"""

from __future__ import annotations

from typing import NamedTuple

_COLORS = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}


class Diagnostic(NamedTuple):
    """An error, warning or note for a person: one sentence, and what helps.

    ``code`` is a KL code, ``place`` FILE:LINE:COLUMN and a path, ``exit_code`` that of a command
    that ends with it, 0 for the command's own code of a failure.
    """

    message: str
    code: str = ""
    place: str = ""
    cause: str = ""
    hint: str = ""
    exit_code: int = 0


class CliError(Exception):
    """Ends a command; its diagnostics are shown."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__(diagnostics[0].message)
        self.diagnostics = diagnostics


class Paint:
    """Puts ANSI colors around text, or returns it unchanged."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled

    def __call__(self, color: str, text: str) -> str:
        return f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if self._enabled and text else text


def clean(text: str) -> str:
    """The text with control characters escaped: a manifest or an image must not control the
    terminal.
    """
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def cell(text: str) -> str:
    """The text as one cell of a table: no control characters, no line breaks."""
    return clean(text).replace("\n", "\\n")


def render(diagnostic: Diagnostic, paint: Paint, level: str = "error") -> str:
    """The lines of an error, warning or note, without a newline at the end."""
    message = clean(diagnostic.message).strip()
    head = f"{paint('red' if level == 'error' else 'yellow', level + ':')} {message}"
    if diagnostic.code:
        head += "  " + paint("dim", f"[{diagnostic.code}]")
    lines = [head]
    if diagnostic.place:
        lines.append(f"  {paint('cyan', '-->')} {clean(diagnostic.place)}")
    for label, text in (("cause", diagnostic.cause), ("hint", diagnostic.hint)):
        if text:
            indented = _indent(clean(text), len(label) + 4)
            lines.append(f"  {paint('cyan', label + ':')} {indented}")
    return "\n".join(lines)


def _indent(text: str, columns: int) -> str:
    return text.strip().replace("\n", "\n" + " " * columns)
