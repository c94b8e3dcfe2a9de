"""Finds files and directories of an image as a container on it would see them: the topmost layer
that has the path decides.

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


def directory_layers(base: str, layers: Sequence[str], path: str) -> tuple[str, ...]:
    """Which directories together are the directory ``path`` of an image, lowest first, as paths
    below ``base`` like ``layers`` themselves; none where the image has no such directory. A path
    that leads through a link is none.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    directories: list[str] = []
    for layer in reversed(layers):
        is_there, is_last = _find_directory(f"{base}/{layer}", parts)
        if is_there:
            directories.insert(0, "/".join([layer, *parts]))
        if is_last:
            break
    return tuple(directories)


def _find_directory(layer: str, parts: Sequence[str]) -> tuple[bool, bool]:
    """Whether a layer has the directory, and whether it hides that of the layers below."""
    is_last = False
    directory = os.open(layer, _DIRECTORY)
    try:
        for part in parts:
            try:
                below = os.open(part, _DIRECTORY, dir_fd=directory)
            except FileNotFoundError:
                return False, is_last
            except OSError:  # a file, a link, or the mark of a deleted name
                return False, True
            os.close(directory)
            directory = below
            is_last = is_last or is_opaque(directory)
        return True, is_last
    finally:
        os.close(directory)


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
