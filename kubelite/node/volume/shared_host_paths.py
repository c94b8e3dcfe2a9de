"""Opens paths of the host whose mounts a container shares with it (mountPropagation Bidirectional).

A copy of the host's mounts that is made in the host's mount namespace stays a peer of them,
mount_namespaces(7); one that is made by the shim, whose namespace follows the host's, does not.
"""

from __future__ import annotations

import os

from kubelite.core import native
from kubelite.node.volume.errors import HostPathError

_PATH = os.O_PATH | os.O_CLOEXEC
_BENEATH = native.RESOLVE_BENEATH | native.RESOLVE_NO_SYMLINKS | native.RESOLVE_NO_MAGICLINKS


def shared_mounts(path: str, subpath: str = "") -> int:
    """A descriptor of a detached copy of the mounts at ``path``, or ``subpath`` below it. Raises
    HostPathError where the host keeps them to itself, as container runtimes do.
    """
    try:
        opened = _open(path, subpath)
        try:
            mount_point = _unshared_mount(opened)
            if mount_point is None:
                return native.clone_mounts(opened)
        finally:
            os.close(opened)
    except OSError as error:
        raise HostPathError(f"cannot share {path}: {os.strerror(error.errno or 0)}") from error
    raise HostPathError(
        f"path {path} is mounted on {mount_point}, which is not a shared mount: with "
        "mountPropagation Bidirectional the host would see nothing of it",
        hint=f"make it shared: mount --make-shared {mount_point}",
    )


def _open(path: str, subpath: str) -> int:
    volume = os.open(path, _PATH)
    if not subpath:
        return volume
    try:
        return native.openat2(volume, subpath, _PATH, _BENEATH)
    finally:
        os.close(volume)


def _unshared_mount(descriptor: int) -> str | None:
    """The mount point of the mount that a descriptor is on; None where that is shared, proc(5)."""
    with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as file:
        number = next(line.split()[1] for line in file if line.startswith("mnt_id:"))
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.split()
            if fields[0] == number:
                tags = fields[6 : fields.index("-")]
                return None if any(tag.startswith("shared:") for tag in tags) else fields[4]
    return os.readlink(f"/proc/self/fd/{descriptor}")  # of no mount of this namespace
