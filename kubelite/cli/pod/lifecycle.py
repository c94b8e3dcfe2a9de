"""``pod start``, ``stop``, ``restart``, ``kill``, ``pause`` and ``unpause``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import NAMES, SELECTOR, Target, select
from kubelite.cli.pod.down import GRACE

if TYPE_CHECKING:
    from kubelite.node.kubelet.pods.pods import Pods

_CONTAINER = Option("--container -c", "Only this container.", "NAME", completes="container")
Names = Annotated[list[str] | None, NAMES]
Selector = Annotated[str | None, SELECTOR]


class Selection:
    """The settings and pods of a command, as its options gave them."""

    def __init__(self, settings: Settings, names: list[str] | None, selector: str | None) -> None:
        self.settings = settings
        self.names = names
        self.selector = selector

    def act(self, verb: str, done: str, act: Callable[[Pods, Target], object]) -> int:
        """Acts on one pod after the other; the first failure ends it."""
        screen = Screen(self.settings)
        pods = open_pods(self.settings, screen)
        for target in select(self.settings, pods, self.names, self.selector, command=verb):
            with screen.waiting(f"{verb} {target.name}: waiting for its containers"):
                act(pods, target)
            if not self.settings.quiet:
                screen.data(f"{target.name} {done}\n")
        return 0


@usage("kubelite pod start web")
def start(settings: Settings, names: Names = None, *, selector: Selector = None) -> int:
    """Starts the containers of pods that were stopped or have ended."""
    selection = Selection(settings, names, selector)
    return selection.act("start", "started", lambda pods, target: pods.start(*target))


@usage("kubelite pod stop web", notes="The address, volumes and logs of the pod are kept.")
def stop(
    settings: Settings,
    names: Names = None,
    *,
    selector: Selector = None,
    grace: Annotated[int | None, GRACE] = None,
) -> int:
    """Stops containers; ``grace`` seconds replace the pod's own."""
    selection = Selection(settings, names, selector)
    return selection.act("stop", "stopped", lambda pods, target: pods.stop(*target, grace=grace))


@usage("kubelite pod restart web", "kubelite pod restart web -c server")
def restart(
    settings: Settings,
    names: Names = None,
    *,
    selector: Selector = None,
    container: Annotated[str | None, _CONTAINER] = None,
    grace: Annotated[int | None, GRACE] = None,
) -> int:
    """Stops and starts containers in place."""

    def act(pods: Pods, target: Target) -> object:
        return pods.restart(*target, container=container, grace=grace)

    return Selection(settings, names, selector).act("restart", "restarted", act)


@usage(
    "kubelite pod kill --signal HUP web",
    notes="Whether containers that end are restarted depends on the pod's restartPolicy.",
)
def kill(
    settings: Settings,
    names: Names = None,
    *,
    selector: Selector = None,
    signal: Annotated[str, Option("--signal -s", "Name or number of the signal.")] = "KILL",
    container: Annotated[str | None, _CONTAINER] = None,
) -> int:
    """Sends a signal. Raises CliError for one that Linux does not have."""
    from kubelite.node.kubelet.decide.stopping import signal_number

    number = signal_number(signal)
    if not number:
        hint = "name it like TERM or SIGHUP, or give its number"
        raise CliError(Diagnostic(f"{signal} is not a signal", hint=hint, exit_code=2))

    def act(pods: Pods, target: Target) -> object:
        return pods.kill(*target, number, container=container)

    return Selection(settings, names, selector).act("kill", "signaled", act)


@usage("kubelite pod pause web")
def pause(settings: Settings, names: Names = None, *, selector: Selector = None) -> int:
    """Freezes the processes of pods."""
    selection = Selection(settings, names, selector)
    return selection.act("pause", "paused", lambda pods, target: pods.pause(*target))


@usage("kubelite pod unpause web")
def unpause(settings: Settings, names: Names = None, *, selector: Selector = None) -> int:
    """Thaws them again."""
    selection = Selection(settings, names, selector)
    return selection.act("unpause", "unpaused", lambda pods, target: pods.unpause(*target))
