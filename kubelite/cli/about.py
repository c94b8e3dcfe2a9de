"""``version`` and ``explain``: kubelite about itself. Works without root and without a home."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kubelite.cli import output
from kubelite.cli.screen import Screen
from kubelite.cli.text import CliError, Trouble

if TYPE_CHECKING:
    from kubelite.cli.output import Document
    from kubelite.cli.settings import Settings


def version(settings: Settings, *, format: Document | None = None) -> int:
    """The versions of kubelite, Python and the kernel."""
    from kubelite import __version__

    system = os.uname()
    facts = {
        "kubelite": __version__,
        "python": sys.version.split()[0],
        "kernel": system.release,
        "machine": system.machine,
    }
    text = "".join(f"{name} {value}\n" for name, value in facts.items())
    Screen(settings).data(text if format is None else output.document(facts, format))
    return 0


def explain(settings: Settings, code: str) -> int:
    """What an error code means and what helps. Raises CliError for a code that does not exist."""
    from kubelite.cli.codes import CODES, explained

    page = explained(code)
    if page is None:
        first, last = min(CODES), max(CODES)
        raise CliError(
            Trouble(f'there is no error code "{code}"', hint=f"codes go from {first} to {last}")
        )
    Screen(settings).data(page)
    return 0
