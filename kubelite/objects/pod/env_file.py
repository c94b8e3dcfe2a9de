"""Files of environment variables (``fileKeyRef``). Pure.

The format is Kubernetes' own, a part of what a POSIX shell reads: ``NAME='value'`` lines, whose
values are literal and may have several lines, and comments
(kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-via-file).
"""

from __future__ import annotations

import re

_BLANK = re.compile(r"[ \t\r\n]*(?:#[^\n]*)?")
_VARIABLE = re.compile(r"([!-<>-~]+)[ \t]*=[ \t]*'([^']*)'[ \t\r]*(?:\n|\Z)")


class EnvFileError(ValueError):
    """A line that is no variable; the message names it."""


def parse(text: str) -> dict[str, str]:
    """The variables of a file; of two of one name the later counts, as in a shell. Raises
    EnvFileError.
    """
    variables: dict[str, str] = {}
    position = _skip_blanks(text, 0)
    while position < len(text):
        match = _VARIABLE.match(text, position)
        if match is None:
            line = text.count("\n", 0, position) + 1
            raise EnvFileError(f"line {line} is not of the form NAME='value'")
        variables[match[1]] = match[2]
        position = _skip_blanks(text, match.end())
    return variables


def _skip_blanks(text: str, position: int) -> int:
    """The position after blank lines and comments."""
    while (match := _BLANK.match(text, position)) is not None and match.end() > position:
        position = match.end()
    return position
