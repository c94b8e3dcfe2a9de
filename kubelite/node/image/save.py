"""Writes images of the store as a docker archive, which docker, podman and `image load` read.

Layers are packed anew from their directories, so that the ids of the copy are its own; files, names
and configuration are the same.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
from typing import IO, TYPE_CHECKING, Any

import msgspec

from kubelite.node.image.lookup import is_opaque
from kubelite.node.image.rootfs import DirectoryTar
from kubelite.node.image.unpack import WHITEOUT
from kubelite.node.image.unpack_limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kubelite.node.image.model import Image, ImageConfig

_CHUNK = 1 << 20
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def save(images: Sequence[tuple[Image, Sequence[str]]], target: IO[bytes], spool: Path) -> None:
    """Write images, each with the names it is to have, to a stream.

    ``spool`` is a directory for one layer at a time. Raises BadArchive, OSError.
    """
    written: dict[str, str] = {}
    manifest = []
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for image, names in images:
            diff_ids = []
            for layer in image.layers:
                if str(layer) not in written:
                    written[str(layer)] = _add_layer(archive, layer, spool)
                diff_ids.append(written[str(layer)])
            config = msgspec.json.encode(_config(image, diff_ids))
            name = f"{hashlib.sha256(config).hexdigest()}.json"
            _add(archive, name, config)
            layers = [f"{diff_id}/layer.tar" for diff_id in diff_ids]
            manifest.append({"Config": name, "RepoTags": list(names), "Layers": layers})
        _add(archive, "manifest.json", msgspec.json.encode(manifest))


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def _add_layer(archive: tarfile.TarFile, layer: Path, spool: Path) -> str:
    """Pack a layer into the archive; the hexadecimal digits of its diff_id."""
    with tempfile.TemporaryFile(dir=spool) as copy:
        with tarfile.open(fileobj=copy, mode="w", format=tarfile.PAX_FORMAT) as packed:
            _pack(layer, packed)
        size = copy.tell()
        copy.seek(0)
        digest = hashlib.sha256()
        while data := copy.read(_CHUNK):
            digest.update(data)
        copy.seek(0)
        entry = tarfile.TarInfo(f"{digest.hexdigest()}/layer.tar")
        entry.size = size
        archive.addfile(entry, copy)
    return digest.hexdigest()


def _pack(layer: Path, packed: tarfile.TarFile) -> None:
    """The entries of a layer's directory; what overlayfs marks becomes the marks of OCI."""
    directory = DirectoryTar(layer, Limits())
    try:
        for entry, content in directory.entries():
            if entry.ischr() and (entry.devmajor, entry.devminor) == (0, 0):
                above, _, name = entry.name.rpartition("/")
                packed.addfile(tarfile.TarInfo(f"{above}/{WHITEOUT}{name}".lstrip("/")))
                continue
            packed.addfile(entry, content)  # type: ignore[arg-type]
            if entry.isdir() and _hides_lower(layer, entry.name):
                packed.addfile(tarfile.TarInfo(f"{entry.name}/{WHITEOUT}{WHITEOUT}.opq"))
    finally:
        directory.close()


def _hides_lower(layer: Path, name: str) -> bool:
    """Whether a directory of a layer is opaque: nothing of it in lower layers shows."""
    descriptor = os.open(layer / name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        return is_opaque(descriptor)
    finally:
        os.close(descriptor)


def _config(image: Image, diff_ids: list[str]) -> dict[str, Any]:
    machine = os.uname().machine
    return {
        "architecture": _MACHINES.get(machine, machine),
        "os": "linux",
        **({"created": image.created} if image.created else {}),
        "config": _running(image.config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digits}" for digits in diff_ids]},
        "history": [],
    }


def _running(config: ImageConfig) -> dict[str, Any]:
    fields = {
        "Entrypoint": list(config.entrypoint),
        "Cmd": list(config.cmd),
        "Env": list(config.env),
        "WorkingDir": config.working_dir,
        "User": config.user,
        "StopSignal": config.stop_signal,
        "ExposedPorts": {port: {} for port in config.exposed_ports},
        "Volumes": {path: {} for path in config.volumes},
        "Labels": dict(config.labels),
    }
    return {name: value for name, value in fields.items() if value}
