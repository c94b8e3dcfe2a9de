"""``image pull``: brings images from their registries into the store."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common import durations
from kubelite.cli.common.command import Argument, Settings, usage
from kubelite.cli.common.screen import Screen
from kubelite.cli.image.store import open_store, show_loaded

if TYPE_CHECKING:
    from collections.abc import Callable


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
    from kubelite.node.image.registry.pull import read_settings

    screen = Screen(settings)
    store = open_store(settings)
    registries = read_settings(os.environ)
    for name in names:
        start = time.monotonic()
        with screen.waiting(f"pulling {name}"):
            loaded = pull_image(store, parse(name), registries, progress=_progress(screen, name))
        show_loaded(screen, [loaded], "pulled", start)
    return 0


def _progress(screen: Screen, name: str) -> Callable[[str, int, int], None]:
    """Adds up what the layers report: bytes done and in all."""
    layers: dict[str, tuple[int, int]] = {}

    def report(digest: str, done: int, total: int) -> None:
        layers[digest] = (done, total)
        sizes = [durations.size(sum(column)) for column in zip(*layers.values(), strict=True)]
        screen.say_waiting(f"pulling {name}: {sizes[0]} of {sizes[1]}")

    return report
