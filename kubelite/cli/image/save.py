"""``image save``: writes images to an archive."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.screen import OutputClosed, Screen
from kubelite.cli.image.store import IMAGE, names_of, open_store
from kubelite.lib import sizes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubelite.node.image.model import Image
    from kubelite.node.image.store import ImageStore

TARGET = Option("--output -o", "File to write; - for stdout.", "FILE", completes="file")
_IMAGES = IMAGE._replace(metavar="IMAGE...", help="Names or ids of images.")


@usage("kubelite image save web:1 -o web.tar", "kubelite image save web:1 | ssh host docker load")
def save(
    settings: Settings,
    names: Annotated[list[str], _IMAGES],
    *,
    target: Annotated[str, TARGET] = "-",
) -> int:
    """Writes an OCI archive that is a docker archive as well. Raises ImageNotFound, CliError for a
    file that exists.
    """
    screen, store = Screen(settings), open_store(settings)
    write_archive(screen, store, map(store.get, names), target)
    return 0


def write_archive(screen: Screen, store: ImageStore, images: Iterable[Image], target: str) -> None:
    """Writes images with all their names to a file, ``-`` for stdout. Raises CliError for a file
    that exists and for a terminal.
    """
    from kubelite.node.image.reference import familiar, parse
    from kubelite.node.image.save import save as write

    packages = [(store.package(image), image.names or names_of(store, image)) for image in images]
    if target == "-":
        if screen.is_terminal:
            hint = "use -o FILE, or pipe it into another program"
            raise CliError(Diagnostic("an archive is not for a terminal", hint=hint, exit_code=2))
        try:
            write(packages, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            raise OutputClosed from error
        return
    if os.path.lexists(target):
        raise CliError(Diagnostic(f"{target} exists", hint="choose another file"))
    partial = f"{target}.partial"
    try:
        with screen.waiting(f"writing {target}"), open(partial, "wb") as file:
            write(packages, file)
        os.rename(partial, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        raise
    saved = ", ".join(familiar(parse(name)) for _, names in packages for name in names)
    screen.data(f"saved {saved}  {sizes.shown(os.stat(target).st_size)}\n")
