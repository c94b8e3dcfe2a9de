"""``pod cp``: files between this machine and a container that runs."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from kubelite.cli.engine import doc, pods
from kubelite.cli.podrow import default_container
from kubelite.cli.screen import Screen
from kubelite.cli.text import CliError, Trouble

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from kubelite.cli.settings import Settings
    from kubelite.node.kubelet.pods.copying import Side
    from kubelite.node.kubelet.pods.pods import Pods


class Place(NamedTuple):
    """One operand; ``pod`` is "" on this machine."""

    pod: str
    path: str


def place(text: str) -> Place:
    """``POD:PATH``, or a path of this machine; one with a colon begins with ``/`` or ``.``."""
    name, colon, path = text.partition(":")
    if colon and name and "/" not in name and not name.startswith("."):
        return Place(name, path if path.startswith("/") else f"/{path}")
    return Place("", text)


def copy(settings: Settings, source: str, target: str, container: str | None = None) -> int:
    """Copies a file or tree; ``-`` is a tar stream on stdin or stdout. Raises NotFound, NotRunning
    and what copying does.
    """
    from kubelite.node.kubelet.pods import copying

    screen = Screen(settings)
    engine = pods(settings, screen)
    one, other = place(source), place(target)
    if bool(one.pod) == bool(other.pod):
        raise CliError(Trouble("one of source and target is in a pod: POD:PATH", exit=2))
    left_out: list[str] = []
    with ExitStack() as stack:
        here = stack.enter_context(copying.machine())
        there = stack.enter_context(_container(settings, engine, one.pod or other.pod, container))
        if source == "-":
            copying.receive(sys.stdin.buffer, there, other.path)
        elif target == "-":
            name = os.path.basename(one.path.rstrip("/")) if not one.path.endswith("/.") else ""
            copying.pack(there, one.path, name, here, sys.stdout.buffer, left_out)
            sys.stdout.buffer.flush()
        elif one.pod:
            left_out = copying.copy(there, one.path, here, _absolute(other.path))
        else:
            left_out = copying.copy(here, _absolute(one.path), there, other.path)
    for name in left_out:
        screen.warn(Trouble(f"{name} is left out: neither file, directory nor symbolic link"))
    return 0


def _absolute(path: str) -> str:
    """With its end as it was: a slash, or a dot after one, means something."""
    whole = os.path.join(os.getcwd(), path)
    return whole if path != "." else f"{whole[:-1]}."


def _container(
    settings: Settings, engine: Pods, name: str, container: str | None
) -> AbstractContextManager[Side]:
    chosen = container or default_container(doc(engine.get(settings.space, name)))[0]
    return engine.files(settings.space, name, chosen)
