"""``pod down``: pods stopped and everything of theirs removed."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from kubelite.cli.engine import pods
from kubelite.cli.screen import Screen
from kubelite.cli.up import process_start, step_line

if TYPE_CHECKING:
    from kubelite.cli.settings import Settings

_SUFFIXES = (".yaml", ".yml", ".json")


def down(
    settings: Settings, target: str, *, grace: int | None = None, missing_ok: bool = False
) -> int:
    """Stops and removes one pod by name, or all that a manifest names, in reverse order.

    ``grace`` seconds replace terminationGracePeriodSeconds. Raises NotFound after the others have
    been removed.
    """
    from kubelite.node.runtime.errors import NotFound

    start = process_start()
    screen = Screen(settings)
    absent: NotFound | None = None
    named = _named(settings, target)
    engine = pods(settings, screen)
    for namespace, name in named:
        try:
            engine.down(
                namespace,
                name,
                grace=grace,
                report=lambda step: screen.progress(step_line(step, screen.err)),
            )
        except NotFound as error:
            absent = absent or error
            continue
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        if not settings.quiet:
            screen.data(f"{name} is down in {now - start:.2f} s\n")
        start = now
    if absent is not None and not missing_ok:
        raise absent
    return 0


def is_file(target: str) -> bool:
    """Whether an operand means a manifest: ``-``, a path, or a name that ends like one. Anything
    else is a pod's name.
    """
    return target == "-" or os.sep in target or target.endswith(_SUFFIXES)


def _named(settings: Settings, target: str) -> list[tuple[str, str]]:
    if not is_file(target):
        return [(settings.space, target)]
    from kubelite.cli import manifest

    return list(reversed(manifest.names(target, settings.namespace)))
