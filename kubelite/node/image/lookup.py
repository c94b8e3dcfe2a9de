"""Reads small files of an image as a container on it would see them: the topmost layer that has the
path decides.

What an image holds is not trusted: no link is followed, only regular files are read, and only up to
a limit.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LIMIT = 1 << 20
_OPAQUE = "trusted.overlay.opaque"


def read_etc(layers: Sequence[str | os.PathLike[str]], name: str) -> str:
    """The text of ``/etc/<name>``; "" where there is none, or something that is no regular file.
    ``layers`` lowest first.
    """
    for layer in reversed(layers):
        try:
            directory = os.open(os.path.join(layer, "etc"), _DIRECTORY)
        except OSError:
            continue
        try:
            text = _read(directory, name)
            if text is not None:
                return text
            if is_opaque(directory):
                return ""
        finally:
            os.close(directory)
    return ""


def _read(directory: int, name: str) -> str | None:
    """The text; "" for what hides a file below, None where the layer does not have the name."""
    try:
        file = os.open(name, _FILE, dir_fd=directory)
    except FileNotFoundError:
        return None
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return ""
        return os.read(file, _LIMIT).decode("utf-8", "surrogateescape")
    finally:
        os.close(file)


def is_opaque(directory: int) -> bool:
    """Whether a directory of a layer hides that of the layers below (overlayfs)."""
    try:
        return os.getxattr(directory, _OPAQUE) == b"y"
    except OSError:
        return False
