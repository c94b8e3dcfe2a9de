"""What the image commands share: the image store, and how images are shown."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubelite.cli.common.command import Argument
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import open_home, open_pods
from kubelite.lib import sizes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kubelite.cli.common.command import Settings
    from kubelite.cli.common.screen import Screen
    from kubelite.node.image.model import Image, LoadedImage
    from kubelite.node.image.store import ImageStore

IMAGE = Argument("IMAGE", "Name or id of an image.", completes="image")
_ID_DIGITS = 12
_COPY_BYTES = 1 << 20


def open_store(settings: Settings) -> ImageStore:
    """The image store of the state root. Raises CliError if the caller is not root."""
    home = open_home(settings)
    from kubelite.node.image.store import ImageStore

    return ImageStore(Path(home.images))


@contextmanager
def source_path(settings: Settings, source: str) -> Iterator[Path]:
    """The path of an archive or directory; ``-`` is stdin, copied to a nameless file beside the
    store. Raises CliError if there is nothing.
    """
    if source != "-":
        path = Path(source)
        if not path.exists():
            hint = "give a directory or a tar archive"
            raise CliError(Diagnostic(f"{source} does not exist", hint=hint))
        yield path
        return
    if sys.stdin.isatty():
        hint = "pipe an archive into it: docker save NAME | kubelite image load -"
        raise CliError(Diagnostic("stdin is a terminal, not an archive", hint=hint))
    directory = open_home(settings).images
    os.makedirs(directory, 0o700, exist_ok=True)
    with tempfile.TemporaryFile(dir=directory) as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy, _COPY_BYTES)
        copy.flush()
        if not copy.tell():
            raise CliError(Diagnostic("stdin is empty: there is no archive in it"))
        yield Path(f"/proc/self/fd/{copy.fileno()}")


def refuse_existing(store: ImageStore, name: str, replace: bool) -> None:
    """Keeps a name from being moved silently. Raises CliError, BadReference."""
    from kubelite.node.image.errors import ImageNotFound

    if replace:
        return
    try:
        image = store.get(name)
    except ImageNotFound:
        return
    raise CliError(
        Diagnostic(
            f'the name "{name}" exists: it is image {short_id(image.id)}',
            hint="choose another name, or move this one with --replace",
        )
    )


def show_loaded(screen: Screen, loaded: Sequence[LoadedImage], verb: str, start: float) -> None:
    """Prints what has come into the store; ``start`` is of the monotonic clock."""
    for image, replaced in loaded:
        names = ", ".join(image.names) or short_id(image.id)
        screen.data(f"{verb} {names}  {short_id(image.id)}  {sizes.shown(image.size)}\n")
        for name, old in replaced.items():
            screen.note(f"{name} was {short_id(old)} before")
    screen.note(f"done in {time.monotonic() - start:.2f} s")


def transfer_progress(screen: Screen, action: str) -> Callable[[str, int, int], None]:
    """Shows beside ``action`` what the layers report: bytes done and in all, and the rate."""
    from kubelite.node.image.registry.transfer import Transfer

    transfer = Transfer()

    def report(digest: str, done: int, total: int) -> None:
        now = time.monotonic()
        transfer.report(digest, done, total, now)
        screen.say_waiting(f"{action}: {transfer.shown(now)}")

    return report


def image_document(image: Image) -> dict[str, Any]:
    """An image as JSON shows it."""
    import msgspec

    return {
        "id": image.id,
        "names": list(image.names),
        "size": image.size,
        "created": image.created,
        "layers": list(image.layer_ids),
        "config": msgspec.to_builtins(image.config),
    }


def names_of(store: ImageStore, image: Image) -> Sequence[str]:
    """All names of an image, however it was named."""
    return next((listed.names for listed in store.list() if listed.id == image.id), ())


def short_id(image_id: str) -> str:
    """The first digits of an id."""
    return image_id.removeprefix("sha256:")[:_ID_DIGITS]


def ids_in_use(settings: Settings, screen: Screen, store: ImageStore) -> set[str]:
    """The ids of the images that pods use, by their status and by their specification, and of those
    that are mounted.
    """
    return open_pods(settings, screen).queries.images_in_use(store)
