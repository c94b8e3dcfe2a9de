"""The reserved image `host`: the machine's own root file system under a private writable layer.

It needs no download.  A container on it sees the files of the root file system of the machine, not
those of file systems mounted below, and none at the paths that `host_covers` lists.
"""

from __future__ import annotations

import os
from pathlib import Path

from kubelite.lib import known_roots
from kubelite.lib.files import names
from kubelite.node.image.hidden_paths import (
    Mount,
    by_point,
    candidates,
    homes_in,
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
    """Paths to cover in a container on `host`: `roots`, every other state root and data directory
    of this machine that holds something, and what holds credentials.

    Absolute, links resolved, sorted, none below another; directories and files that exist on the
    file system of `/`.  What lies on another mount is not visible in such a container.
    """
    mounts = by_point(parse_mountinfo(_text("/proc/self/mountinfo")))

    def is_visible(path: str) -> bool:
        return _mount_point(path, mounts) == "/"

    others = [path for path in known_roots.registered() if is_visible(path) and _is_used(path)]
    # Read only when visible: a home on an absent NFS server would block.
    near_homes = filter(is_visible, {"/root", *homes_in(_text("/etc/passwd"))})
    homes = {home: frozenset(_entries(home)) for home in near_homes}
    paths = candidates([*map(str, roots), *others], homes, _entries("/etc/ssh"))
    present = [os.path.realpath(path) for path in paths if os.path.exists(path)]
    return outermost([path for path in present if is_visible(path)])


def _entries(directory: str) -> list[str]:
    """The names of a directory; none when it cannot be read."""
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _is_used(root: str) -> bool:
    """Whether a state root has pods or a server, or is another directory that is not empty."""
    try:
        entries = names(root)
        if "pods" not in entries or "server" in entries:
            return bool(entries)
        return bool(names(f"{root}/pods"))
    except OSError:
        return True


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
