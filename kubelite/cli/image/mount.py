"""``image mount`` and ``image unmount``: an image's files on this machine, read-only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from kubelite.cli.common.command import Argument, Settings, usage
from kubelite.cli.common.screen import Screen
from kubelite.cli.image.store import IMAGE, open_store

_DIRECTORY = Argument("DIRECTORY", "An existing directory.", completes="file")


@usage("kubelite image mount web:1 /mnt", notes="It stays until `kubelite image unmount /mnt`.")
def mount(
    settings: Settings,
    name: Annotated[str, IMAGE],
    directory: Annotated[str, _DIRECTORY],
) -> int:
    """Shows the files of an image in a directory, read-only. Raises ImageNotFound, ImageError."""
    from kubelite.node.image.mounting import mount as mount_image

    image = open_store(settings).get(name)
    mount_image(image, Path(directory))
    Screen(settings).data(f"mounted {', '.join(image.names) or name} on {directory}\n")
    return 0


@usage("kubelite image unmount /mnt")
def unmount(settings: Settings, directory: Annotated[str, _DIRECTORY]) -> int:
    """Takes the files of an image away from a directory. Raises ImageError."""
    from kubelite.node.image.mounting import unmount as unmount_image

    store = open_store(settings)
    unmount_image(Path(directory), store.list())
    Screen(settings).data(f"unmounted {directory}\n")
    return 0
