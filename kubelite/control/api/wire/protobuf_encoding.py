"""Objects in Kubernetes' protobuf form: documents in, bytes out. Pure.

Lists of objects have metadata as field 1 and items as field 2.
"""

from __future__ import annotations

import struct
from typing import Any

from kubelite.objects.facts import schema
from kubelite.objects.facts.protobuf.writer import block, message

MAGIC = b"k8s\0"


class Unencodable(Exception):
    """The document has no protobuf form: a custom kind, or a Table."""


def encode(obj: dict[str, Any]) -> bytes:
    """A document with its envelope. Raises Unencodable."""
    api_version, kind = obj.get("apiVersion", ""), obj.get("kind", "")
    try:
        body = _list(obj) if kind.endswith("List") else message(_name(api_version, kind), obj)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unencodable(f"{api_version} {kind}: {error}") from error
    about = block(b"\x0a", api_version.encode()) + block(b"\x12", kind.encode())
    envelope = block(b"\x0a", about) + block(b"\x12", body) + b"\x1a\x00\x22\x00"
    return MAGIC + envelope


def encode_event(kind: str, obj: dict[str, Any]) -> bytes:
    """A WatchEvent as one frame of a stream: its length in four bytes, then the bare message.
    Raises Unencodable.
    """
    event = block(b"\x0a", kind.encode()) + block(b"\x12", block(b"\x0a", encode(obj)))
    return struct.pack(">I", len(event)) + event


def can_encode(api_version: str, kind: str) -> bool:
    """Whether objects of a kind have a protobuf form."""
    try:
        _name(api_version, kind)
    except Unencodable:
        return False
    return True


def _name(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    name = schema.name_of(group, version, kind) or f"meta.v1.{kind}"
    if not schema.message(name):
        raise Unencodable(f"{api_version} {kind} has no protobuf form")
    return name


def _list(obj: dict[str, Any]) -> bytes:
    name = _name(obj.get("apiVersion", ""), obj["kind"].removesuffix("List"))
    parts = [block(b"\x0a", message("meta.v1.ListMeta", obj.get("metadata") or {}))]
    parts += [block(b"\x12", message(name, item)) for item in obj.get("items") or ()]
    return b"".join(parts)
