"""Resolves the images of a pod's containers, before anything of the pod is created."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kubelite.node.image.errors import PullError
from kubelite.node.image.lookup import read_etc
from kubelite.node.image.model import Image
from kubelite.node.image.source import ImageSource, PullPolicy
from kubelite.node.image.store import ImageStore
from kubelite.node.kubelet.act import config_file
from kubelite.node.kubelet.decide.container_config import ImageFacts
from kubelite.node.kubelet.decide.restart_policy import RETRY
from kubelite.node.runtime.clock import boottime
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.home import Home
from kubelite.node.volume.errors import VolumeError
from kubelite.node.volume.mounts import Place
from kubelite.objects.pod.container import Container
from kubelite.objects.pod.pod import Pod

_HOST_REFUSED = (
    'image "host" is the root file system of the node: pods of the cluster may use it only where '
    "the node runs with --allow-host-image"
)


if TYPE_CHECKING:
    from kubelite.node.kubelet.decide.image_pulls import FailedPull

Announce = Callable[[str, str, str, bool], None]
"""Adds an event: reason, message, container ("" for a volume), whether it is a warning."""


Show = Callable[[str, str], None]
"""Shows of an image that is being pulled how far it is; "" when the pull begins."""


def _ignore(*_: object) -> None:
    return


class ResolvedImage(NamedTuple):
    """An image, the facts that a start needs of it, and how many milliseconds its lookup took.
    ``pulled`` is the message of its Pulled event where it was pulled just now.
    """

    image: Image
    facts: ImageFacts
    milliseconds: float
    pulled: str = ""


class NamedImage(NamedTuple):
    """An image that a pod names. ``container`` is the one that names it first, "" for a volume."""

    name: str
    policy: PullPolicy
    container: str


class ImagePulls:
    """The pulls of one pod, with their back-off and their events. What has failed is remembered in
    memory only, as by the kubelet. A pull ends when ``is_wanted`` says no.
    """

    def __init__(
        self,
        announce: Announce = _ignore,
        show: Show = _ignore,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._announce = announce
        self._show = show
        self._is_wanted = is_wanted
        self._failed: dict[str, FailedPull] = {}
        self.next_look = 0
        """When the pod is to be looked at again (CLOCK_BOOTTIME), 0 if nothing has failed here."""

    def get(self, home: Home, source: ImageSource, image: NamedImage) -> tuple[Image, str]:
        """The image, and the message of its Pulled event if it was pulled. Raises PullError,
        OSError.
        """
        self.next_look = 0
        try:
            there = source.find(image.name, image.policy)
            return (there, "") if there is not None else self._pull(home, source, image)
        except PullError as error:
            from kubelite.node.kubelet.decide import image_pulls

            if reason := image_pulls.HOPELESS.get(error.reason):
                self._announce(reason, error.message, image.container, True)
                self.next_look = boottime() + RETRY
            self._announce("Failed", f"Error: {error.reason}", image.container, True)
            raise

    def _pull(self, home: Home, source: ImageSource, image: NamedImage) -> tuple[Image, str]:
        from kubelite.node.kubelet.decide import image_pulls  # most pods find their images

        name, failed, now = image.name, self._failed.get(image.name), boottime()
        if failed is not None and image_pulls.backs_off(failed, now):
            self.next_look = failed.at + failed.backoff
            message = image_pulls.backing_off(name)
            self._announce("BackOff", message, image.container, False)
            raise PullError("ImagePullBackOff", f"{message}: {failed.message}", image=name)
        self._announce("Pulling", image_pulls.pulling(name), image.container, False)
        self._show(name, "")
        try:
            pulled, seconds, waited = self._pull_in_turn(home, source, image)
        except PullError as error:
            self._announce("Failed", _sentence(error.message), image.container, True)
            now, message = boottime(), f"{error.reason}: {error.message}"
            self._failed[name] = image_pulls.after_failure(failed, now, message)
            self.next_look = now + image_pulls.LOOK_AGAIN
            raise
        message = image_pulls.pulled(name, seconds, waited, pulled.size)
        self._announce("Pulled", message, image.container, False)
        return pulled, message

    def _pull_in_turn(
        self, home: Home, source: ImageSource, image: NamedImage
    ) -> tuple[Image, float, float]:
        """The image, the seconds of its pull, and those that it waited for other pulls before."""
        from kubelite.node.image.registry.slots import pull_slot

        at_once = config_file.read(home).pulls_at_once
        with pull_slot(Path(home.images) / "pulls", at_once, self._is_wanted) as waited:
            began = time.perf_counter()
            pulled = source.pull(image.name, self._progress(image), self._is_wanted)
        return pulled, time.perf_counter() - began, waited

    def _progress(self, image: NamedImage) -> Callable[[str, int, int], None]:
        """Shows and announces what the layers of an image report, now and then."""
        from kubelite.node.image.registry.transfer import Transfer
        from kubelite.node.kubelet.decide.image_pulls import PullReports
        from kubelite.objects.rules import pull_progress

        transfer, reports = Transfer(), PullReports(time.monotonic())

        def progress(digest: str, done: int, total: int) -> None:
            now = time.monotonic()
            transfer.report(digest, done, total, now)
            is_shown, is_announced = reports.shows(now), reports.announces(now)
            if not is_shown and not is_announced:
                return
            message = pull_progress.message(image.name, transfer.percent, transfer.shown(now))
            if is_shown:
                self._show(image.name, message)
            if is_announced:
                self._announce("Pulling", message, image.container, False)

        return progress


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:]


def resolve(
    home: Home,
    pod: Pod,
    secrets: Sequence[Mapping[str, Any]] | None = None,
    *,
    host_allowed: bool = True,
    pulls: ImagePulls | None = None,
    is_up: bool = False,
) -> dict[str, ResolvedImage]:
    """The image of each name in the pod, those of volumes too, pulled where its policy says so;
    ``secrets`` are the image pull Secrets of a cluster's pod, which has to have some that fit also
    for images that are there; ``pulls`` is what is known of earlier pulls. With ``is_up``
    the pod's sandbox was made with these images: those that are there will do. Raises ImageError,
    RuntimeFailure.
    """
    source = _source(home, None if is_up else secrets)
    pulls = pulls or ImagePulls()
    resolved: dict[str, ResolvedImage] = {}
    for wanted in named(pod):
        name = wanted.name
        if name in resolved:
            continue
        began = time.perf_counter()
        if is_up:
            wanted = wanted._replace(policy="IfNotPresent")
        image, pulled = pulls.get(home, source, wanted)
        if image.is_on_host and not host_allowed:
            raise PullError("ErrImagePull", _HOST_REFUSED, image=name)
        if image.is_on_host:
            _check_host_image(home)
        facts = ImageFacts(
            image.id,
            image.config,
            read_etc(image.layers, "passwd"),
            read_etc(image.layers, "group"),
        )
        milliseconds = (time.perf_counter() - began) * 1000
        resolved[name] = ResolvedImage(image, facts, milliseconds, pulled)
    return resolved


def _check_host_image(home: Home) -> None:
    """Raises RuntimeFailure."""
    from kubelite.node.image.host import host_image_problem  # few pods run on the host's files

    if problem := host_image_problem(Path(home.root)):
        raise RuntimeFailure(problem)


def _source(home: Home, secrets: Sequence[Mapping[str, Any]] | None) -> ImageSource:
    """Where a pod gets its images from; only those of a cluster have ``secrets``, perhaps none."""
    store = ImageStore(Path(home.images))
    if secrets is None:
        return ImageSource(store)
    from kubelite.node.kubelet.decide import image_pulls

    config = config_file.read(home)

    def must_verify(repository: str, is_pulled: bool) -> bool:
        return image_pulls.must_verify(
            config.image_pull_credentials_verification_policy,
            config.preloaded_images_verification_allowlist,
            repository,
            is_pulled=is_pulled,
        )

    return ImageSource(store, secrets, must_verify)


def announce_pulls(pod: Pod, resolved: dict[str, ResolvedImage], announce: Announce) -> None:
    """The events of the images that were pulled before the pod was there, once."""
    for name, _, container in named(pod):
        image = resolved.get(name)
        if image is not None and image.pulled:
            from kubelite.node.kubelet.decide import image_pulls

            announce("Pulling", image_pulls.pulling(name), container, False)
            announce("Pulled", image.pulled, container, False)
            resolved[name] = image._replace(pulled="")


def named(pod: Pod) -> Iterator[NamedImage]:
    """The images that a pod names, and when each is pulled."""
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        policy: Any = container.image_pull_policy or "IfNotPresent"
        yield NamedImage(container.image or "", policy, container.name)
    for volume in pod.spec.volumes:
        if volume.image is not None and volume.image.reference:
            policy = volume.image.pull_policy or "IfNotPresent"
            yield NamedImage(volume.image.reference, policy, "")


def only(pod: Pod, container: Container) -> Pod:
    """The pod with one container instead of its own."""
    spec = msgspec.structs.replace(pod.spec, containers=(container,), init_containers=())
    return msgspec.structs.replace(pod, spec=spec)


def volume_places(pod: Pod, resolved: Mapping[str, ResolvedImage]) -> dict[str, Place]:
    """The volumes that are images. Raises VolumeError for one that cannot be a volume."""
    places = {}
    for volume in pod.spec.volumes:
        if volume.image is None:
            continue
        image = resolved[volume.image.reference or ""].image
        if image.is_on_host or not image.layers:
            why = "is the machine itself" if image.is_on_host else "has no files"
            raise VolumeError(f'volume "{volume.name}": image "{volume.image.reference}" {why}')
        if pod.spec.host_users is False:
            raise VolumeError(
                f'volume "{volume.name}": a pod with a user namespace cannot have images as volumes'
            )
        layers = tuple(layer.name for layer in image.layers)
        directory = str(image.layers[0].parent)
        places[volume.name] = Place(volume.name, "image", directory, layers=layers)
    return places
