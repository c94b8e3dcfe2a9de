"""What can be wrong with a build.  Pure."""

from __future__ import annotations

from kubelite.node.image.errors import ImageError


class BuildError(ImageError):
    """A Containerfile that cannot be read, or a step of it that failed."""


def at(line: int, message: str, *, hint: str = "") -> BuildError:
    """An error with its place in the Containerfile."""
    return BuildError(f"line {line}: {message}", hint=hint)
