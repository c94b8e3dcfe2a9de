"""Removes images that no pod uses when their disk fills up, the kubelet's image garbage collection.

Only images that came from a registry go: they can be fetched again. Those that somebody loaded or
built here stay, as the kubelet keeps pinned ones.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from kubelite.node.image.errors import ImageError
from kubelite.node.image.model import Image
from kubelite.node.image.store import ImageStore
from kubelite.node.kubelet.decide.node_config import NodeConfig
from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.kubelet.stats.measuring import filesystem
from kubelite.node.runtime.home import Home

_log = logging.getLogger("kubelite.node")


def collect(home: Home, config: NodeConfig, force: bool) -> int:
    """Removes images until the disk is below the low threshold, if it is above the high one or
    ``force`` says so; the bytes freed.
    """
    disk = filesystem(home.images)
    share = 100 * (1 - disk.available / disk.capacity)
    if share < config.image_gc_high_threshold_percent and not force:
        return 0
    wanted = disk.capacity * (share - config.image_gc_low_threshold_percent) / 100
    store, freed = ImageStore(Path(home.images)), 0
    store.forget_pulls()
    for image in _unused(home, store):
        if freed >= wanted and not force:
            break
        try:
            freed += store.remove(image.id).freed
        except ImageError as error:
            _log.warning("an unused image cannot be removed: %s", error)
        else:
            _log.warning("the disk is short: removed image %s", ", ".join(image.names))
    return freed


def _unused(home: Home, store: ImageStore) -> Iterator[Image]:
    """Images that no pod refers to and that can be fetched again, the largest first."""
    used = Pods(home).queries.images_in_use(store)
    images = sorted(store.list(), key=lambda image: -image.size)
    for image in images:
        if image.id not in used and image.names and all(map(store.is_pulled, image.names)):
            yield image
