"""Resolves the images of a pod's containers, before anything of the pod is created."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from kubelite.node.image.errors import PullError
from kubelite.node.image.lookup import read_etc
from kubelite.node.image.model import Image
from kubelite.node.image.source import ImageSource
from kubelite.node.image.store import ImageStore
from kubelite.node.kubelet.decide.container_config import ImageFacts
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


class ResolvedImage(NamedTuple):
    """An image, the facts that a start needs of it, and how many milliseconds its lookup took."""

    image: Image
    facts: ImageFacts
    milliseconds: float


def resolve(
    home: Home,
    pod: Pod,
    secrets: Sequence[Mapping[str, Any]] = (),
    *,
    host_allowed: bool = True,
) -> dict[str, ResolvedImage]:
    """The image of each name in the pod, those of volumes too, pulled where its policy says so;
    ``secrets`` are the pod's image pull Secrets. Raises ImageError, RuntimeFailure.
    """
    source = ImageSource(ImageStore(Path(home.images)), secrets)
    resolved: dict[str, ResolvedImage] = {}
    for name, policy in named(pod):
        if name in resolved:
            continue
        began = time.perf_counter()
        image = source.resolve(name, policy)  # type: ignore[arg-type]
        if image.is_on_host and not host_allowed:
            raise PullError("ErrImagePull", _HOST_REFUSED)
        if image.is_on_host:
            _check_host_image(home)
        facts = ImageFacts(
            image.id,
            image.config,
            read_etc(image.layers, "passwd"),
            read_etc(image.layers, "group"),
        )
        resolved[name] = ResolvedImage(image, facts, (time.perf_counter() - began) * 1000)
    return resolved


def _check_host_image(home: Home) -> None:
    """Raises RuntimeFailure."""
    from kubelite.node.image.host import host_image_problem  # few pods run on the host's files

    if problem := host_image_problem(Path(home.root)):
        raise RuntimeFailure(problem)


def named(pod: Pod) -> Iterator[tuple[str, str]]:
    """The images that a pod names, and when each is pulled."""
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        yield container.image or "", container.image_pull_policy or "IfNotPresent"
    for volume in pod.spec.volumes:
        if volume.image is not None and volume.image.reference:
            yield volume.image.reference, volume.image.pull_policy or "IfNotPresent"


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
