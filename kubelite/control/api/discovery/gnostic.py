"""An OpenAPI v2 document in gnostic's protobuf form, which kubectl before 1.27 asks for. Pure.

Field numbers are those of gnostic's ``openapiv2/OpenAPIv2.proto``. A message is described by its
keys: number and the function that encodes the value.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubelite.lib.json import Object

if TYPE_CHECKING:
    from collections.abc import Callable


def encode(document: Object) -> bytes:
    """The document as bytes."""
    return b"".join(
        (
            _text(1, document["swagger"]),
            _put(2, _message(document["info"], _INFO)),
            _put(
                8,
                b"".join(
                    _put(2, _named(path, _path_item(item)))
                    for path, item in document["paths"].items()
                ),
            ),
            _put(9, _map(document["definitions"], _schema)),
        )
    )


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _put(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _text(number: int, value: Any) -> bytes:
    return _put(number, str(value).encode())


def _texts(number: int, values: list[Any]) -> bytes:
    return b"".join(_text(number, value) for value in values)


def _flag(number: int, value: bool) -> bytes:
    return _varint(number << 3) + b"\1" if value else b""


def _whole(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(int(value))


def _double(number: int, value: float) -> bytes:
    import struct

    return _varint(number << 3 | 1) + struct.pack("<d", value)


def _any(value: Any) -> bytes:
    """A value of any kind, as text: JSON is YAML."""
    return _text(2, json.dumps(value))


def _anys(number: int, values: list[Any]) -> bytes:
    return b"".join(_put(number, _any(value)) for value in values)


def _named(name: str, value: bytes) -> bytes:
    return _text(1, name) + _put(2, value)


def _map(values: Object, inside: Callable[[Any], bytes]) -> bytes:
    return b"".join(_put(1, _named(name, inside(value))) for name, value in values.items())


Fields = dict[str, tuple[int, "Callable[[int, Any], bytes]"]]


def _message(value: Object, fields: Fields, extensions: int = 0) -> bytes:
    parts = []
    for key, inner in value.items():
        if key in fields:
            number, put = fields[key]
            parts.append(put(number, inner))
        elif extensions and key.startswith("x-"):
            parts.append(_put(extensions, _named(key, _any(inner))))
    return b"".join(parts)


_INFO: Fields = {"title": (1, _text), "version": (2, _text), "description": (3, _text)}


def _schema(value: Object) -> bytes:
    return _message(value, _SCHEMA, 31)


def _additional(number: int, value: Any) -> bytes:
    return _put(number, _flag(2, value) if isinstance(value, bool) else _put(1, _schema(value)))


_SCHEMA: Fields = {
    "$ref": (1, _text),
    "format": (2, _text),
    "title": (3, _text),
    "description": (4, _text),
    "default": (5, lambda number, value: _put(number, _any(value))),
    "multipleOf": (6, _double),
    "maximum": (7, _double),
    "exclusiveMaximum": (8, _flag),
    "minimum": (9, _double),
    "exclusiveMinimum": (10, _flag),
    "maxLength": (11, _whole),
    "minLength": (12, _whole),
    "pattern": (13, _text),
    "maxItems": (14, _whole),
    "minItems": (15, _whole),
    "uniqueItems": (16, _flag),
    "maxProperties": (17, _whole),
    "minProperties": (18, _whole),
    "required": (19, _texts),
    "enum": (20, _anys),
    "additionalProperties": (21, _additional),
    "type": (22, lambda number, value: _put(number, _text(1, value))),
    "items": (23, lambda number, value: _put(number, _put(1, _schema(value)))),
    "properties": (25, lambda number, value: _put(number, _map(value, _schema))),
}
_BODY: Fields = {
    "description": (1, _text),
    "name": (2, _text),
    "in": (3, _text),
    "required": (4, _flag),
    "schema": (5, lambda number, value: _put(number, _schema(value))),
}
_QUERY: Fields = {
    "required": (1, _flag),
    "in": (2, _text),
    "description": (3, _text),
    "name": (4, _text),
    "type": (6, _text),
    "format": (7, _text),
    "uniqueItems": (20, _flag),
}
_PATH: Fields = {
    "required": (1, _flag),
    "in": (2, _text),
    "description": (3, _text),
    "name": (4, _text),
    "type": (5, _text),
}


def _parameter(value: Object) -> bytes:
    if value["in"] == "body":
        return _put(1, _put(1, _message(value, _BODY, 6)))
    number, fields = (4, _PATH) if value["in"] == "path" else (3, _QUERY)
    return _put(1, _put(2, _put(number, _message(value, fields))))


def _parameters(number: int, values: list[Object]) -> bytes:
    return b"".join(_put(number, _parameter(value)) for value in values)


def _response(value: Object) -> bytes:
    message = _text(1, value["description"])
    return _put(
        1, message + (_put(2, _put(1, _schema(value["schema"]))) if "schema" in value else b"")
    )


def _responses(number: int, values: Object) -> bytes:
    return _put(number, _map(values, _response))


_OPERATION: Fields = {
    "tags": (1, _texts),
    "description": (3, _text),
    "operationId": (5, _text),
    "produces": (6, _texts),
    "consumes": (7, _texts),
    "parameters": (8, _parameters),
    "responses": (9, _responses),
}


def _operation(number: int, value: Object) -> bytes:
    return _put(number, _message(value, _OPERATION, 13))


_ITEM: Fields = {
    "get": (2, _operation),
    "put": (3, _operation),
    "post": (4, _operation),
    "delete": (5, _operation),
    "patch": (8, _operation),
    "parameters": (9, _parameters),
}


def _path_item(value: Object) -> bytes:
    return _message(value, _ITEM)
