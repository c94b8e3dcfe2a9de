"""The reserved image `host`: the machine's own root file system under a private writable layer.

It needs no download.  A container on it sees the files of the root file system of the machine, not
those of file systems mounted below, and none at the paths that `host_covers` lists.
"""

from __future__ import annotations

import os
from pathlib import Path

from kubelite.lib.files import names
from kubelite.node.image.covers import (
    Mount,
    by_point,
    candidates,
    mount_of,
    outermost,
    overlay_problem,
    parse_mountinfo,
)
from kubelite.node.image.model import DEFAULT_PATH, Image, ImageConfig
from kubelite.node.image.reference import HOST


def host_image() -> Image:
    """The machine's root file system as an image: one layer, `/`, and no command of its own."""
    return Image(
        id=HOST,
        names=(HOST,),
        layers=(Path("/"),),
        layer_ids=(),
        config=ImageConfig(env=(DEFAULT_PATH,)),
        size=0,
        created="",
    )


def host_covers(*roots: Path) -> list[str]:
    """Paths to cover in a container on `host`: kubelite's own roots and what holds credentials.

    Absolute, links resolved, sorted, none below another; directories and files that exist on the
    file system of `/`.  What lies on another mount is not visible in such a container.
    """
    mounts = by_point(parse_mountinfo(_text("/proc/self/mountinfo")))
    wanted = candidates([str(root) for root in roots], _text("/etc/passwd"), names("/etc/ssh"))
    # Looked at only where it can be seen: a home on an absent NFS server would make us wait.
    near = [path for path in wanted if _mount_point(path, mounts) == "/"]
    present = [os.path.realpath(path) for path in near if os.path.exists(path)]
    return outermost([path for path in present if _mount_point(path, mounts) == "/"])


def host_image_problem(upper_dir: Path) -> str | None:
    """Why a container on `host` cannot have its writable layer in a directory; None if it can."""
    mounts = by_point(parse_mountinfo(_text("/proc/self/mountinfo")))
    return overlay_problem(os.path.realpath(upper_dir), mounts)


def _mount_point(path: str, mounts: dict[str, Mount]) -> str:
    mount = mount_of(path, mounts)
    return mount.point if mount else "/"


def _text(path: str) -> str:
    """The text of a file of the machine; none if there is no such file."""
    try:
        return Path(path).read_text("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""
