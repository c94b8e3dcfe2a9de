"""``image import`` and ``image load``: bring images into the store."""

from __future__ import annotations

import time
from typing import Annotated

from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.screen import Screen
from kubelite.cli.image.store import existing_path, open_store, show_loaded


@usage("kubelite image import mydebian rootfs.tar.gz", "kubelite image import scratchpad ./rootfs")
def import_(
    settings: Settings,
    name: Annotated[str, Argument("NAME", "Name of the new image.")],
    source: Annotated[
        str,
        Argument("ROOTFS", "Root file system: a directory or tar archive.", completes="file"),
    ],
) -> int:
    """Creates an image from a root file system."""
    screen, start = Screen(settings), time.monotonic()
    imported = open_store(settings).import_rootfs(name, existing_path(source))
    show_loaded(screen, [imported], "imported", start)
    return 0


@usage("kubelite image load nginx.tar", "kubelite image load ./layout --name web:1")
def load(
    settings: Settings,
    source: Annotated[
        str,
        Argument("ARCHIVE", "OCI layout (directory or tar) or docker archive.", completes="file"),
    ],
    *,
    name: Annotated[str | None, Option("--name", "Name to use instead of the archive's.")] = None,
    replace: Annotated[
        bool, Option("--replace", "Re-point an existing name to this image.")
    ] = False,
) -> int:
    """Loads the images of an OCI layout or a docker archive."""
    screen, start = Screen(settings), time.monotonic()
    loaded = open_store(settings).load(existing_path(source), name, replace=replace)
    show_loaded(screen, loaded, "loaded", start)
    return 0
