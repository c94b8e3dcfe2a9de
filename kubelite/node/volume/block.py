"""Block devices of persistent volumes (volumeMode Block), as a container gets them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from kubelite.core.plan import Device
from kubelite.node.volume.errors import VolumeError

if TYPE_CHECKING:
    from kubelite.node.volume.mounts import Place
    from kubelite.objects.pod.container import VolumeDevice


class BlockDevice(NamedTuple):
    """A device node to make in a container, and whether the device may only be read."""

    node: Device
    read_only: bool

    @property
    def rule(self) -> str:
        """The rule of the cgroup that allows its use, in the form of v1's ``devices.allow``."""
        access = "r" if self.read_only else "rwm"
        return f"b {self.node.major}:{self.node.minor} {access}"


def devices(declared: Iterable[VolumeDevice], volumes: Mapping[str, Place]) -> list[BlockDevice]:
    """The devices of a container. Owner and permissions are those on the host, as in runc. Raises
    VolumeError for one that is not there.
    """
    return [
        BlockDevice(_node(place.path, device.device_path), place.read_only)
        for device in declared
        for place in [volumes[device.name]]
    ]


def _node(path: str, shown: str) -> Device:
    try:
        status = os.stat(path)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise VolumeError(f"cannot use the block volume {path}: {reason}") from error
    if not stat.S_ISBLK(status.st_mode):
        raise VolumeError(f"cannot use the block volume {path}: it is not a block device")
    mode = stat.S_IFBLK | stat.S_IMODE(status.st_mode)
    major, minor = os.major(status.st_rdev), os.minor(status.st_rdev)
    return Device(os.path.normpath(shown), mode, major, minor, status.st_uid, status.st_gid)
