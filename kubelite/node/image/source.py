"""Where containers get their images from: the store, and registries for what it does not have.

Pull policies are Kubernetes': ``Always`` asks the registry each time, ``IfNotPresent`` only for
what is not there, ``Never`` not at all. An image that was loaded, imported or built here has no
registry to ask: ``Always`` then takes what is there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from kubelite.node.image.errors import (
    BadReference,
    ImageError,
    ImageNotFound,
    PullError,
    quoted,
)
from kubelite.node.image.reference import is_host, parse

if TYPE_CHECKING:
    from kubelite.node.image.model import Image
    from kubelite.node.image.store import ImageStore

    Progress = Callable[[str, int, int], None]

PullPolicy = Literal["Always", "IfNotPresent", "Never"]


class ImageSource:
    """Gives the image of a name, pulled first where the policy says so.

    ``host`` is the machine's own root file system and never pulled. ``secrets`` are the pod's image
    pull Secrets as plain documents.
    """

    def __init__(self, store: ImageStore, secrets: Sequence[Mapping[str, Any]] = ()) -> None:
        self._store = store
        self._secrets = secrets

    def resolve(self, name: str, policy: PullPolicy, progress: Progress | None = None) -> Image:
        """The image, ready to run.

        ``policy`` is the container's imagePullPolicy. ``progress`` is told, for each layer that is
        fetched, its digest, the bytes done and the bytes in all. Raises PullError with the reason
        that Kubernetes gives the waiting container.
        """
        if is_host(name):
            from kubelite.node.image.host import host_image

            return host_image()
        try:
            image = self._store.get(name)
        except BadReference as error:
            raise PullError("InvalidImageName", error.message, hint=error.hint) from error
        except ImageNotFound as error:
            if policy == "Never":
                raise PullError(
                    "ErrImageNeverPull",
                    f"container image {quoted(name)} is not present with pull policy of Never",
                    hint=error.hint,
                ) from error
            return self._pull(name, progress, hint=error.hint)
        if policy == "Always" and self._store.is_pulled(name):
            return self._pull(name, progress)
        return image

    def _pull(self, name: str, progress: Progress | None, hint: str = "") -> Image:
        from kubelite.node.image.registry.pull import pull
        from kubelite.node.image.registry.settings import read_settings

        try:
            settings = read_settings(os.environ)
            return pull(
                self._store, parse(name), settings, secrets=self._secrets, progress=progress
            ).image
        except ImageError as error:
            message = f"failed to pull image {quoted(name)}: {error.message}"
            raise PullError("ErrImagePull", message, hint=error.hint or hint) from error
