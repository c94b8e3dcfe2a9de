"""``pod start``, ``stop``, ``restart``, ``kill``, ``pause`` and ``unpause``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.pod.down import GRACE

if TYPE_CHECKING:
    from kubelite.node.kubelet.pods.pods import Pods

_NAMES = Argument("NAME...", "Names of the pods.", completes="pod")
_CONTAINER = Option("--container -c", "Only this container.", "NAME", completes="container")
Names = Annotated[list[str], _NAMES]


@usage("kubelite pod start web")
def start(settings: Settings, names: Names) -> int:
    """Starts the containers of pods that were stopped or have ended."""

    def act(pods: Pods, name: str) -> object:
        return pods.start(settings.active_namespace, name)

    return _for_each(settings, names, act, "started")


@usage("kubelite pod stop web", notes="The address, volumes and logs of the pod are kept.")
def stop(settings: Settings, names: Names, *, grace: Annotated[int | None, GRACE] = None) -> int:
    """Stops containers; ``grace`` seconds replace the pod's own."""

    def act(pods: Pods, name: str) -> object:
        return pods.stop(settings.active_namespace, name, grace=grace)

    return _for_each(settings, names, act, "stopped")


@usage("kubelite pod restart web", "kubelite pod restart web -c server")
def restart(
    settings: Settings,
    names: Names,
    *,
    container: Annotated[str | None, _CONTAINER] = None,
    grace: Annotated[int | None, GRACE] = None,
) -> int:
    """Stops and starts containers in place."""

    def act(pods: Pods, name: str) -> object:
        return pods.restart(settings.active_namespace, name, container=container, grace=grace)

    return _for_each(settings, names, act, "restarted")


@usage(
    "kubelite pod kill --signal HUP web",
    notes="Whether containers that end are restarted depends on the pod's restartPolicy.",
)
def kill(
    settings: Settings,
    names: Names,
    *,
    signal: Annotated[str, Option("--signal -s", "Name or number of the signal.")] = "KILL",
    container: Annotated[str | None, _CONTAINER] = None,
) -> int:
    """Sends a signal. Raises CliError for one that Linux does not have."""
    from kubelite.node.kubelet.decide.stopping import number_of

    number = number_of(signal)
    if not number:
        hint = "name it like TERM or SIGHUP, or give its number"
        raise CliError(Diagnostic(f"{signal} is not a signal", hint=hint, exit_code=2))

    def act(pods: Pods, name: str) -> object:
        return pods.kill(settings.active_namespace, name, number, container=container)

    return _for_each(settings, names, act, "signaled")


@usage("kubelite pod pause web")
def pause(settings: Settings, names: Names) -> int:
    """Freezes the processes of pods."""

    def act(pods: Pods, name: str) -> object:
        return pods.pause(settings.active_namespace, name)

    return _for_each(settings, names, act, "paused")


@usage("kubelite pod unpause web")
def unpause(settings: Settings, names: Names) -> int:
    """Thaws them again."""

    def act(pods: Pods, name: str) -> object:
        return pods.unpause(settings.active_namespace, name)

    return _for_each(settings, names, act, "unpaused")


def _for_each(
    settings: Settings, names: Sequence[str], act: Callable[[Pods, str], object], done: str
) -> int:
    """Acts on one pod after the other; the first failure ends it."""
    screen = Screen(settings)
    pods = open_pods(settings, screen)
    for name in names:
        act(pods, name)
        if not settings.quiet:
            screen.data(f"{name} {done}\n")
    return 0
