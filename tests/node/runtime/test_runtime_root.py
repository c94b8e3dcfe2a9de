"""The overlay of a container's root."""

from __future__ import annotations

import os
from pathlib import Path

from kubelite.node.image.archive import MAX_LAYERS
from kubelite.node.runtime.container import make_root
from kubelite.node.runtime.launch_plan import overlay_options


def test_as_many_layers_as_an_image_may_have_fit_into_the_page_of_mount_options(
    tmp_path: Path,
) -> None:
    pod = tmp_path / "pods" / ("0" * 36)
    pod.mkdir(parents=True)
    layers = [f"{tmp_path}/images/layers/{number:016x}" for number in range(MAX_LAYERS)]
    root = make_root(str(pod), f"{tmp_path}/images/points", "n" * 63, layers, 1000)
    assert len(overlay_options(root)) < os.sysconf("SC_PAGESIZE")
