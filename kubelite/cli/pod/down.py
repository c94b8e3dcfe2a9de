"""``pod down``: stops pods and removes everything of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common import manifest
from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import open_home, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import (
    FILES,
    KUSTOMIZE,
    RECURSIVE,
    SELECTOR,
    Target,
    is_file,
    manifest_files,
    owned_by,
    pod_name,
    select,
)
from kubelite.cli.pod.up import process_start, step_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubelite.cli.common.manifest import Named
    from kubelite.cli.review import PodName
    from kubelite.node.kubelet.pods.pods import Pods
    from kubelite.node.runtime.errors import NotFound

GRACE = Option("--grace-period", "Seconds between the stop signal and SIGKILL.", minimum=0)
_TARGETS = Argument(
    "[FILE|NAME]...", "Manifests, directories, - for stdin, or names of pods.", completes="pod"
)


@usage("kubelite pod down web", "kubelite pod down web.yaml", "kubelite pod down -l app=web")
def down(
    settings: Settings,
    targets: Annotated[list[str] | None, _TARGETS] = None,
    *,
    filename: Annotated[list[str] | None, FILES] = None,
    recursive: Annotated[bool, RECURSIVE] = False,
    kustomize: Annotated[list[str] | None, KUSTOMIZE] = None,
    selector: Annotated[str | None, SELECTOR] = None,
    uid: Annotated[
        str | None, Option("--uid", "Remove the pod with this uid, even if its record is damaged.")
    ] = None,
    grace: Annotated[int | None, GRACE] = None,
    missing_ok: Annotated[
        bool, Option("--ignore-not-found", "Succeed if the pod does not exist.")
    ] = False,
    volumes: Annotated[
        bool, Option("--volumes", "Also delete the data of the claims in the manifests.")
    ] = False,
) -> int:
    """Stops and removes pods by name or selector, and those of manifests in reverse order. The data
    of claims stays for the next `pod up` unless ``volumes``.

    ``grace`` seconds replace terminationGracePeriodSeconds. Raises NotFound after the others have
    been removed.
    """
    start = process_start()
    screen = Screen(settings)
    # What can be wrong with the command line is found before anything is removed.
    chosen, named = _operands(settings, targets or (), filename or (), recursive=recursive)
    named += [manifest.named(directory, settings.namespace) for directory in kustomize or ()]
    pods = open_pods(settings, screen)
    for in_file in named[::-1]:
        chosen += _pods_of(pods, in_file)
    if named and not chosen and not missing_ok:
        raise CliError(Diagnostic("none of the pods of these manifests exists"))
    if uid is not None:
        if chosen or selector is not None:
            raise CliError(Diagnostic("--uid names the one pod to remove", exit_code=2))
        pods.remove_damaged(uid)
        return 0
    if selector is not None or not (chosen or named):
        names = [target.name for target in chosen]
        chosen = select(settings, pods, names, selector, command="down")
    missing = _down_all(settings, screen, pods, chosen, grace, start)
    if volumes:
        _remove_claims(settings, [claim for in_file in named for claim in in_file.claims])
    if missing is not None and not missing_ok:
        raise missing
    return 0


def _operands(
    settings: Settings, targets: Sequence[str], filenames: Sequence[str], *, recursive: bool
) -> tuple[list[Target], list[Named]]:
    """The pods that are named, and what the manifests name. Raises CliError."""
    files = [*filenames, *filter(is_file, targets)]
    names = [pod_name(operand) for operand in targets if not is_file(operand)]
    named = [
        manifest.named(file, settings.namespace)
        for operand in files
        for file in manifest_files([operand], recursive=recursive)
    ]
    return [Target(settings.active_namespace, name) for name in names], named


def _down_all(
    settings: Settings,
    screen: Screen,
    pods: Pods,
    targets: Sequence[Target],
    grace: int | None,
    start: float,
) -> NotFound | None:
    """Takes pods down, one after the other. Returns the error of the first that does not exist;
    ``start`` is when the first began, in seconds of CLOCK_BOOTTIME.
    """
    from kubelite.node.runtime.errors import NotFound

    first_missing: NotFound | None = None
    for target in targets:
        try:
            _down(screen, pods, target, grace)
        except NotFound as error:
            first_missing = first_missing or error
            continue
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        if not settings.quiet:
            screen.data(f"{target.name} is down in {now - start:.2f} s\n")
        start = now
    return first_missing


def _down(screen: Screen, pods: Pods, target: Target, grace: int | None) -> None:
    reason = f"stopping {target.name}: its containers may take their grace period"
    with screen.waiting(reason):
        pods.down(
            *target,
            grace=grace,
            report=lambda step: screen.progress(step_line(step, screen)),
        )


def _pods_of(pods: Pods, named: Named) -> list[Target]:
    """The pods of a manifest, in reverse order: by name, by the object that they were made from, by
    the beginning of a generated name.
    """
    targets = [Target(*pod) for pod in named.pods] + sorted(owned_by(pods, named.owners))
    targets += [
        Target(namespace, pod.metadata.name or "")
        for namespace, prefix in named.prefixes
        for pod in pods.queries.list(namespace)
        if pod.metadata.generate_name == prefix
    ]
    return targets[::-1]


def _remove_claims(settings: Settings, claims: list[PodName]) -> None:
    """Deletes the data of claims. Raises CliError for what cannot be removed."""
    from kubelite.node.volume.local import remove_directory

    home = open_home(settings)
    left = [problem for claim in claims for problem in remove_directory(home.claim(*claim))]
    if left:
        raise CliError(Diagnostic(str(left[0])))
