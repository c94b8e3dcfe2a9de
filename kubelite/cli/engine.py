"""The way to the local engine: the home that the options name, and the pods in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kubelite.cli.text import CliError, Trouble

if TYPE_CHECKING:
    from kubelite.cli.podrow import Doc
    from kubelite.cli.screen import Screen
    from kubelite.cli.settings import Settings
    from kubelite.node.kubelet.pods.pods import Pods
    from kubelite.node.runtime.home import Home


def home(settings: Settings) -> Home:
    """The home to work in. Raises CliError when the caller is not root: everything under a home
    belongs to root.
    """
    from kubelite.node.runtime.home import Home

    if os.geteuid() != 0:
        raise CliError(
            Trouble(
                "kubelite must run as root to work with pods and images",
                hint="run the same with sudo",
            )
        )
    return Home(settings.root)


def pods(settings: Settings, screen: Screen) -> Pods:
    """The pods of the home; with ``-v`` each act below is told on stderr."""
    place = home(settings)
    from kubelite.node.kubelet.pods.pods import Pods

    return Pods(place, trace=screen.detail if settings.verbose else None)


def doc(pod: object) -> Doc:
    """A pod as JSON has it: dicts, lists and plain values, absent fields left out."""
    import msgspec

    made: Doc = msgspec.to_builtins(pod)
    return made


def again(settings: Settings, words: str) -> str:
    """A command line to suggest, with the options that this one was given."""
    root = f" --root {settings.root}" if settings.root else ""
    space = (
        f" -n {settings.namespace}"
        if settings.namespace and settings.namespace != "default"
        else ""
    )
    return f"kubelite{root} {words}{space}"
