"""Where the keys of the local API lie while it runs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from kubelite.node.runtime.processes import is_alive, start_ticks

_PREFIX = "ui"


@contextmanager
def key_directory(run: str) -> Iterator[str]:
    """A directory below ``run`` that only this user can read, named after this process; gone
    afterwards. Those of processes that were killed are removed first. Raises OSError.
    """
    _remove_dead(run)
    pid = os.getpid()
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}-{pid}-{start_ticks(pid)}-", dir=run) as own:
        yield own


def _remove_dead(run: str) -> None:
    for name in os.listdir(run):
        prefix, *process = name.split("-")
        if prefix == _PREFIX and not _runs(process):
            shutil.rmtree(os.path.join(run, name), ignore_errors=True)


def _runs(process: list[str]) -> bool:
    """Whether a name says which process it is of, and that runs."""
    numbers = [int(word) for word in process[:2] if word.isdigit()]
    return len(numbers) == 2 and is_alive(numbers[0], numbers[1])
