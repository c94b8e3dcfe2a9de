"""PATCH: JSON patch, merge patch, strategic merge patch, and server-side apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.patching import managed_fields, patch
from kubelite.control.api.strategy import strategy
from kubelite.control.api.verbs.identity import check_name, give_identity, settle_namespace
from kubelite.control.api.verbs.write import (
    answer,
    change_object,
    check_kind,
    check_may_create,
    create_object,
    work_on,
)
from kubelite.control.api.verbs.write_options import write_options
from kubelite.control.api.wire import codec
from kubelite.control.api.wire.aside import aside
from kubelite.control.api.wire.documents import encode
from kubelite.control.api.wire.status import (
    StatusError,
    bad_request,
    not_found,
    undecodable_patch,
    unsupported_media_type,
)
from kubelite.control.api.wire.timestamp import timestamp
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.verbs.write_options import WriteOptions
    from kubelite.control.api.wire.answer import Answer
    from kubelite.control.api.wire.request import Request


async def patch_object(context: Context, request: Request) -> Answer:
    """PATCH of any of the four kinds. Raises StatusError."""
    kind = request.content_type
    if kind not in patch.accepted(request.resource):
        raise unsupported_media_type(patch.accepted(request.resource))
    options = write_options(request, is_apply=kind == patch.APPLY_PATCH)
    data = await request.read_body()
    if kind == patch.APPLY_PATCH:
        return await _apply(context, request, options, data)
    mode = options.validation
    value, duplicates = await aside(len(data), _decoded, codec.read_patch, data, mode)
    options = options._replace(size=work_on(request.resource, data))

    def make(old: Object) -> tuple[Object, list[str]]:
        patched = patch.apply(kind, request.resource, old, value)
        _check_patched(request, patched)
        try:
            check_kind(request.resource, patched)
            return strategy.conform(
                request.resource, patched, validation=mode, duplicates=duplicates, old=old
            )
        except StatusError as error:
            raise _undecodable(error, patched) from error

    return await answer(request, await change_object(context, request, make, options))


def _decoded(read: Callable[[bytes], Any], data: bytes, mode: str) -> tuple[Any, tuple[str, ...]]:
    """A body and the fields that it gives twice. Raises StatusError."""
    value = read(data)
    checked = mode != "Ignore" and codec.may_repeat(data, value)
    return value, codec.find_duplicates(data) if checked else ()


def _undecodable(error: StatusError, patched: Object) -> StatusError:
    """The patched document is no object of the kind: the patch is at fault, not the body."""
    if error.code != 400:
        return error
    return undecodable_patch(encode(patched).decode(), str(error))


def _check_patched(request: Request, patched: Object) -> None:
    metadata = patched.get("metadata")
    if not isinstance(metadata, dict):
        raise bad_request("the metadata of an object cannot be removed by a patch")
    if not isinstance(metadata.get("name"), str | None):
        raise undecodable_patch(encode(patched).decode(), "metadata.name is not a string")
    check_name(request, metadata)
    settle_namespace(request, metadata)


async def _apply(context: Context, request: Request, options: WriteOptions, data: bytes) -> Answer:
    """Server-side apply: creates what is not there."""
    res = request.resource
    mode = options.validation
    value, duplicates = await aside(len(data), _decoded, codec.read_json_or_yaml, data, mode)
    options = options._replace(size=work_on(request.resource, data))
    if duplicates and mode == "Strict":
        listed = ", ".join(f'duplicate field "{path}"' for path in duplicates)
        raise bad_request(f"error strict decoding YAML: {listed}")
    is_named = _check_applied(request, value)

    def merged(old: Object | None) -> Object:
        return managed_fields.apply(
            res,
            old,
            value,
            manager=options.manager,
            force=options.force,
            now=timestamp(),
            subresource=request.sub,
        )

    def make(old: Object) -> tuple[Object, list[str]]:
        return strategy.conform(res, merged(old), validation=mode, duplicates=duplicates, old=old)

    if await context.store.get(res.prefix, request.namespace, request.name) is None:
        if request.sub:
            raise not_found(res, request.name)
        check_may_create(context, request)
        if not is_named:
            check_name(request, {})
        obj, warning_texts = await aside(
            options.size,
            lambda: strategy.conform(res, merged(None), validation=mode, duplicates=duplicates),
        )
        give_identity(request, obj)
        result = await create_object(context, request, obj, warning_texts, options)
        return await answer(request, result)
    return await answer(request, await change_object(context, request, make, options))


def _check_applied(request: Request, value: Any) -> bool:
    """Whether a body can be applied; fills in what the path says. Returns whether it has a name.
    Raises StatusError 400.
    """
    if not isinstance(value, dict):
        raise bad_request("the body of an apply is not an object")
    group, _, version = str(value.get("apiVersion") or "").rpartition("/")
    kind = value.get("kind") or ""
    if (group, version, kind) != (*request.resource.gv.rpartition("/")[::2], request.resource.kind):
        raise bad_request(f"invalid object type: {group}/{version}, Kind={kind}")
    if value.get("metadata") is None:
        value["metadata"] = {}
    metadata = value["metadata"]
    if not isinstance(metadata, dict):
        raise bad_request("the metadata of an object must be an object")
    settle_namespace(request, metadata)
    is_named = bool(metadata.get("name"))
    check_name(request, metadata if is_named else metadata | {"name": request.name})
    metadata["name"] = request.name
    return is_named
