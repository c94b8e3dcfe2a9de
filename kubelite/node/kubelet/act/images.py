"""Resolves the images of a pod's containers, before anything of the pod is created."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from kubelite.node.image.host import host_image_problem
from kubelite.node.image.lookup import read_etc
from kubelite.node.image.model import Image
from kubelite.node.image.reference import HOST
from kubelite.node.image.source import ImageSource
from kubelite.node.image.store import ImageStore
from kubelite.node.kubelet.decide.prepare import ImageFacts
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.home import Home
from kubelite.objects.pod.pod import Pod


class ResolvedImage(NamedTuple):
    """An image, the facts that a start needs of it, and how many milliseconds its lookup took."""

    image: Image
    facts: ImageFacts
    milliseconds: float


def resolve(home: Home, pod: Pod) -> dict[str, ResolvedImage]:
    """The image of each name in the pod. Raises ImageError, RuntimeFailure."""
    source = ImageSource(ImageStore(Path(home.images)))
    resolved: dict[str, ResolvedImage] = {}
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        name = container.image or ""
        if name in resolved:
            continue
        began = time.perf_counter()
        policy = container.image_pull_policy or "IfNotPresent"
        image = source.resolve(name, policy)  # type: ignore[arg-type]
        if image.id == HOST and (problem := host_image_problem(Path(home.root))):
            raise RuntimeFailure(problem)
        facts = ImageFacts(
            image.id,
            image.config,
            read_etc(image.layers, "passwd"),
            read_etc(image.layers, "group"),
        )
        resolved[name] = ResolvedImage(image, facts, (time.perf_counter() - began) * 1000)
    return resolved
