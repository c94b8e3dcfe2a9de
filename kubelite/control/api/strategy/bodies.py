"""Bodies that are no stored objects (a Binding, an Eviction, DeleteOptions), checked against their
schemas. Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kubelite.control.api.schema import structs
from kubelite.control.api.schema.decoding import without_nulls, wrong_types
from kubelite.control.api.wire.status import bad_request


def typed(name: str, value: Any) -> dict[str, Any]:
    """The body as far as the schema ``name`` (``policy.v1.Eviction``) knows it. Raises StatusError
    400 for wrong types.
    """
    kind = name.rpartition(".")[2]
    if not isinstance(value, dict):
        raise bad_request(f"the body of the request is not an object of kind {kind}")
    try:
        document: dict[str, Any] = structs.write(_read(name, value))
    except msgspec.ValidationError as error:
        why = next(wrong_types(name, value, ""), str(error))
        version = name.split(".")[-2]
        raise bad_request(
            f'{kind} in version "{version}" cannot be handled as a {kind}: {why}'
        ) from None
    return document


def _read(name: str, value: dict[str, Any]) -> Any:
    """The struct of a body; nulls and unknown fields, which few have, are looked for when it cannot
    be read as it is. Raises ValidationError.
    """
    try:
        return structs.read(name, value, strict=True)
    except msgspec.ValidationError:
        return structs.read(name, without_nulls(value, name))
