"""Rules about what a container mounts and which devices it gets. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.lib.json import Object
from kubelite.objects.rules.cause import (
    Cause,
    Path,
    forbidden,
    invalid,
    not_found,
    not_supported,
    one_of,
    required,
)
from kubelite.objects.rules.pods.paths import relative

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
RECURSIVE_READ_ONLY = ("Disabled", "Enabled", "IfPossible")


def volume_mounts(container: Object, volumes: Mapping[str, Object], path: Path) -> Iterator[Cause]:
    """The mounts of a container: of volumes that are there, each at a path of its own."""
    devices = container.get("volumeDevices") or ()
    device_names = {device.get("name", "") for device in devices}
    device_paths = {device.get("devicePath", "") for device in devices}
    taken: set[str] = set()
    # Causes about these three fields have the path of the list: so it is in Kubernetes.
    mounts = (*path, "volumeMounts")
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        here, name, target = (*mounts, index), mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            yield required((*here, "name"))
        if name not in volumes:
            yield not_found((*here, "name"), name)
        if not target:
            yield required((*here, "mountPath"))
        if target in taken:
            yield invalid((*here, "mountPath"), target, "must be unique")
        taken.add(target)
        if name in device_names:
            yield invalid((*here, "name"), name, "must not already exist in volumeDevices")
        if target in device_paths:
            why = "must not already exist as a path in volumeDevices"
            yield invalid((*here, "mountPath"), target, why)
        yield from _sub_path(mount, here, mounts)
        yield from _propagation(mount, container, (*mounts, "mountPropagation"))
        yield from _recursive_read_only(mount, (*mounts, "recursiveReadOnly"))


def _sub_path(mount: Object, path: Path, mounts: Path) -> Iterator[Cause]:
    plain, expression = mount.get("subPath", ""), mount.get("subPathExpr", "")
    if plain:
        yield from relative(plain, (*mounts, "subPath"))
    if expression:
        if plain:
            why = "subPathExpr and subPath are mutually exclusive"
            yield invalid((*path, "subPathExpr"), expression, why)
        yield from relative(expression, (*mounts, "subPathExpr"))


def _propagation(mount: Object, container: Object, path: Path) -> Iterator[Cause]:
    mode = mount.get("mountPropagation")
    if mode is None:
        return
    yield from one_of(path, mode, PROPAGATIONS)
    if mode == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
        why = "Bidirectional mount propagation is available only to privileged containers"
        yield forbidden(path, why)


def _recursive_read_only(mount: Object, path: Path) -> Iterator[Cause]:
    mode = mount.get("recursiveReadOnly")
    if mode in ("Enabled", "IfPossible"):
        if not mount.get("readOnly"):
            yield forbidden(path, "may only be specified when readOnly is true")
        if mount.get("mountPropagation", "None") != "None":
            why = "may only be specified when mountPropagation is None or not specified"
            yield forbidden(path, why)
    elif mode is not None and mode != "Disabled":
        yield not_supported(path, mode, RECURSIVE_READ_ONLY)


def volume_devices(container: Object, volumes: Mapping[str, Object], path: Path) -> Iterator[Cause]:
    """The block devices of a container, which come from claims."""
    mounts = container.get("volumeMounts") or ()
    mount_names = {mount.get("name", "") for mount in mounts}
    mount_paths = {mount.get("mountPath", "") for mount in mounts}
    taken_names: set[str] = set()
    taken_paths: set[str] = set()
    for index, device in enumerate(container.get("volumeDevices") or ()):
        here = (*path, "volumeDevices", index)
        name, target = device.get("name", ""), device.get("devicePath", "")
        yield from _device_name(name, name in taken_names, volumes, (*here, "name"))
        yield from _device_path(target, taken_paths, (*here, "devicePath"))
        if name in mount_names:
            yield invalid((*here, "name"), name, "must not already exist in volumeMounts")
        if target in mount_paths:
            why = "must not already exist as a path in volumeMounts"
            yield invalid((*here, "devicePath"), target, why)
        if name:
            taken_names.add(name)


def _device_name(
    name: str, taken: bool, volumes: Mapping[str, Object], path: Path
) -> Iterator[Cause]:
    if not name:
        yield required(path)
    if taken:
        yield invalid(path, name, "must be unique")
    if name not in volumes:
        yield not_found(path, name)
    elif not {"persistentVolumeClaim", "ephemeral"} & {*volumes[name]}:
        why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
        yield invalid(path, name, why)


def _device_path(target: str, taken: set[str], path: Path) -> Iterator[Cause]:
    if not target:
        yield required(path)
    if target in taken:
        yield invalid(path, target, "must be unique")
    if ".." in target.split("/"):
        yield invalid(path, target, "can not contain backsteps ('..')")
    else:
        taken.add(target)
