"""``image rm``: removes images."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.common import durations
from kubelite.cli.common.command import Settings, usage
from kubelite.cli.common.screen import Screen
from kubelite.cli.image.store import IMAGE, ids_in_use, open_store, short_id

_IMAGES = IMAGE._replace(metavar="IMAGE...", help="Names or ids of images.")


@usage("kubelite image rm web:1", "kubelite image rm mydebian scratchpad")
def rm(settings: Settings, names: Annotated[list[str], _IMAGES]) -> int:
    """Removes names, and the images that have no name left. Raises ImageInUse."""
    screen = Screen(settings)
    store = open_store(settings)
    in_use = ids_in_use(settings, screen, store)
    for name in names:
        removed = store.remove(name, in_use)
        freed = (
            f"  {short_id(removed.image_id)}  {durations.size(removed.freed)} freed"
            if removed.image_id
            else ""
        )
        screen.data(f"removed {', '.join(removed.names) or name}{freed}\n")
    return 0
