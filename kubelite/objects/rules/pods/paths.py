"""Rules about paths and file modes in the volumes of a pod. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.lib.json import Object
from kubelite.objects.rules.cause import Cause, Path, invalid, required_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_MODE = 0o777


def no_backsteps(text: str, path: Path) -> Iterator[Cause]:
    """A path that must not lead upwards."""
    if ".." in text.split("/"):
        yield invalid(path, text, "must not contain '..'")


def relative(text: str, path: Path) -> Iterator[Cause]:
    """A path that must stay below the one it is put on."""
    if text.startswith("/"):
        yield invalid(path, text, "must be a relative path")
    yield from no_backsteps(text, path)


def inside_volume(text: str, path: Path) -> Iterator[Cause]:
    """A file in a volume that the kubelet writes, which keeps names with two dots for itself."""
    yield from relative(text, path)
    if text.startswith("..") and not text.startswith("../"):
        yield invalid(path, text, "must not start with '..'")


def file_mode(mode: int | None, path: Path) -> Iterator[Cause]:
    """Permissions of a file."""
    if mode is not None and not 0 <= mode <= MAX_MODE:
        yield invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive")


def key_to_path(item: Object, path: Path) -> Iterator[Cause]:
    """A key of a ConfigMap or Secret and the file it becomes."""
    yield from required_fields(item, path, "key", "path")
    yield from inside_volume(item.get("path", ""), (*path, "path"))
    yield from file_mode(item.get("mode"), (*path, "mode"))
