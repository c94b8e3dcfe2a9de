"""Rules about volumes and where they are mounted. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubelite.objects.facts import names
from kubelite.objects.pod.container import Container, VolumeMount
from kubelite.objects.pod.pod import PodSpec
from kubelite.objects.pod.volumes import SOURCES, KeyToPath, Volume
from kubelite.objects.rules.findings import Findings
from kubelite.objects.rules.problem import Path

HOST_PATH_TYPES = (
    "",
    "DirectoryOrCreate",
    "Directory",
    "FileOrCreate",
    "File",
    "Socket",
    "CharDevice",
    "BlockDevice",
)
# What each kind of source cannot be without: JSON name of the source, attribute and JSON name of
# the field.
_NEEDED = {
    "host_path": ("hostPath", "path", "path"),
    "config_map": ("configMap", "name", "name"),
    "secret": ("secret", "secret_name", "secretName"),
    "persistent_volume_claim": ("persistentVolumeClaim", "claim_name", "claimName"),
    "csi": ("csi", "driver", "driver"),
    "image": ("image", "reference", "reference"),
}


def volumes(found: Findings, spec: PodSpec, path: Path) -> None:
    """All volumes of a pod."""
    seen: dict[str, Path] = {}
    for at, volume in enumerate(spec.volumes):
        where = (*path, "volumes", at)
        found.name((*where, "name"), volume.name, names.label(volume.name))
        found.unique((*where, "name"), volume.name, seen)
        _source(found, volume, where)


def _source(found: Findings, volume: Volume, path: Path) -> None:
    json_names = dict(zip(volume.__struct_fields__, volume.__struct_encode_fields__, strict=True))
    given = [name for name in SOURCES if getattr(volume, name) is not None]
    for extra in given[1:]:
        found.forbidden((*path, json_names[extra]), "may not specify more than 1 volume type")
    for kind in given:
        source: Any = getattr(volume, kind)
        where = (*path, json_names[kind])
        if kind in _NEEDED and not getattr(source, _NEEDED[kind][1]):
            found.required((*where, _NEEDED[kind][2]))
        for at, item in enumerate(
            getattr(source, "items", ()) if not isinstance(source, dict) else ()
        ):
            _item(found, item, (*where, "items", at))
        if not isinstance(source, dict):
            found.between((*where, "defaultMode"), getattr(source, "default_mode", None), 0, 0o777)
    _details(found, volume, path)


def _item(found: Findings, item: Any, path: Path) -> None:
    """A file of a volume that is made of keys or fields."""
    if isinstance(item, KeyToPath) and not item.key:
        found.required((*path, "key"))
    if item.path:
        _inside(found, item.path, (*path, "path"))
    else:
        found.required((*path, "path"))
    found.between((*path, "mode"), item.mode, 0, 0o777)


def _details(found: Findings, volume: Volume, path: Path) -> None:
    if volume.host_path is not None:
        where = (*path, "hostPath")
        if ".." in volume.host_path.path.split("/"):
            found.invalid((*where, "path"), volume.host_path.path, "must not contain '..'")
        if volume.host_path.type:
            found.one_of((*where, "type"), volume.host_path.type, HOST_PATH_TYPES)
    if volume.empty_dir is not None:
        where = (*path, "emptyDir")
        if volume.empty_dir.size_limit is not None:
            found.amount((*where, "sizeLimit"), volume.empty_dir.size_limit)
        medium = volume.empty_dir.medium or ""
        if not medium.startswith("HugePages"):
            found.one_of((*where, "medium"), medium, ("Memory", "HugePages"))
    if volume.nfs is not None:
        where = (*path, "nfs")
        if not volume.nfs.server:
            found.required((*where, "server"))
        if not volume.nfs.path.startswith("/"):
            found.invalid((*where, "path"), volume.nfs.path, "must be an absolute path")


def mounts(found: Findings, container: Container, given: Sequence[Volume], path: Path) -> None:
    """The mounts and devices of a container: of volumes that are there, each at a place of its own."""
    known = [volume.name for volume in given]
    seen: dict[str, Path] = {}
    for at, mount in enumerate(container.volume_mounts):
        where = (*path, "volumeMounts", at)
        _known(found, mount.name, known, (*where, "name"))
        if not mount.mount_path:
            found.required((*where, "mountPath"))
        elif mount.mount_path in seen:
            found.invalid((*where, "mountPath"), mount.mount_path, "must be unique")
        seen.setdefault(mount.mount_path, where)
        _mount(found, mount, container, where)
    for at, device in enumerate(container.volume_devices):
        where = (*path, "volumeDevices", at)
        _known(found, device.name, known, (*where, "name"))
        if not device.device_path:
            found.required((*where, "devicePath"))


def _known(found: Findings, name: str, known: Sequence[str], path: Path) -> None:
    if not name:
        found.required(path)
    elif name not in known:
        from difflib import get_close_matches

        close = get_close_matches(name, known, n=1)
        listed = ", ".join(f'"{each}"' for each in known[:5]) if known else "none"
        hint = f'did you mean "{close[0]}"?' if close else f"spec.volumes has: {listed}"
        found.not_found(path, name, hint)


def _mount(found: Findings, mount: VolumeMount, container: Container, path: Path) -> None:
    if mount.sub_path and mount.sub_path_expr:
        found.invalid(
            (*path, "subPathExpr"), mount.sub_path_expr, "may not be set together with subPath"
        )
    for name, text in (("subPath", mount.sub_path), ("subPathExpr", mount.sub_path_expr)):
        if text:
            _inside(found, text, (*path, name))
    propagation = mount.mount_propagation
    found.one_of(
        (*path, "mountPropagation"), propagation, ("None", "HostToContainer", "Bidirectional")
    )
    privileged = container.security_context is not None and container.security_context.privileged
    if propagation == "Bidirectional" and not privileged:
        found.forbidden(
            (*path, "mountPropagation"), "Bidirectional is only available to privileged containers"
        )
    if mount.recursive_read_only:
        policies = ("Disabled", "IfPossible", "Enabled")
        found.one_of((*path, "recursiveReadOnly"), mount.recursive_read_only, policies)
        if mount.recursive_read_only != "Disabled" and not mount.read_only:
            found.forbidden((*path, "recursiveReadOnly"), "may only be set when readOnly is true")


def _inside(found: Findings, text: str, path: Path) -> None:
    """A path that must stay below where it is taken from."""
    if text.startswith("/"):
        found.invalid(path, text, "must be a relative path")
    if ".." in text.split("/"):
        found.invalid(path, text, "must not contain '..'")
