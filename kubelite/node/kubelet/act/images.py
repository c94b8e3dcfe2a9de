"""Resolves the images of a pod's containers, before anything of the pod is created."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kubelite.node.image.errors import PullError
from kubelite.node.image.host import host_image_problem
from kubelite.node.image.lookup import read_etc
from kubelite.node.image.model import Image
from kubelite.node.image.source import ImageSource
from kubelite.node.image.store import ImageStore
from kubelite.node.kubelet.decide.programs import ImageFacts
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.home import Home
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
    """The image of each name in the pod, pulled where its policy says so; ``secrets`` are the pod's
    image pull Secrets. Raises ImageError, RuntimeFailure.
    """
    source = ImageSource(ImageStore(Path(home.images)), secrets)
    resolved: dict[str, ResolvedImage] = {}
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        name = container.image or ""
        if name in resolved:
            continue
        began = time.perf_counter()
        policy = container.image_pull_policy or "IfNotPresent"
        image = source.resolve(name, policy)  # type: ignore[arg-type]
        if image.is_on_host and not host_allowed:
            raise PullError("ErrImagePull", _HOST_REFUSED)
        if image.is_on_host and (problem := host_image_problem(Path(home.root))):
            raise RuntimeFailure(problem)
        facts = ImageFacts(
            image.id,
            image.config,
            read_etc(image.layers, "passwd"),
            read_etc(image.layers, "group"),
        )
        resolved[name] = ResolvedImage(image, facts, (time.perf_counter() - began) * 1000)
    return resolved
