"""Writes the documents of an image that came with none: configuration and manifest.  Pure.

Source: OCI image specification 1.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from kubelite.node.image.model import ImageConfig
from kubelite.node.image.oci import CONFIG_TYPES, MANIFEST_TYPES, Descriptor, Platform, decode

MANIFEST_TYPE, CONFIG_TYPE = MANIFEST_TYPES[0], CONFIG_TYPES[0]
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


class History(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one changeset came about; `created` is RFC 3339.  One with `empty_layer` has no files."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


def config_document(
    running: ImageConfig,
    diff_ids: Sequence[str],
    platform: Platform,
    *,
    created: str = "",
    history: Sequence[History] = (),
) -> bytes:
    """A configuration; `created` is RFC 3339 or empty.  The same values give the same bytes."""
    document = {
        **({"created": created} if created else {}),
        "architecture": platform.architecture,
        "os": platform.os,
        "config": _running(running),
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        "history": msgspec.to_builtins(list(history)),
    }
    return msgspec.json.encode(document)


def history_of(config: bytes) -> list[History]:
    """The history that a configuration tells; empty where it tells none.

    Raises BadArchive where it cannot be read.
    """
    return decode(config, _WithHistory, "the history").history or []


def creation_time(environment: Mapping[str, str], now: float) -> str:
    """When a changeset is made, RFC 3339: `now`, in seconds since 1970, or SOURCE_DATE_EPOCH, so
    that the same inputs give the same image.
    """
    text = environment.get("SOURCE_DATE_EPOCH", "")
    seconds = int(text) if text.isdecimal() else int(now)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _WithHistory(msgspec.Struct, frozen=True):
    history: list[History] | None = None


def next_config(
    below: bytes,
    diff_ids: Sequence[str],
    entries: Sequence[History],
    created: str,
    running: dict[str, Any] | None = None,
    author: str = "",
) -> bytes:
    """The configuration of an image with more changesets: that of the image below with all that it
    holds.  `running` replaces its part about running a container, as JSON has it.
    """
    document = msgspec.json.decode(below)
    document |= {
        "created": created,
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        "history": [*(document.get("history") or ()), *msgspec.to_builtins(list(entries))],
        **({"author": author} if author else {}),
    }
    if running is not None:
        document["config"] = running
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
