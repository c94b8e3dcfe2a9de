"""Where volumes of CSI drivers lie below a state root: the kubelet's layout, which drivers mount
into their own containers. Pure.
"""

from __future__ import annotations

from kubelite.lib.digest import hexdigest

REGISTRY = "plugins_registry"
"""The directory in which drivers show their registration sockets."""
PLUGINS = "plugins"
"""The directory of the drivers' own sockets and of staged volumes."""

RECORD = ".json"
"""How the names of records of published volumes end."""


def published_directory(root: str, uid: str) -> str:
    """The directory that holds the published file systems of a pod."""
    return f"{root}/pods/{uid}/volumes/kubernetes.io~csi"


def published(root: str, uid: str, spec_name: str) -> str:
    """The target path of a file system; ``spec_name`` is the name of the PersistentVolume, or of
    the pod's volume for one that is written inline.
    """
    return f"{published_directory(root, uid)}/{spec_name}/mount"


def published_device(root: str, uid: str, spec_name: str) -> str:
    """The target path of a block volume."""
    return f"{_own(root)}/volumeDevices/publish/{spec_name}/{uid}"


def staged(root: str, driver: str, handle: str) -> str:
    """The directory in which a driver stages a file system for all pods of the node."""
    return f"{_own(root)}/{driver}/{hexdigest(handle.encode())}/globalmount"


def staged_device(root: str, spec_name: str) -> str:
    """The directory in which a driver stages a block volume."""
    return f"{_own(root)}/volumeDevices/staging/{spec_name}"


def lock(root: str, driver: str, handle: str) -> str:
    """The lock that is held while a volume is staged or unstaged."""
    return f"{locks(root)}/{hexdigest(f'{driver}^{handle}'.encode())}"


def locks(root: str) -> str:
    """The directory of these locks."""
    return f"{_own(root)}/locks"


def drivers(root: str) -> str:
    """The directory of the records of registered drivers."""
    return f"{_own(root)}/registered"


def records(root: str) -> str:
    """The directory of the records of what is published for pods."""
    return f"{_own(root)}/published"


def record(root: str, uid: str, spec_name: str) -> str:
    """The record of a volume of a pod. The names of volumes have no underscore; they may end like
    an unfinished file.
    """
    return f"{records(root)}/{uid}_{spec_name}{RECORD}"


def _own(root: str) -> str:
    return f"{root}/{PLUGINS}/kubernetes.io/csi"
