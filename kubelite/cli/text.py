"""How messages look: colour, unprintable characters, the shape of an error. Pure.

Nothing here knows where the text goes; :mod:`kubelite.cli.screen` does.
"""

from __future__ import annotations

from typing import NamedTuple

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}
_CODE_COLUMN = 80


class Trouble(NamedTuple):
    """Something a person has to read: one sentence, and what helps with it. ``exit`` is the
    command's exit code then.
    """

    message: str
    code: str = ""
    place: str = ""
    cause: str = ""
    hint: str = ""
    exit: int = 1


class CliError(Exception):
    """A command ends here, with this trouble shown."""

    def __init__(self, *troubles: Trouble) -> None:
        super().__init__(troubles[0].message)
        self.troubles = troubles


class Paint:
    """Puts ANSI colours around text, or leaves it alone."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled

    def __call__(self, colour: str, text: str) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._enabled and text else text


def clean(text: str) -> str:
    """The text with control characters spelt out: what a manifest or an image says must not steer
    the terminal.
    """
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def cell(text: str) -> str:
    """The text as one cell of a table: no control characters, no line breaks."""
    return clean(text).replace("\n", "\\n")


def render(trouble: Trouble, paint: Paint, word: str = "error") -> str:
    """The lines of an error or, with ``word`` "warning", of a warning; no newline at the end."""
    message = clean(trouble.message).strip()
    head = f"{paint('red' if word == 'error' else 'yellow', word + ':')} {message}"
    if trouble.code:
        gap = max(_CODE_COLUMN - len(f"{word}: {message}"), 2)
        head += " " * gap + paint("dim", f"[{trouble.code}]")
    lines = [head]
    if trouble.place:
        lines.append(f"  {paint('cyan', '-->')} {clean(trouble.place)}")
    for label, said in (("cause", trouble.cause), ("hint", trouble.hint)):
        if said:
            lines.append(f"  {paint('cyan', label + ':')} {_indent(clean(said), len(label) + 4)}")
    return "\n".join(lines)


def _indent(text: str, columns: int) -> str:
    return text.strip().replace("\n", "\n" + " " * columns)
