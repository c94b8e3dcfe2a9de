"""``image copy``: brings images of this machine's docker or podman into the store."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

from kubelite.cli.common.command import Argument, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import open_home
from kubelite.cli.common.screen import Screen
from kubelite.cli.image.store import open_store, show_loaded

_DAEMON = "docker-daemon:"


@usage(
    "kubelite image copy docker-daemon:web:1",
    notes="Asks the socket that DOCKER_HOST names, otherwise /run/docker.sock and then"
    " /run/podman/podman.sock. A name that the store has moves to the image that came.",
)
def copy(
    settings: Settings,
    sources: Annotated[
        list[str],
        Argument("docker-daemon:NAME...", "Names of images as docker or podman has them."),
    ],
) -> int:
    """Copies each image under its name. Raises CliError, ImageError."""
    from kubelite.node.image.reference import familiar, parse
    from kubelite.node.image.registry.daemon import exported, sockets

    for source in sources:
        if not source.startswith(_DAEMON):
            hint = f"write {_DAEMON}{source}; from a registry: kubelite image pull {source}"
            raise CliError(Diagnostic(f"{source} names no daemon", hint=hint, exit_code=2))
    names = [familiar(parse(source.removeprefix(_DAEMON))) for source in sources]
    screen, store, places = Screen(settings), open_store(settings), sockets(os.environ)
    spool = Path(open_home(settings).images)
    for name in names:
        start = time.monotonic()
        with screen.waiting(f"copying {name}"), exported(name, places, spool) as path:
            loaded = store.load(path, name)
        show_loaded(screen, loaded, "copied", start)
    return 0
