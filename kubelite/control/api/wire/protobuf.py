"""Request bodies in Kubernetes' protobuf form, as typed clients send them: bytes in, a document
out. Pure.

A body is ``k8s\\0`` and an envelope (apimachinery ``runtime.Unknown``): 1 the type (1 apiVersion, 2
kind), 2 the object. :mod:`~kubelite.control.api.wire.protobuf_encoding` is the way back.
"""

from __future__ import annotations

from typing import Any

from kubelite.control.api.wire.status import bad_request
from kubelite.objects.facts import schema
from kubelite.objects.facts.protobuf import reader
from kubelite.objects.facts.protobuf.reader import Malformed

MAGIC = b"k8s\0"


def decode(data: bytes) -> dict[str, Any]:
    """The document in a protobuf body. Raises StatusError 400."""
    if not data.startswith(MAGIC):
        raise bad_request(
            "the body is not in the protobuf form of Kubernetes: it does not begin with k8s\\0"
        )
    try:
        envelope = dict(reader.fields(data[len(MAGIC) :]))
        about = {
            number: reader.as_string(value)
            for number, value in reader.fields(reader.as_bytes(envelope.get(1, b"")))
        }
        api_version, kind = about.get(1, ""), about.get(2, "")
        name = _message_name(api_version, kind)
        return {
            "kind": kind,
            "apiVersion": api_version,
            **reader.message(name, reader.as_bytes(envelope.get(2, b""))),
        }
    except (Malformed, ValueError, OverflowError, RecursionError) as error:
        raise bad_request(f"the protobuf body cannot be decoded: {error}") from None


def _message_name(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    name = schema.name_of(group, version, kind) or f"meta.v1.{kind}"
    if not schema.message(name):
        raise Malformed(f'no kind "{kind}" is registered for version "{api_version}"')
    return name
