"""Objects as bytes and back: compact JSON, with the parts a store looks for in front. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.store.types import Entry

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()
_FIRST = ("name", "generateName", "namespace", "uid")


def encode(value: Any) -> bytes:
    """Compact JSON."""
    return _encoder.encode(value)


def stored(obj: dict[str, Any]) -> bytes:
    """An object for the store: kind, apiVersion and the identity first, without a revision of its
    own.
    """
    metadata = obj["metadata"]
    head = {key: metadata[key] for key in _FIRST if key in metadata}
    rest = {
        key: value
        for key, value in metadata.items()
        if key not in _FIRST and key != "resourceVersion"
    }
    shaped = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": head | rest}
    shaped |= {key: value for key, value in obj.items() if key not in shaped}
    return _encoder.encode(shaped)


def load(entry: Entry) -> dict[str, Any]:
    """The object of an entry; a fresh copy each time."""
    obj: dict[str, Any] = _decoder.decode(entry.value)
    return obj


def copy(value: Any) -> Any:
    """A deep copy of a JSON value."""
    return _decoder.decode(_encoder.encode(value))


def listing(res: Resource, items: list[bytes], metadata: dict[str, Any]) -> bytes:
    """A list of objects. Items of built-in kinds do not repeat kind and apiVersion, as the servers
    have it.
    """
    head = b'{"kind":"%b","apiVersion":"%b",' % (res.kind.encode(), res.gv.encode())
    pieces: list[bytes | memoryview] = []  # views: a long list is not copied twice
    for item in items:
        if res.crd is None and item.startswith(head):
            pieces += (b",{", memoryview(item)[len(head) :])
        else:
            pieces += (b",", item)
    pieces[:1] = [pieces[0][1:]] if pieces else []
    top = b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[' % (
        res.kind_of_list.encode(),
        res.gv.encode(),
        _encoder.encode(metadata),
    )
    return b"".join([top, *pieces, b"]}\n"])
