"""``image push``: sends images of the store to their registries."""

from __future__ import annotations

import os
import time
from typing import Annotated

from kubelite.cli.common.command import Settings, usage
from kubelite.cli.common.screen import Screen
from kubelite.cli.image.store import IMAGE, open_store, transfer_progress
from kubelite.lib import sizes

_IMAGES = IMAGE._replace(metavar="IMAGE...", help="Names of images; a name says which registry.")


@usage(
    "kubelite image push registry.example/team/web:1",
    notes="Logins are those of docker and podman: ~/.docker/config.json, auth.json. To send an"
    " image elsewhere, give it a further name first: kubelite image tag.",
)
def push(settings: Settings, names: Annotated[list[str], _IMAGES]) -> int:
    """Sends each image to the registry of its name. Raises ImageNotFound, PullError."""
    from kubelite.node.image.registry.push import push as push_image
    from kubelite.node.image.registry.settings import read_settings

    screen = Screen(settings)
    store = open_store(settings)
    registries = read_settings(os.environ)
    for name in names:
        start = time.monotonic()
        with screen.waiting(f"pushing {name}"):
            progress = transfer_progress(screen, f"pushing {name}")
            pushed = push_image(store, name, registries, progress=progress)
        screen.data(f"pushed {name}  {pushed.digest}  {sizes.shown(pushed.size)}\n")
        screen.note(f"done in {time.monotonic() - start:.2f} s")
    return 0
