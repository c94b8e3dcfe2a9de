"""``pod start``, ``stop``, ``restart``, ``kill``, ``pause`` and ``unpause``: what is there,
started, ended, held still.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kubelite.cli.engine import pods
from kubelite.cli.screen import Screen
from kubelite.cli.text import CliError, Trouble

if TYPE_CHECKING:
    from kubelite.cli.settings import Settings
    from kubelite.node.kubelet.pods.pods import Pods


def start(settings: Settings, names: Sequence[str]) -> int:
    """Starts what was stopped or has ended."""
    return _each(
        settings, names, lambda engine, name: engine.start(settings.space, name), "started"
    )


def stop(settings: Settings, names: Sequence[str], grace: int | None = None) -> int:
    """Ends containers; ``grace`` seconds replace the pod's own."""
    return _each(
        settings,
        names,
        lambda engine, name: engine.stop(settings.space, name, grace=grace),
        "stopped",
    )


def restart(
    settings: Settings, names: Sequence[str], container: str | None = None, grace: int | None = None
) -> int:
    """Ends and starts containers where they are."""

    def act(engine: Pods, name: str) -> object:
        return engine.restart(settings.space, name, container=container, grace=grace)

    return _each(settings, names, act, "restarted")


def kill(
    settings: Settings, names: Sequence[str], signal: str = "KILL", container: str | None = None
) -> int:
    """Sends a signal. Raises CliError for one that Linux does not have."""
    from kubelite.node.kubelet.decide.stopping import number_of

    number = number_of(signal)
    if not number:
        raise CliError(
            Trouble(
                f"{signal} is not a signal",
                hint="name it like TERM or SIGHUP, or give its number",
                exit=2,
            )
        )
    return _each(
        settings,
        names,
        lambda engine, name: engine.kill(settings.space, name, number, container=container),
        "signalled",
    )


def pause(settings: Settings, names: Sequence[str]) -> int:
    """Holds the processes of pods still."""
    return _each(settings, names, lambda engine, name: engine.pause(settings.space, name), "paused")


def unpause(settings: Settings, names: Sequence[str]) -> int:
    """Lets them go on."""
    return _each(
        settings, names, lambda engine, name: engine.unpause(settings.space, name), "unpaused"
    )


def _each(
    settings: Settings, names: Sequence[str], act: Callable[[Pods, str], object], done: str
) -> int:
    """The same for one pod after the other; the first that fails ends it."""
    screen = Screen(settings)
    engine = pods(settings, screen)
    for name in names:
        act(engine, name)
        if not settings.quiet:
            screen.data(f"{name} {done}\n")
    return 0
