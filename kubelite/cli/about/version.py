"""``version``: the versions of kubelite, Python and the kernel."""

from __future__ import annotations

import os
import sys
from typing import Annotated

from kubelite.cli.common import output
from kubelite.cli.common.command import Document, Settings, usage
from kubelite.cli.common.screen import Screen
from kubelite.cli.system.info import DOCUMENT


@usage("kubelite version", "kubelite version -o json")
def version(settings: Settings, *, format: Annotated[Document | None, DOCUMENT] = None) -> int:
    """Prints the versions. Works without root and without a state root."""
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
