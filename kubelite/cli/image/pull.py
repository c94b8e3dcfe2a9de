"""``image pull``: brings images from their registries into the store."""

from __future__ import annotations

import os
import time
from typing import Annotated

from kubelite.cli.common.command import Argument, Settings, usage
from kubelite.cli.common.screen import Screen
from kubelite.cli.image.store import open_store, show_loaded, transfer_progress


@usage(
    "kubelite image pull nginx:1.29",
    notes="Logins and mirrors are those of docker and podman: ~/.docker/config.json, auth.json,"
    " registries.conf.",
)
def pull(
    settings: Settings,
    names: Annotated[list[str], Argument("NAME...", "Names of images, as in a manifest.")],
) -> int:
    """Pulls each image, whether the store has one of the name or not. Raises PullError."""
    from kubelite.node.image.reference import parse
    from kubelite.node.image.registry.pull import pull as pull_image
    from kubelite.node.image.registry.settings import read_settings

    screen = Screen(settings)
    store = open_store(settings)
    registries = read_settings(os.environ)
    for name in names:
        start = time.monotonic()
        with screen.waiting(f"pulling {name}"):
            progress = transfer_progress(screen, f"pulling {name}")
            loaded = pull_image(store, parse(name), registries, progress=progress)
        show_loaded(screen, [loaded], "pulled", start)
    return 0
