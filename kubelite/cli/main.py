"""The table of contents of the command line: which words there are, and where each lives.

No logic: :mod:`kubelite.cli.door` reads this table, imports the one module that a command line
names, and turns whatever happens into an exit code. Exit codes: 0 fine, 1 failed, 2 wrong usage,
124 timed out while waiting, 130 Ctrl-C, 128+n ended by signal n; of ``pod exec``, ``attach`` and
``debug`` the program's own, or 125 kubelite failed, 126 not executable, 127 not found; of ``pod
check`` and ``pod diff`` 1 findings, 2 there was nothing to look at.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

from kubelite.cli.door import Word, enter

GROUPS = {
    "pod": "Pods on this machine: no cluster needed.",
    "image": "Images in the local store.",
    "scheduler": "Where pods would run, and why: on paper, without a cluster.",
    "system": "This machine, and what kubelite keeps on it.",
}

COMMANDS = {
    "pod up": Word("pod", "up"),
    "pod down": Word("pod", "down"),
    "pod ls": Word("pod", "ls"),
    "pod ps": Word("pod", "ls", alias=True),
    "pod inspect": Word("pod", "inspect"),
    "pod check": Word("pod", "check", failure=2),
    "pod update": Word("podchange", "update"),
    "pod start": Word("podlife", "start"),
    "pod stop": Word("podlife", "stop"),
    "pod restart": Word("podlife", "restart"),
    "pod kill": Word("podlife", "kill"),
    "pod pause": Word("podlife", "pause"),
    "pod unpause": Word("podlife", "unpause"),
    "pod logs": Word("podio", "logs"),
    "pod exec": Word("podio", "exec", failure=125),
    "pod attach": Word("podio", "attach", failure=125),
    "pod debug": Word("podio", "debug", failure=125),
    "pod cp": Word("podio", "cp"),
    "pod wait": Word("podio", "wait"),
    "pod events": Word("podlook", "events"),
    "pod top": Word("podlook", "top"),
    "pod stats": Word("podlook", "stats"),
    "pod diff": Word("podlook", "diff", failure=2),
    "pod prune": Word("podchange", "prune"),
    "image import": Word("image", "import_"),
    "image load": Word("image", "load"),
    "image ls": Word("image", "ls"),
    "image rm": Word("image", "rm"),
    "scheduler explain": Word("scheduler", "explain"),
    "scheduler simulate": Word("scheduler", "simulate"),
    "system info": Word("system", "info"),
    "system agent": Word("system", "agent"),
    "system reset": Word("system", "reset"),
    "server": Word("server", "server"),
    "explain": Word("about", "explain"),
    "version": Word("about", "version"),
}


def main() -> int:
    """The ``kubelite`` command: runs what sys.argv says and returns the exit code."""
    return enter(GROUPS, COMMANDS)


def run() -> NoReturn:
    """The program: :func:`main`, then the end of the process at once.

    Looking for garbage among what imports make, and taking it all apart at the end, would be a
    fifth of a short command's time; nothing here waits for either.
    """
    gc.set_threshold(100_000)
    code = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass  # whoever reads it has gone
    os._exit(code)
