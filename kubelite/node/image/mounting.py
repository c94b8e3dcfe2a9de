"""Images mounted read-only on this machine, for whoever wants to look into one.

The mounts belong to the caller and outlive the command: what keeps their layers from being removed
is that the machine's mount table names them.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from kubelite.node.image.errors import ImageError, quoted
from kubelite.node.image.hidden_paths import unescaped
from kubelite.node.image.model import LAYER_ID_DIGITS, Image

_LAYER_ID = re.compile(rf"(?<![0-9a-f])[0-9a-f]{{{LAYER_ID_DIGITS}}}(?![0-9a-f])")


def mount(image: Image, directory: Path) -> None:
    """Mount the files of an image on a directory. Raises ImageError."""
    if not image.layers:
        raise ImageError("the image has no files")
    if not directory.is_dir():
        raise ImageError(f"{directory} is not a directory")
    if len(image.layers) == 1:
        # An overlay without a writable layer needs two others.
        _run(["mount", "--bind", "-o", "ro", str(image.layers[0]), str(directory.resolve())])
        return
    # Relative names, so that many layers fit into the kernel's page of options.
    lower = ":".join(layer.name for layer in reversed(image.layers))
    options = f"ro,lowerdir={lower},index=off,metacopy=off,redirect_dir=off"
    command = ["mount", "-t", "overlay", "-o", options, "kubelite-image", str(directory.resolve())]
    _run(command, cwd=image.layers[0].parent)


def unmount(directory: Path, images: Iterable[Image]) -> None:
    """Unmount what `mount` has mounted. Raises ImageError, also for a mount of something else."""
    ids = {identity for image in images for identity in image.layer_ids}
    path = os.path.realpath(directory)
    named = [layers for point, layers in _mounts() if point == path]
    if not named or not named[-1] & ids:
        raise ImageError(f"no image of the store is mounted on {quoted(str(directory))}")
    _run(["umount", path])


def mounted(images: Iterable[Image]) -> list[Image]:
    """The images whose files are mounted somewhere on this machine."""
    mounts = [layers for _, layers in _mounts()]
    return [i for i in images if i.layers and any(layers >= set(i.layer_ids) for layers in mounts)]


def _mounts() -> list[tuple[str, set[str]]]:
    """Mount points, and the layer ids that their root or their options name (proc(5))."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        lines = file.read().splitlines()
    return [
        (unescaped(fields[4]), set(_LAYER_ID.findall(f"{fields[3]} {fields[-1]}")))
        for fields in (line.split(" ") for line in lines)
    ]


def _run(command: list[str], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise ImageError(done.stderr.strip().removeprefix(f"{command[0]}: "))
