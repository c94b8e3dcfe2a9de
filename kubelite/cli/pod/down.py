"""``pod down``: stops pods and removes everything of them."""

from __future__ import annotations

import os
import time
from typing import Annotated

from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.engine import open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.pod.up import process_start, step_line

GRACE = Option("--grace-period", "Seconds between the stop signal and SIGKILL.", minimum=0)
_SUFFIXES = (".yaml", ".yml", ".json")


@usage("kubelite pod down web", "kubelite pod down web.yaml")
def down(
    settings: Settings,
    target: Annotated[
        str, Argument("FILE|NAME", "Manifest, - for stdin, or the name of a pod.", completes="pod")
    ],
    *,
    grace: Annotated[int | None, GRACE] = None,
    missing_ok: Annotated[
        bool, Option("--ignore-not-found", "Succeed if the pod does not exist.")
    ] = False,
) -> int:
    """Stops and removes one pod by name, or all that a manifest names, in reverse order.

    ``grace`` seconds replace terminationGracePeriodSeconds. Raises NotFound after the others have
    been removed.
    """
    from kubelite.node.runtime.errors import NotFound

    start = process_start()
    screen = Screen(settings)
    first_missing: NotFound | None = None
    targets = _pods_of(settings, target)
    pods = open_pods(settings, screen)
    for namespace, name in targets:
        try:
            pods.down(
                namespace,
                name,
                grace=grace,
                report=lambda step: screen.progress(step_line(step, screen.err)),
            )
        except NotFound as error:
            first_missing = first_missing or error
            continue
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        if not settings.quiet:
            screen.data(f"{name} is down in {now - start:.2f} s\n")
        start = now
    if first_missing is not None and not missing_ok:
        raise first_missing
    return 0


def is_file(target: str) -> bool:
    """Whether an operand is a manifest: ``-``, a path, or a name that ends like one. Anything else
    is the name of a pod.
    """
    return target == "-" or os.sep in target or target.endswith(_SUFFIXES)


def _pods_of(settings: Settings, target: str) -> list[tuple[str, str]]:
    if not is_file(target):
        return [(settings.active_namespace, target)]
    from kubelite.cli.common import manifest

    return list(reversed(manifest.names(target, settings.namespace)))
