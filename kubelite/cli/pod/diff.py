"""``pod diff``: the files that a container has changed."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.common.command import Settings, usage
from kubelite.cli.common.diagnostic import cell
from kubelite.cli.common.engine import as_document, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import NAME, pod_name
from kubelite.cli.pod.exec import CONTAINER
from kubelite.cli.pod_row import default_container


@usage(
    "kubelite pod diff web",
    notes="Lists files that were added (A), changed (C) or deleted (D). Exit code: 0 none, 1 some,"
    " 2 the container has not run.",
)
def diff(
    settings: Settings,
    name: Annotated[str, NAME],
    *,
    container: Annotated[str | None, CONTAINER] = None,
) -> int:
    """Prints a line for each changed file since the container's start; 1 if there is any."""
    name = pod_name(name)
    screen = Screen(settings)
    pods = open_pods(settings, screen)
    namespace = settings.active_namespace
    chosen = container or default_container(as_document(pods.queries.get(namespace, name)))[0]
    is_changed = False
    for change in pods.queries.diff(namespace, name, chosen):
        is_changed = True
        screen.data(f"{change.kind} {cell(change.path)}\n")
    return int(is_changed)
