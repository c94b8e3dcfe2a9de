"""Where containers get their images from.

One interface, so that whoever starts containers need not know whether an image was local or came
from a registry.  Today's only source answers from the store and pulls nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from kubelite.node.image.errors import BadReference, ImageNotFound, PullError, quoted
from kubelite.node.image.host import host_image
from kubelite.node.image.reference import is_host

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubelite.node.image.model import Image
    from kubelite.node.image.store import ImageStore

    Progress = Callable[[str, int, int], None]

PullPolicy = Literal["Always", "IfNotPresent", "Never"]


class ImageSource(Protocol):
    """Gives the image of a name, bringing it in first where the policy says so."""

    def resolve(self, name: str, policy: PullPolicy, progress: Progress | None = None) -> Image:
        """The image, ready to run.

        `policy` is the container's imagePullPolicy.  `progress` is told, for each layer, its
        digest, the bytes done and the bytes in all.  Raises PullError with the reason word that
        Kubernetes gives the waiting container.
        """


class StoreSource:
    """Answers from the store alone.

    `Always` takes what is there: without a registry to ask, the local image is the newest known.
    `host` is the machine's own root file system and never pulled.
    """

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    def resolve(self, name: str, policy: PullPolicy, progress: Progress | None = None) -> Image:
        """See ImageSource; nothing is transferred, so `progress` is never told anything."""
        if is_host(name):
            return host_image()
        try:
            return self._store.get(name)
        except BadReference as error:
            raise PullError("InvalidImageName", error.message, hint=error.hint) from error
        except ImageNotFound as error:
            raise _absent(name, policy, error.hint) from error


def _absent(name: str, policy: PullPolicy, hint: str) -> PullError:
    if policy == "Never":
        return PullError(
            "ErrImageNeverPull",
            f"container image {quoted(name)} is not present with pull policy of Never",
            hint=hint,
        )
    return PullError(
        "ErrImagePull",
        f"image {quoted(name)} is not in the store and registry pull is not built yet",
        hint=hint or "use kubelite image load",
    )
