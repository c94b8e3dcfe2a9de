"""``image ls``: lists the images of the store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common import output
from kubelite.cli.common.command import Output, Settings, usage
from kubelite.cli.common.screen import Screen
from kubelite.cli.image.store import image_document, open_store, short_id
from kubelite.cli.pod.ls import OUTPUT
from kubelite.lib import sizes
from kubelite.objects.facts import ages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubelite.node.image.model import Image


@usage("kubelite image ls", "kubelite image ls -o json")
def ls(settings: Settings, *, format: Annotated[Output, OUTPUT] = Output.table) -> int:
    """Lists the images of the store."""
    screen = Screen(settings)
    images = open_store(settings).list()
    if format in (Output.json, Output.yaml):
        screen.data(output.document([image_document(image) for image in images], format))
    elif format is Output.name:
        screen.data("".join(f"{name}\n" for image in images for name in image.names or (image.id,)))
    elif not images:
        screen.note("No images found. `kubelite image import` and `kubelite image load` add some.")
    else:
        screen.data(_table(images, format is Output.wide))
    return 0


def _table(images: Sequence[Image], wide: bool) -> str:
    now = datetime.now(UTC)
    headers = ["NAME", "IMAGE ID", "AGE", "SIZE", *(["LAYERS", "COMMAND"] if wide else [])]
    rows = []
    for image in images:
        for name in image.names or ("<none>",):
            cells = [
                name,
                image.id if wide else short_id(image.id),
                ages.since(image.created, now),
                sizes.shown(image.size),
            ]
            command = " ".join((*image.config.entrypoint, *image.config.cmd))
            more = [str(len(image.layers)), command or "<none>"] if wide else []
            rows.append([*cells, *more])
    return output.table(headers, rows)
