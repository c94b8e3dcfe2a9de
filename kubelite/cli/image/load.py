"""``image import`` and ``image load``: bring images into the store."""

from __future__ import annotations

import time
from typing import Annotated

from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.screen import Screen
from kubelite.cli.image.store import open_store, refuse_existing, show_loaded, source_path

REPLACE = Option("--replace", "Re-point an existing name to this image.")


@usage(
    "kubelite image import mydebian rootfs.tar.gz",
    "kubelite image import scratchpad ./rootfs",
    "debootstrap ... | kubelite image import mydebian -",
)
def import_(
    settings: Settings,
    name: Annotated[str, Argument("NAME", "Name of the new image.")],
    source: Annotated[
        str,
        Argument(
            "ROOTFS",
            "Root file system: a directory or tar archive, - for an archive on stdin.",
            completes="file",
        ),
    ],
    *,
    replace: Annotated[bool, REPLACE] = False,
) -> int:
    """Creates an image from a root file system. Raises CliError for a name that exists."""
    screen, start = Screen(settings), time.monotonic()
    store = open_store(settings)
    refuse_existing(store, name, replace)
    with screen.waiting(f"importing {source}"), source_path(settings, source) as path:
        imported = store.import_rootfs(name, path)
    show_loaded(screen, [imported], "imported", start)
    return 0


@usage(
    "kubelite image load nginx.tar",
    "kubelite image load ./layout --name web:1",
    "docker save web:1 | kubelite image load -",
)
def load(
    settings: Settings,
    source: Annotated[
        str,
        Argument(
            "ARCHIVE",
            "OCI layout (directory or tar) or docker archive, - for an archive on stdin.",
            completes="file",
        ),
    ],
    *,
    name: Annotated[str | None, Option("--name", "Name to use instead of the archive's.")] = None,
    replace: Annotated[bool, REPLACE] = False,
) -> int:
    """Loads the images of an OCI layout or a docker archive. Raises CliError for a name that
    exists.
    """
    screen, start = Screen(settings), time.monotonic()
    store = open_store(settings)
    if name is not None:
        refuse_existing(store, name, replace)
    with screen.waiting(f"loading {source}"), source_path(settings, source) as path:
        loaded = store.load(path, name, replace=replace)
    show_loaded(screen, loaded, "loaded", start)
    return 0
