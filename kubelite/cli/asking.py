"""Asking a person before something is destroyed."""

from __future__ import annotations

import sys

from kubelite.cli.text import CliError, Trouble


def ask(what: str, without: str) -> None:
    """Goes on only when a person says yes; ``without`` is the command that does not ask. Raises
    CliError otherwise.
    """
    if not sys.stdin.isatty():
        raise CliError(
            Trouble(
                f"{what} and nobody can be asked",
                hint=f"`{without}` does it without asking",
                exit=2,
            )
        )
    sys.stderr.write("Go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CliError(Trouble("nothing was removed"))
