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
from kubelite.node.image.model import EVERYBODY
from kubelite.node.image.reference import is_host, parse

if TYPE_CHECKING:
    from kubelite.node.image.model import Image
    from kubelite.node.image.store import ImageStore

    Progress = Callable[[str, int, int], None]

PullPolicy = Literal["Always", "IfNotPresent", "Never"]


class ImageSource:
    """Gives the image of a name, pulled first where the policy says so.

    ``host`` is the machine's own root file system and never pulled. ``secrets`` are the pod's image
    pull Secrets as plain documents. ``must_verify`` says of a repository, and whether the image was
    pulled, that the pod needs credentials for an image that is there.
    """

    def __init__(
        self,
        store: ImageStore,
        secrets: Sequence[Mapping[str, Any]] = (),
        must_verify: Callable[[str, bool], bool] = lambda repository, is_pulled: False,
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._must_verify = must_verify

    def resolve(self, name: str, policy: PullPolicy, progress: Progress | None = None) -> Image:
        """The image, ready to run.

        ``policy`` is the container's imagePullPolicy. ``progress`` is told, for each layer that is
        fetched, its digest, the bytes done and the bytes in all. Raises PullError with the reason
        that Kubernetes gives the waiting container.
        """
        return self.find(name, policy) or self.pull(name, progress)

    def find(self, name: str, policy: PullPolicy) -> Image | None:
        """The image where the store's is good enough for the policy, None where it has to be
        pulled. Raises PullError for an invalid name, and for one that must not be pulled.
        """
        if is_host(name):
            from kubelite.node.image.host import host_image

            return host_image()
        try:
            image = self._store.get(name)
        except BadReference as error:
            raise PullError(
                "InvalidImageName", error.message, hint=error.hint, image=name
            ) from error
        except ImageNotFound as error:
            if policy == "Never":
                raise _never_pulled(name, error.hint) from error
            return None
        if policy != "Always" and not self._may_use(name):
            if policy == "Never":
                raise _never_pulled(name)  # nobody is told that it is there
            return None
        if policy == "Always" and self._store.is_pulled(name):
            return None
        return image

    def pull(
        self,
        name: str,
        progress: Progress | None = None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Image:
        """The image as its registry has it now. ``is_wanted`` is asked now and then, and ends the
        pull. Raises PullError.
        """
        from kubelite.node.image.registry.pull import pull
        from kubelite.node.image.registry.settings import read_settings

        try:
            settings = read_settings(os.environ)
            return pull(
                self._store,
                parse(name),
                settings,
                secrets=self._secrets,
                progress=progress,
                is_wanted=is_wanted,
            ).image
        except ImageError as error:
            message = f"failed to pull image {quoted(name)}: {error.message}"
            raise PullError(
                "ErrImagePull", message, hint=error.hint or self._hint(name), image=name
            ) from error

    def _may_use(self, name: str) -> bool:
        """Whether the pod may use an image that is there."""
        reference = parse(name)
        access = self._store.access(name)
        if not self._must_verify(reference.repository, bool(access)) or EVERYBODY in access:
            return True
        from kubelite.node.image.registry.auth import keys_of_secrets

        return not keys_of_secrets(self._secrets, reference).isdisjoint(access)

    def _hint(self, name: str) -> str:
        """What to try for an image that the store does not have either."""
        try:
            self._store.get(name)
        except ImageNotFound as error:
            return error.hint
        return ""


def _never_pulled(name: str, hint: str = "") -> PullError:
    message = f"Container image {quoted(name)} is not present with pull policy of Never"
    return PullError("ErrImageNeverPull", message, hint=hint, image=name)
