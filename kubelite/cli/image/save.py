"""``image save``: writes images to an archive."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import IO, TYPE_CHECKING, Annotated

from kubelite.cli.common import durations
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.screen import OutputClosed, Screen
from kubelite.cli.image.store import IMAGE, names_of, open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubelite.node.image.content.package import Package

_IMAGES = IMAGE._replace(metavar="IMAGE...", help="Names or ids of images.")


@usage("kubelite image save web:1 -o web.tar", "kubelite image save web:1 | ssh host docker load")
def save(
    settings: Settings,
    names: Annotated[list[str], _IMAGES],
    *,
    target: Annotated[
        str, Option("--output -o", "File to write; - for stdout.", "FILE", completes="file")
    ] = "-",
) -> int:
    """Writes an OCI archive that is a docker archive as well. Raises ImageNotFound, CliError for a
    file that exists.
    """
    screen = Screen(settings)
    store = open_store(settings)
    images = [
        (store.package(image), image.names or names_of(store, image))
        for image in map(store.get, names)
    ]
    if target == "-":
        if screen.is_terminal:
            hint = "use -o FILE, or pipe it into another program"
            raise CliError(Diagnostic("an archive is not for a terminal", hint=hint, exit_code=2))
        try:
            _write(images, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            raise OutputClosed from error
        return 0
    if os.path.lexists(target):
        raise CliError(Diagnostic(f"{target} exists", hint="choose another file"))
    partial = f"{target}.partial"
    try:
        with screen.waiting(f"writing {target}"), open(partial, "wb") as file:
            _write(images, file)
        os.rename(partial, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        raise
    screen.data(f"saved {', '.join(names)}  {durations.size(os.stat(target).st_size)}\n")
    return 0


def _write(images: Sequence[tuple[Package, Sequence[str]]], file: IO[bytes]) -> None:
    from kubelite.node.image.save import save as write

    write(images, file)
