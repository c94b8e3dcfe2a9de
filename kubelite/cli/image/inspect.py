"""``image inspect`` and ``image tag``: one image, and further names for it."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.common import output
from kubelite.cli.common.command import Argument, Document, Settings, usage
from kubelite.cli.common.screen import Screen
from kubelite.cli.image.load import REPLACE
from kubelite.cli.image.store import (
    IMAGE,
    image_document,
    open_store,
    refuse_existing,
    short_id,
)
from kubelite.cli.pod.ls import OUTPUT


@usage("kubelite image inspect web:1", "kubelite image inspect web:1 -o yaml")
def inspect(
    settings: Settings,
    name: Annotated[str, IMAGE],
    *,
    format: Annotated[Document, OUTPUT] = Document.json,
) -> int:
    """Prints an image's names, size, layers and configuration. Raises ImageNotFound."""
    store = open_store(settings)
    image = store.get(name)
    listed = next((candidate for candidate in store.list() if candidate.id == image.id), image)
    Screen(settings).data(output.document(image_document(listed), format))
    return 0


@usage("kubelite image tag web:1 web:stable")
def tag(
    settings: Settings,
    name: Annotated[str, IMAGE],
    new_name: Annotated[str, Argument("NEW_NAME", "The further name.")],
    *,
    replace: Annotated[bool, REPLACE] = False,
) -> int:
    """Gives an image a further name. Raises ImageNotFound, CliError for a name that exists."""
    store = open_store(settings)
    refuse_existing(store, new_name, replace)
    tagged = store.tag(name, new_name)
    Screen(settings).data(f"tagged {', '.join(tagged.names)}  {short_id(tagged.id)}\n")
    return 0
