"""``pod down``: stops pods and removes everything of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import (
    FILES,
    SELECTOR,
    Target,
    is_file,
    manifest_files,
    pod_name,
    select,
)
from kubelite.cli.pod.up import process_start, step_line

if TYPE_CHECKING:
    from kubelite.node.kubelet.pods.pods import Pods

GRACE = Option("--grace-period", "Seconds between the stop signal and SIGKILL.", minimum=0)
_TARGETS = Argument("[FILE|NAME]...", "Manifests, - for stdin, or names of pods.", completes="pod")


@usage("kubelite pod down web", "kubelite pod down web.yaml", "kubelite pod down -l app=web")
def down(
    settings: Settings,
    targets: Annotated[list[str] | None, _TARGETS] = None,
    *,
    filename: Annotated[list[str] | None, FILES] = None,
    selector: Annotated[str | None, SELECTOR] = None,
    uid: Annotated[
        str | None, Option("--uid", "Remove the pod with this uid, even if its record is damaged.")
    ] = None,
    grace: Annotated[int | None, GRACE] = None,
    missing_ok: Annotated[
        bool, Option("--ignore-not-found", "Succeed if the pod does not exist.")
    ] = False,
) -> int:
    """Stops and removes pods by name or selector, and those of manifests in reverse order.

    ``grace`` seconds replace terminationGracePeriodSeconds. Raises NotFound after the others have
    been removed.
    """
    from kubelite.node.runtime.errors import NotFound

    start = process_start()
    screen = Screen(settings)
    first_missing: NotFound | None = None
    operands = [*(targets or ()), *(filename or ())]
    # What can be wrong with the command line is found before anything is removed.
    chosen = [pod for operand in operands for pod in _pods_of(settings, operand, filename or ())]
    pods = open_pods(settings, screen)
    if uid is not None:
        if chosen or selector is not None:
            raise CliError(Diagnostic("--uid names the one pod to remove", exit_code=2))
        pods.remove_damaged(uid)
        return 0
    if selector is not None or not chosen:
        names = [target.name for target in chosen]
        chosen = select(settings, pods, names, selector, command="down")
    for target in chosen:
        try:
            _down(screen, pods, target, grace)
        except NotFound as error:
            first_missing = first_missing or error
            continue
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        if not settings.quiet:
            screen.data(f"{target.name} is down in {now - start:.2f} s\n")
        start = now
    if first_missing is not None and not missing_ok:
        raise first_missing
    return 0


def _down(screen: Screen, pods: Pods, target: Target, grace: int | None) -> None:
    reason = f"stopping {target.name}: its containers may take their grace period"
    with screen.waiting(reason):
        pods.down(
            *target,
            grace=grace,
            report=lambda step: screen.progress(step_line(step, screen.err)),
        )


def _pods_of(settings: Settings, operand: str, files: list[str] | tuple[()]) -> list[Target]:
    if operand not in files and not is_file(operand):
        return [Target(settings.active_namespace, pod_name(operand))]
    from kubelite.cli.common import manifest

    named = [
        Target(*pod)
        for file in manifest_files([operand])
        for pod in manifest.names(file, settings.namespace)
    ]
    return named[::-1]
