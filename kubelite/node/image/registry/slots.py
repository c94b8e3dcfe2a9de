"""How many pulls go on at the same time, whichever processes they are in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kubelite.lib.files import FileLock
from kubelite.node.image.registry.pull import PullCancelled

_LOOK_SECONDS = 0.1


@contextmanager
def pull_slot(
    directory: Path, at_once: int | None, is_wanted: Callable[[], bool]
) -> Iterator[float]:
    """Waits until fewer than ``at_once`` others have a slot in ``directory``, and takes one; None
    is no bound. Gives the seconds that it waited. Raises PullCancelled once it is not wanted any
    more, OSError.
    """
    if at_once is None:
        yield 0.0
        return
    directory.mkdir(0o700, parents=True, exist_ok=True)
    locks = [FileLock(f"{directory}/slot{n}.lock", timeout=0) for n in range(at_once)]
    began = time.monotonic()
    while (lock := _free_one(locks)) is None:
        if not is_wanted():
            raise PullCancelled
        time.sleep(_LOOK_SECONDS)
    try:
        yield time.monotonic() - began
    finally:
        lock.release()


def _free_one(locks: list[FileLock]) -> FileLock | None:
    for lock in locks:
        try:
            return lock.acquire()
        except TimeoutError:
            continue
    return None
