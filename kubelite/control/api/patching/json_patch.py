"""JSON patch (RFC 6902) as Kubernetes applies it. Pure.

The servers use a library that is laxer than the RFC, and clients rely on it: ``replace`` of an
absent member adds it, ``add`` without a value adds null, ``test`` against null holds for an absent
member, and a negative index counts from the end (evanphx/json-patch v4).
"""

from __future__ import annotations

import copy
import re
from typing import Any

import msgspec

from kubelite.control.api.schema import structs
from kubelite.control.api.wire.status import StatusError, bad_request
from kubelite.lib.json import Object

MAX_OPERATIONS = 10_000
MAX_COPIED = 3 << 20
_INDEX = re.compile(r"[+-]?[0-9]{1,9}")


class _Inapplicable(Exception):
    """The patch is well formed and does not fit the document."""


def apply(live: Object, operations: Any) -> Object:
    """The patched document. Raises StatusError: 400 malformed, 413 too many operations or too much
    copied, 422 does not fit.
    """
    if not isinstance(operations, list):
        raise _undecodable(operations, "[]handlers.jsonPatchOp")
    for operation in operations:
        if not isinstance(operation, dict):
            raise _undecodable(operation, "handlers.jsonPatchOp")
    if len(operations) > MAX_OPERATIONS:
        limit = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}"
        raise _too_large(f"{limit}, got {len(operations)}")
    document: Any = copy.deepcopy(live)
    copied = 0
    try:
        for operation in operations:
            if operation.get("op") == "copy":
                source = _get(document, _pointer(operation, "from"))
                copied += len(msgspec.json.encode(source))
                _check_copied(copied)
            document = _operate(document, operation)
    except _Inapplicable:
        message = "the server rejected our request due to an error in our request"
        raise StatusError(422, "Invalid", message, {}) from None
    if not isinstance(document, dict):
        raise bad_request("the JSON patch leaves no object behind")
    return document


def _undecodable(value: Any, go_type: str) -> StatusError:
    why = f"json: cannot unmarshal {structs.json_kind(value)} into Go value of type {go_type}"
    return bad_request(f"error decoding patch: {why}")


def _too_large(message: str) -> StatusError:
    return StatusError(413, "RequestEntityTooLarge", message)


def _check_copied(size: int) -> None:
    """A patch that copies copies doubles with every operation. Raises StatusError 413."""
    if size > MAX_COPIED:
        text = f"the copies of the JSON patch are {size} bytes, the limit is {MAX_COPIED}"
        raise _too_large(f"unable to complete the copy: {text}")


def _operate(document: Any, operation: Object) -> Any:
    """One operation. Raises _Inapplicable."""
    path = _pointer(operation, "path")
    match operation.get("op"):
        case "add":
            _add(document, path, _value(operation))
        case "remove":
            _remove(document, path)
        case "replace":
            if not path:
                return _value(operation)
            _replace(document, path, _value(operation))
        case "move":
            source = _pointer(operation, "from")
            _add(document, path, _remove(document, source))
        case "copy":
            _add(document, path, copy.deepcopy(_get(document, _pointer(operation, "from"))))
        case "test":
            if not _equal(_get_or_null(document, path), operation.get("value")):
                raise _Inapplicable(f"testing value {_text(path)} failed")
        case other:
            raise _Inapplicable(f"Unexpected kind: {other}")
    return document


def _value(operation: Object) -> Any:
    return copy.deepcopy(operation.get("value"))


def _pointer(operation: Object, name: str) -> list[str]:
    """RFC 6901. What stands before the first slash is ignored, as the library does."""
    text = operation.get(name)
    if not isinstance(text, str):
        raise _Inapplicable(f"operation missing {name} field")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _text(path: list[str]) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def _missing(path: list[str]) -> _Inapplicable:
    return _Inapplicable(f'doc is missing path: "{_text(path)}": missing value')


def _holder(document: Any, path: list[str]) -> Any:
    """The object or list that a path's last part is in."""
    if not path:
        raise _missing(path)
    node = document
    for part in path[:-1]:
        node = _child(node, part, path)
    if not isinstance(node, dict | list):
        raise _missing(path)
    return node


def _child(node: Any, part: str, path: list[str]) -> Any:
    if isinstance(node, dict) and part in node:
        return node[part]
    if isinstance(node, list):
        return node[_index(part, len(node))]
    raise _missing(path)


def _index(part: str, size: int) -> int:
    """A place in a list of ``size`` items; a negative one counts from the end."""
    if not _INDEX.fullmatch(part):
        raise _Inapplicable(f"invalid index: {part}")
    index = int(part)
    if not -size <= index < size:
        raise _Inapplicable(f"unable to access invalid index: {part}")
    return index % size


def _get(document: Any, path: list[str]) -> Any:
    return _child(_holder(document, path), path[-1], path)


def _get_or_null(document: Any, path: list[str]) -> Any:
    if not path:
        return document
    holder = _holder(document, path)
    return holder.get(path[-1]) if isinstance(holder, dict) else _get(document, path)


def _add(document: Any, path: list[str], value: Any) -> None:
    holder = _holder(document, path)
    if isinstance(holder, dict):
        holder[path[-1]] = value
    elif path[-1] == "-":
        holder.append(value)
    else:
        holder.insert(_index(path[-1], len(holder) + 1), value)


def _replace(document: Any, path: list[str], value: Any) -> None:
    holder = _holder(document, path)
    if isinstance(holder, dict):
        holder[path[-1]] = value
    else:
        holder[_index(path[-1], len(holder))] = value


def _remove(document: Any, path: list[str]) -> Any:
    """Takes the value at a path out, and returns it."""
    holder = _holder(document, path)
    if isinstance(holder, dict):
        if path[-1] not in holder:
            raise _Inapplicable(f"Unable to remove nonexistent key: {path[-1]}")
        return holder.pop(path[-1])
    return holder.pop(_index(path[-1], len(holder)))


def _equal(left: Any, right: Any) -> bool:
    """Equality of JSON values: 1 and true differ."""
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right)
