"""``image commit``: what a container has written, as an image."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import as_document, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import NAME, pod_name
from kubelite.cli.image.load import REPLACE
from kubelite.cli.image.store import open_store, refuse_existing, show_loaded
from kubelite.cli.pod.exec import CONTAINER
from kubelite.cli.pod_row import default_container


@usage(
    "kubelite image commit web web:debugged",
    "kubelite image commit web tools:1 -c debugger -m 'with strace'",
    notes="Files that the container writes meanwhile are refused: pause it first, with pod pause."
    " Volumes are not part of an image.",
)
def commit(
    settings: Settings,
    pod: Annotated[str, NAME],
    name: Annotated[str, Argument("IMAGE", "Name of the new image.")],
    *,
    container: Annotated[str | None, CONTAINER] = None,
    message: Annotated[str, Option("--message -m", "A comment for the history.", "TEXT")] = "",
    replace: Annotated[bool, REPLACE] = False,
) -> int:
    """Makes an image of a container's image and of the files it has changed. Raises NotFound,
    NotRunning, CliError for a container on the machine's own files.
    """
    from kubelite.node.image.content.documents import History, creation_time, next_config
    from kubelite.node.image.reference import is_host

    screen, start = Screen(settings), time.monotonic()
    pods, store = open_pods(settings, screen), open_store(settings)
    refuse_existing(store, name, replace)
    namespace = settings.active_namespace
    pod_document = as_document(pods.queries.get(namespace, pod_name(pod)))
    chosen = container or default_container(pod_document)[0]
    upper, image = pods.queries.written(namespace, pod_name(pod), chosen)
    if is_host(image.id):
        hint = "copy its files out with: kubelite pod cp"
        raise CliError(Diagnostic("the machine's own files cannot become an image", hint=hint))
    below = store.configuration(image)
    entry = History(
        created=creation_time(os.environ, time.time()),
        created_by=f"kubelite image commit {pod}",
        comment=message,
    )
    with screen.waiting(f"committing {pod}"):
        committed = store.commit(
            image,
            Path(upper),
            lambda diff_ids: next_config(below, diff_ids, [entry], entry.created),
            name,
        )
    show_loaded(screen, [committed], "committed", start)
    return 0
