"""Looks at this machine's cgroup mounts. It reads two files and mounts nothing."""

from __future__ import annotations

from kubelite.node.cgroup.branch import read_text
from kubelite.node.cgroup.errors import NoCgroups
from kubelite.node.cgroup.hierarchies import World, decide, parse_mounts


def read_world() -> World:
    """The world of this machine.

    Raises NoCgroups where nothing is mounted, OSError where /proc cannot be read.
    """
    mounts = parse_mounts(read_text("/proc/self/mountinfo"))
    unified = next((m for m in mounts if m.v2), None)
    controllers = ""
    if unified is not None:
        controllers = read_text(f"{unified.point}/cgroup.controllers")
    world = decide(mounts, controllers)
    if not world.hierarchies:
        raise NoCgroups(
            "no cgroup hierarchy is mounted: no limit can be set, and no pod killed as a whole",
            hint="mount one: mount -t cgroup2 none /sys/fs/cgroup",
        )
    return world
