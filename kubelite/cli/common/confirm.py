"""Asking for confirmation before something is destroyed."""

from __future__ import annotations

import sys

from kubelite.cli.common.diagnostic import CliError, Diagnostic


def confirm(action: str, unasked: str) -> None:
    """Returns only if a person answers yes; ``unasked`` is the command line that does not ask.
    Raises CliError otherwise.
    """
    if not sys.stdin.isatty():
        raise CliError(
            Diagnostic(
                f"{action} needs confirmation but stdin is not a terminal",
                hint=f"`{unasked}` does not ask",
                exit_code=2,
            )
        )
    sys.stderr.write("Continue? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CliError(Diagnostic("canceled: nothing was changed"))
