"""``image rm`` and ``image prune``: remove images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.confirm import confirm
from kubelite.cli.common.engine import suggest_command
from kubelite.cli.common.screen import Screen
from kubelite.cli.image.store import IMAGE, ids_in_use, names_of, open_store, short_id
from kubelite.cli.pod.prune import YES
from kubelite.lib import sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubelite.node.image.model import Image, Removal
    from kubelite.node.image.store import ImageStore

_IMAGES = IMAGE._replace(metavar="IMAGE...", help="Names or ids of images.")


@usage("kubelite image rm web:1", "kubelite image rm mydebian scratchpad")
def rm(
    settings: Settings,
    names: Annotated[list[str], _IMAGES],
    *,
    yes: Annotated[bool, YES] = False,
) -> int:
    """Removes names, and the images that have no name left; asks before it removes an id that has
    several. Raises ImageInUse, CliError.
    """
    screen = Screen(settings)
    store = open_store(settings)
    in_use = ids_in_use(settings, screen, store)
    for name in names:
        several = _names_of_id(store, name)
        if len(several) > 1 and not yes:
            screen.note(f"{name} has several names: {', '.join(several)}")
            command = suggest_command(settings, f"image rm --yes {name}")
            confirm("removing all of them", command)
        _show(screen, name, store.remove(name, in_use))
    return 0


def _names_of_id(store: ImageStore, name: str) -> Sequence[str]:
    """All names of an image that is named by its id; empty for a name."""
    image = store.get(name)
    return () if image.names else names_of(store, image)


def _show(screen: Screen, name: str, removed: Removal) -> None:
    freed = (
        f"  {short_id(removed.image_id)}  {sizes.shown(removed.freed)} freed"
        if removed.image_id
        else ""
    )
    screen.data(f"removed {', '.join(removed.names) or name}{freed}\n")


@usage("kubelite image prune", "kubelite image prune --all")
def prune(
    settings: Settings,
    *,
    everything: Annotated[
        bool, Option("--all -a", "Also images with names, if no pod uses them.")
    ] = False,
    yes: Annotated[bool, YES] = False,
) -> int:
    """Removes images without a name, or all that no pod uses. Raises CliError if it cannot ask."""
    screen = Screen(settings)
    store = open_store(settings)
    in_use = ids_in_use(settings, screen, store)
    unused = [
        image
        for image in store.list()
        if image.id not in in_use and (everything or not image.names)
    ]
    if unused:
        _remove_unused(settings, screen, store, unused, in_use, everything=everything, yes=yes)
    elif not everything:
        screen.note("no unused images, nothing to do")
    store.forget_pulls()
    if everything:
        freed = store.forget_steps()
        screen.note(f"forgot the steps of builds, {sizes.shown(freed)} freed")
    return 0


def _remove_unused(
    settings: Settings,
    screen: Screen,
    store: ImageStore,
    unused: Sequence[Image],
    in_use: set[str],
    *,
    everything: bool,
    yes: bool,
) -> None:
    screen.note("This removes images that no pod uses:")
    for image in unused:
        screen.note(f"  {', '.join(image.names) or short_id(image.id)}")
    if not yes:
        arguments = "image prune --all --yes" if everything else "image prune --yes"
        confirm("removing images", suggest_command(settings, arguments))
    for image in unused:
        _show(screen, short_id(image.id), store.remove(image.id, in_use))
