"""``/scale``: the number of replicas of a workload, whatever else the workload is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.control.api.patching import managed_fields, patch
from kubelite.control.api.strategy.bodies import typed
from kubelite.control.api.verbs.identity import check_name
from kubelite.control.api.verbs.read import entry_of
from kubelite.control.api.verbs.write import change_object
from kubelite.control.api.verbs.write_options import write_options
from kubelite.control.api.wire import causes, codec
from kubelite.control.api.wire.answer import json_answer
from kubelite.control.api.wire.documents import copy, encode, load
from kubelite.control.api.wire.resource import Resource
from kubelite.control.api.wire.status import (
    Cause,
    StatusError,
    apply_conflict,
    bad_request,
    invalid,
    undecodable_patch,
    unsupported_media_type,
)
from kubelite.control.api.wire.timestamp import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.verbs.write_options import WriteOptions
    from kubelite.control.api.wire.answer import Answer
    from kubelite.control.api.wire.request import Request

SCALE = "autoscaling.v1.Scale"
_SCALE = Resource("autoscaling", "v1", "Scale", "scales", "scale", True, "", "autoscaling/v1")
_MERGE_PATCHES = {
    patch.STRATEGIC_PATCH: patch.MERGE_PATCH,  # a Scale has no list to merge by key
    patch.MERGE_PATCH: patch.MERGE_PATCH,
    patch.JSON_PATCH: patch.JSON_PATCH,
}


async def get_scale(context: Context, request: Request) -> Answer:
    """GET of ``/scale``. Raises StatusError."""
    return json_answer(scale_of(request.resource, load(await entry_of(context.store, request))))


def scale_of(res: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """The Scale of a workload."""
    paths = res.scale_paths
    metadata = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    replicas = at(obj, paths["specReplicasPath"])
    status: dict[str, Any] = {"replicas": at(obj, paths["statusReplicasPath"]) or 0}
    selector = _selector_text(res, obj, paths.get("labelSelectorPath", ""))
    if selector:
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def at(obj: dict[str, Any], path: str) -> Any:
    """The value at a simple JSON path like ``.spec.replicas``; None where there is none."""
    value: Any = obj
    for part in path.strip(".").split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _selector_text(res: Resource, obj: dict[str, Any], path: str) -> str:
    if res.crd is not None:
        return str(at(obj, path) or "") if path else ""
    selector = obj.get("spec", {}).get("selector") or {}
    if res.plural == "replicationcontrollers":
        selector = {"matchLabels": selector}
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    operators = {"In": "in", "NotIn": "notin"}
    for expression in selector.get("matchExpressions") or ():
        if operator := operators.get(expression["operator"]):
            values = ",".join(sorted(expression["values"]))
            terms.append(f"{expression['key']} {operator} ({values})")
        else:
            terms.append(
                expression["key"] if expression["operator"] == "Exists" else f"!{expression['key']}"
            )
    return ",".join(terms)


async def put_scale(context: Context, request: Request) -> Answer:
    """PUT of ``/scale``. Raises StatusError."""
    options = write_options(request)
    value = codec.decode(await request.read_body(), request.content_type).value
    return await _change_scale(context, request, options, lambda _: _read(value))


async def patch_scale(context: Context, request: Request) -> Answer:
    """PATCH of ``/scale``. Raises StatusError."""
    kind = request.content_type
    if kind not in patch.accepted(request.resource):
        raise unsupported_media_type(patch.accepted(request.resource))
    options = write_options(request, is_apply=kind == patch.APPLY_PATCH)
    data = await request.read_body()
    if kind == patch.APPLY_PATCH:
        return await _apply_scale(context, request, options, codec.read_json_or_yaml(data))
    value = codec.read_json(data)

    def make(scale: dict[str, Any]) -> dict[str, Any]:
        patched = patch.apply(_MERGE_PATCHES[kind], request.resource, scale, value)
        try:
            return _read(patched)
        except StatusError as error:
            raise undecodable_patch(encode(patched).decode(), str(error)) from error

    return await _change_scale(context, request, options, make)


def _read(value: Any) -> dict[str, Any]:
    """A Scale. Raises StatusError 400 for a document that is none."""
    if isinstance(value, dict):
        given = (value.get("kind") or "Scale", value.get("apiVersion") or "autoscaling/v1")
        if given[0] != "Scale" or not given[1].endswith(("/v1", "/v1beta1", "/v1beta2")):
            version = given[1].rpartition("/")[2]
            raise bad_request(
                f'{given[0]} in version "{version}" cannot be handled as a Scale: no kind '
                f'"{given[0]}" is registered for version "{given[1]}" in scheme '
                '"pkg/api/legacyscheme/scheme.go:30"'
            )
    return typed(SCALE, value)


async def _change_scale(
    context: Context,
    request: Request,
    options: WriteOptions,
    make: Callable[[dict[str, Any]], dict[str, Any]],
) -> Answer:
    """Carries a change of the Scale over to the workload itself."""
    res = request.resource

    def change(old: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        scale = make(scale_of(res, old))
        new = copy(old)
        _put(new, res.scale_paths["specReplicasPath"], _checked_replicas(request, scale))
        for name in ("resourceVersion", "uid"):
            new["metadata"][name] = scale["metadata"].get(name, "")
        return new, []

    plain = msgspec.structs.replace(request, content_type="application/json")
    result = await change_object(context, plain, change, options, checks_uid=True)
    return json_answer(scale_of(res, load(result.entry)))


async def _apply_scale(
    context: Context, request: Request, options: WriteOptions, value: Any
) -> Answer:
    """Server-side apply: the replicas of the workload are what can be in conflict."""
    res = request.resource
    scale = _read(value)
    replicas = _checked_replicas(request, scale)
    path = res.scale_paths["specReplicasPath"]
    applied: dict[str, Any] = {
        "kind": res.kind,
        "apiVersion": res.gv,
        "metadata": {"name": request.name, "namespace": request.namespace},
    }
    if "replicas" in (value.get("spec") or {}):
        _put(applied, path, replicas)

    def change(old: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        try:
            merged = managed_fields.apply(
                res,
                old,
                applied,
                manager=options.manager,
                force=options.force,
                now=timestamp(),
                subresource="scale",
            )
        except StatusError as error:
            raise _as_scale_conflict(error, res.gv, path) from error
        return copy(merged), []

    result = await change_object(context, request, change, options)
    return json_answer(scale_of(res, load(result.entry)))


def _as_scale_conflict(error: StatusError, version: str, path: str) -> StatusError:
    """A conflict about the workload's replicas, in terms of the Scale."""
    listed = (error.status.get("details") or {}).get("causes") or []
    if error.code != 409 or not listed:
        return error
    return apply_conflict(
        [
            Cause(
                cause["reason"],
                cause["message"].replace(f"using {version}", "using autoscaling/v1"),
                cause["field"].replace(path, ".spec.replicas"),
            )
            for cause in listed
        ]
    )


def _checked_replicas(request: Request, scale: dict[str, Any]) -> int:
    check_name(request, {"name": request.name, **scale["metadata"]})
    replicas = int(scale["spec"].get("replicas", 0))
    if replicas < 0 and request.resource.crd is None:  # a custom kind's schema says it itself
        why = "must be greater than or equal to 0"
        raise invalid(_SCALE, request.name, [causes.invalid("spec.replicas", replicas, why)])
    return replicas


def _put(obj: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.strip(".").split(".")
    for part in parents:
        obj = obj.setdefault(part, {})
    obj[last] = value
