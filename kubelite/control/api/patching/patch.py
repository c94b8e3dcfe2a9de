"""The three patches that change a document without owning fields: JSON patch, merge patch,
strategic merge patch. Pure.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.control.api.patching import strategic
from kubelite.control.api.wire.status import (
    Cause,
    StatusError,
    bad_request,
    details,
    unsupported_media_type,
)
from kubelite.objects.facts import schema

if TYPE_CHECKING:
    from kubelite.control.api.wire.resource import Resource

Object = dict[str, Any]
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
MAX_OPERATIONS = 10_000
MAX_COPIED = 3 << 20


class _Inapplicable(Exception):
    """The patch is well formed and does not fit the document."""


def apply(content_type: str, res: Resource, live: Object, patch: Any) -> Object:
    """The patched document. Raises StatusError: 400 malformed, 413 too many operations, 415 not
    offered, 422 does not fit.
    """
    if content_type == JSON_PATCH:
        return _json_patched(live, patch)
    if not isinstance(patch, dict):
        raise bad_request(f"the patch must be a JSON object, not {type(patch).__name__}")
    if content_type == MERGE_PATCH:
        merged: Object = merge(live, patch)
        return merged
    name = schema.name_of(res.group, res.version, res.kind)
    if content_type != STRATEGIC_PATCH or res.crd is not None or name is None:
        raise unsupported_media_type(accepted(res))
    try:
        return strategic.patch(name, live, patch)
    except strategic.BadPatch as error:
        raise bad_request(str(error)) from None


def accepted(res: Resource) -> tuple[str, ...]:
    """Content types that a PATCH of the resource may have."""
    return (
        JSON_PATCH,
        MERGE_PATCH,
        *(() if res.crd is not None else (STRATEGIC_PATCH,)),
        APPLY_PATCH,
    )


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386: maps are merged, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merge(found.get(key), value)
    return found


def _json_patched(live: Object, operations: Any) -> Object:
    if not isinstance(operations, list) or not all(isinstance(each, dict) for each in operations):
        raise bad_request("a JSON patch is a list of operations (RFC 6902)")
    if len(operations) > MAX_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        raise StatusError(413, "RequestEntityTooLarge", message)
    document: Any = copy.deepcopy(live)
    copied = 0
    try:
        for each in operations:
            if each.get("op") == "copy":
                copied += len(msgspec.json.encode(_get(document, _pointer(each.get("from")))))
                _check_copied(copied)
            document = _operate(document, each)
    except _Inapplicable as error:
        told = details(causes=[Cause("UnexpectedServerResponse", str(error))])
        message = "the server rejected our request due to an error in our request"
        raise StatusError(422, "Invalid", message, told) from None
    if not isinstance(document, dict):
        raise bad_request("the JSON patch leaves no object behind")
    return document


def _check_copied(size: int) -> None:
    """A patch that copies copies doubles with every operation. Raises StatusError 413."""
    if size > MAX_COPIED:
        message = f"unable to complete the copy: the copies of the JSON patch are {size} bytes, the limit is {MAX_COPIED}"
        raise StatusError(413, "RequestEntityTooLarge", message)


def _operate(document: Any, operation: Object) -> Any:
    """RFC 6902, one operation."""
    kind, path = operation.get("op"), _pointer(operation.get("path"))
    if kind in ("add", "replace", "test") and "value" not in operation:
        raise bad_request(f'the "{kind}" operation of a JSON patch needs a "value"')
    match kind:
        case "add":
            return _add(document, path, copy.deepcopy(operation["value"]))
        case "remove":
            return _remove(document, path)[0]
        case "replace":
            if not path:
                return copy.deepcopy(operation["value"])
            return _add(_remove(document, path)[0], path, copy.deepcopy(operation["value"]))
        case "move":
            source = _pointer(operation.get("from"))
            if path[: len(source)] == source and len(path) > len(source):
                raise _Inapplicable(
                    f"move operation does not apply: {_text(path)} lies within {_text(source)}"
                )
            document, value = _remove(document, source)
            return _add(document, path, value)
        case "copy":
            return _add(
                document, path, copy.deepcopy(_get(document, _pointer(operation.get("from"))))
            )
        case "test":
            if not _equal(_get(document, path), operation["value"]):
                raise _Inapplicable(f"testing value {_text(path)} failed: test failed")
            return document
    raise bad_request(f"{kind!r} is no operation of a JSON patch (RFC 6902)")


def _pointer(text: Any) -> list[str]:
    """RFC 6901."""
    if text == "":
        return []
    if not isinstance(text, str) or not text.startswith("/"):
        raise bad_request(
            f"{text!r} is no JSON pointer (RFC 6901): it must be empty or begin with /"
        )
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


def _text(path: list[str]) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def _missing(path: list[str]) -> _Inapplicable:
    return _Inapplicable(f'doc is missing path: "{_text(path)}": missing value')


def _get(document: Any, path: list[str]) -> Any:
    at = document
    for part in path:
        if isinstance(at, dict) and part in at:
            at = at[part]
        elif isinstance(at, list) and (index := _index(part, len(at))) < len(at):
            at = at[index]
        else:
            raise _missing(path)
    return at


def _index(part: str, most: int) -> int:
    """A place in a list: below ``most``, or ``most`` itself for ``-``."""
    if part == "-":
        return most
    if not part.isdecimal() or (part != "0" and part[0] == "0") or int(part) > most:
        raise _Inapplicable(f"unable to access invalid index: {part}")
    return int(part)


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    holder = _get(document, path[:-1])
    if isinstance(holder, dict):
        holder[path[-1]] = value
    elif isinstance(holder, list):
        holder.insert(_index(path[-1], len(holder)), value)
    else:
        raise _missing(path)
    return document


def _remove(document: Any, path: list[str]) -> tuple[Any, Any]:
    """The document without the value at a path, and that value."""
    if not path:
        raise _Inapplicable("remove operation does not apply: the whole document cannot be removed")
    value = _get(document, path)
    holder = _get(document, path[:-1])
    if isinstance(holder, dict):
        del holder[path[-1]]
    else:
        del holder[_index(path[-1], len(holder))]
    return document, value


def _equal(left: Any, right: Any) -> bool:
    """Equality of JSON values: 1 and true differ."""
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right)
