"""Writes the documents of an image that came with none: configuration and manifest.  Pure.

Source: OCI image specification 1.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from kubelite.node.image.model import ImageConfig
from kubelite.node.image.oci import CONFIG_TYPES, MANIFEST_TYPES, Descriptor, Platform

MANIFEST_TYPE, CONFIG_TYPE = MANIFEST_TYPES[0], CONFIG_TYPES[0]
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


def config_document(
    running: ImageConfig,
    diff_ids: Sequence[str],
    platform: Platform,
    *,
    created: str = "",
    history: Sequence[dict[str, Any]] = (),
) -> bytes:
    """A configuration; `created` is RFC 3339 or empty.  The same values give the same bytes."""
    document = {
        **({"created": created} if created else {}),
        "architecture": platform.architecture,
        "os": platform.os,
        "config": _running(running),
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        "history": list(history),
    }
    return msgspec.json.encode(document)


def manifest_document(config: Descriptor, layers: Sequence[Descriptor]) -> bytes:
    """A manifest over blobs."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _pointer(config),
        "layers": [_pointer(layer) for layer in layers],
    }
    return msgspec.json.encode(document)


def _pointer(blob: Descriptor) -> dict[str, Any]:
    return {"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size}


def _running(config: ImageConfig) -> dict[str, Any]:
    fields = {
        "User": config.user,
        "ExposedPorts": {port: {} for port in config.exposed_ports},
        "Env": list(config.env),
        "Entrypoint": list(config.entrypoint),
        "Cmd": list(config.cmd),
        "Volumes": {path: {} for path in config.volumes},
        "WorkingDir": config.working_dir,
        "Labels": dict(config.labels),
        "StopSignal": config.stop_signal,
    }
    return {name: value for name, value in fields.items() if value}
