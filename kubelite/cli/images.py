"""The ``image`` commands: what is in the store, what comes in and what goes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubelite.cli import durations, output
from kubelite.cli.engine import home, pods
from kubelite.cli.output import Output
from kubelite.cli.screen import Screen
from kubelite.cli.text import CliError, Trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubelite.cli.settings import Settings
    from kubelite.node.image.model import Image, LoadedImage
    from kubelite.node.image.store import ImageStore

_ID_DIGITS = 12


def _store(settings: Settings) -> ImageStore:
    place = home(settings)
    from kubelite.node.image.store import ImageStore

    return ImageStore(Path(place.images))


def import_(settings: Settings, name: str, source: str) -> int:
    """Makes an image of a root file system: a directory or a tar archive."""
    screen, start = Screen(settings), time.monotonic()
    _tell(screen, [_store(settings).import_rootfs(name, _present(source))], "imported", start)
    return 0


def load(settings: Settings, source: str, name: str | None = None, *, replace: bool = False) -> int:
    """Takes over the images of an OCI layout or a docker archive."""
    screen, start = Screen(settings), time.monotonic()
    _tell(screen, _store(settings).load(_present(source), name, replace=replace), "loaded", start)
    return 0


def _present(source: str) -> Path:
    """The path as the store wants it. Raises CliError for one that is not there."""
    path = Path(source)
    if not path.exists():
        raise CliError(
            Trouble(f"{source} does not exist", hint="give a directory or a tar archive")
        )
    return path


def _tell(screen: Screen, loaded: Sequence[LoadedImage], verb: str, start: float) -> None:
    for image, replaced in loaded:
        names = ", ".join(image.names) or _short(image.id)
        screen.data(f"{verb} {names}  {_short(image.id)}  {durations.size(image.size)}\n")
        for name, old in replaced.items():
            screen.note(f"{name} was {_short(old)} before")
    screen.note(f"done in {time.monotonic() - start:.2f} s")


def ls(settings: Settings, *, format: Output = Output.table) -> int:
    """Lists the images of the store."""
    screen = Screen(settings)
    images = _store(settings).list()
    if format is Output.json or format is Output.yaml:
        screen.data(output.document([_doc(image) for image in images], format))
    elif format is Output.name:
        screen.data("".join(f"{name}\n" for image in images for name in image.names or (image.id,)))
    elif not images:
        screen.note(
            "No images found. `kubelite image import` and `kubelite image load` bring one in."
        )
    else:
        screen.data(_table(images, format is Output.wide))
    return 0


def _table(images: Sequence[Image], wide: bool) -> str:
    from kubelite.cli.listing import age

    now = time.time()
    heads = ["NAME", "IMAGE ID", "AGE", "SIZE", *(["LAYERS", "COMMAND"] if wide else [])]
    rows = []
    for image in images:
        for name in image.names or ("<none>",):
            cells = [
                name,
                image.id if wide else _short(image.id),
                age(image.created, now),
                durations.size(image.size),
            ]
            words = " ".join((*image.config.entrypoint, *image.config.cmd))
            rows.append([*cells, *([str(len(image.layers)), words or "<none>"] if wide else [])])
    return output.table(heads, rows)


def _doc(image: Image) -> dict[str, Any]:
    import msgspec

    return {
        "id": image.id,
        "names": list(image.names),
        "size": image.size,
        "created": image.created,
        "layers": list(image.layer_ids),
        "config": msgspec.to_builtins(image.config),
    }


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:_ID_DIGITS]


def rm(settings: Settings, names: Sequence[str]) -> int:
    """Removes names, and the images that no name is left for. Raises ImageInUse while a pod has
    one.
    """
    screen = Screen(settings)
    store = _store(settings)
    used = _in_use(settings, screen, store)
    for name in names:
        gone = store.remove(name, used)
        freed = (
            f"  {_short(gone.image_id)}  {durations.size(gone.freed)} freed"
            if gone.image_id
            else ""
        )
        screen.data(f"removed {', '.join(gone.names) or name}{freed}\n")
    return 0


def _in_use(settings: Settings, screen: Screen, store: ImageStore) -> set[str]:
    """The ids of the images that pods of this home run from: as their status tells, and as their
    specification names them.
    """
    from kubelite.cli.engine import doc
    from kubelite.node.image.errors import ImageError

    used: set[str] = set()
    for pod in map(doc, pods(settings, screen).list(None)):
        for key in ("initContainerStatuses", "containerStatuses"):
            used.update(each.get("imageID", "") for each in pod.get("status", {}).get(key) or [])
        for key in ("initContainers", "containers"):
            for each in pod["spec"].get(key) or []:
                try:
                    used.add(store.get(each.get("image", "")).id)
                except ImageError:
                    continue
    return used
