"""What can go wrong with images.  Pure.

    ImageError
      BadReference     the name of an image breaks the grammar, or is reserved
      ImageNotFound    the store holds no image of that name
      ImageInUse       a container still runs from the image
      BadArchive       the file is no image, is damaged, or fails a digest
      UnpackRefused    an entry of a layer would break a rule of unpacking
      PullError        an image source cannot answer; carries the reason word of Kubernetes

Each message is one sentence that says what, where and why.  `hint` says what to try, or is empty.
"""

from __future__ import annotations

SHOWN = 200


class ImageError(Exception):
    """Base of every error of this package; raised itself for failures of the system."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BadReference(ImageError):
    """An image name that is not a valid reference."""


class ImageNotFound(ImageError):
    """No image of that name is in the store."""


class ImageInUse(ImageError):
    """The image cannot be removed while containers run from it."""


class BadArchive(ImageError):
    """An archive or layout that is not an image, or that does not match its digests."""


class UnpackRefused(ImageError):
    """A layer holds something that must not be unpacked."""


class PullError(ImageError):
    """An image source has no image to give.

    `reason` is the word that Kubernetes puts into `state.waiting.reason`: `ErrImagePull`,
    `ErrImageNeverPull`, `InvalidImageName` or `ImagePullBackOff`. `image` is the name as it was
    asked for, "" where it does not matter.
    """

    def __init__(self, reason: str, message: str, *, hint: str = "", image: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.image = image


def quoted(text: str) -> str:
    """Text from an archive in quotes, safe to print: control codes escaped, length bounded."""
    shown = text if len(text) <= SHOWN else text[:SHOWN] + "…"
    return '"' + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown) + '"'
