"""POST of a TokenRequest to a ServiceAccount: a fresh token for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api import codec
from kubelite.control.api.answer import Answer, json_answer
from kubelite.control.api.context import timestamp
from kubelite.control.api.documents import load
from kubelite.control.api.nodes import GROUP
from kubelite.control.api.status import Cause, bad_request, conflict, forbidden, invalid, not_found
from kubelite.control.api.tokens import LONGEST, ORDINARY, SHORTEST, Bound

if TYPE_CHECKING:
    from kubelite.control.api.context import Context
    from kubelite.control.api.request import Request

_BINDABLE = {"Pod": ("", "pods"), "Secret": ("", "secrets"), "Node": ("", "nodes")}


async def create(context: Context, request: Request) -> Answer:
    """Signs a token as wished. Raises StatusError."""
    value = codec.decode(await request.read_body(), request.content_type).value
    spec = value.get("spec") if isinstance(value, dict) else None
    if not isinstance(spec, dict):
        raise bad_request("the body of the request is not a TokenRequest with a spec")
    entry = await context.store.get("serviceaccounts", request.namespace, request.name)
    if entry is None:
        raise not_found(request.resource, request.name)
    seconds = _seconds(request, spec)
    bound = await _bound(context, request, spec.get("boundObjectRef"))
    audiences = [str(each) for each in spec.get("audiences") or ()]
    uid = load(entry)["metadata"]["uid"]
    token, expires = context.tokens.sign(request.namespace, request.name, uid, audiences=audiences, seconds=seconds, bound=bound)
    return json_answer(_token_request(context, request, spec, audiences, seconds, token, expires), 201)


def _token_request(
    context: Context,
    request: Request,
    spec: dict[str, Any],
    audiences: list[str],
    seconds: int,
    token: str,
    expires: int,
) -> dict[str, Any]:
    from datetime import UTC, datetime

    when = timestamp(datetime.fromtimestamp(expires, UTC))
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": request.name, "namespace": request.namespace, "creationTimestamp": timestamp()},
        "spec": {
            "audiences": audiences or [context.tokens.issuer],
            "expirationSeconds": seconds,
            "boundObjectRef": spec.get("boundObjectRef"),
        },
        "status": {"token": token, "expirationTimestamp": when},
    }


def _seconds(request: Request, spec: dict[str, Any]) -> int:
    seconds = spec.get("expirationSeconds") or ORDINARY
    if not isinstance(seconds, int) or not SHORTEST <= seconds <= LONGEST:
        short = isinstance(seconds, int) and seconds < SHORTEST
        bound = "may not specify a duration less than 10 minutes" if short else "may not specify such a duration"
        cause = Cause("FieldValueInvalid", f"Invalid value: {seconds}: {bound}", "spec.expirationSeconds")
        raise invalid(request.resource, request.name, [cause])
    return seconds


async def _bound(context: Context, request: Request, reference: Any) -> Bound | None:
    """The object that a token is to be bound to, which must be there. Raises StatusError."""
    if not reference:
        if GROUP in request.user.groups:
            raise forbidden(request.resource, request.name, "a node may only ask for tokens bound to a pod of its own")
        return None
    kind, name = reference.get("kind", ""), reference.get("name", "")
    if kind not in _BINDABLE:
        raise bad_request(f"cannot bind token to object of type {kind!r}")
    res = context.registry.builtin(*_BINDABLE[kind])
    entry = await context.store.get(res.prefix, request.namespace if res.namespaced else "", name)
    if entry is None:
        raise not_found(res, name)
    obj = load(entry)
    uid = obj["metadata"]["uid"]
    if reference.get("uid", uid) != uid:
        why = f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record"
        raise conflict(res, name, why)
    if GROUP in request.user.groups and f"system:node:{obj.get('spec', {}).get('nodeName')}" != request.user.name:
        raise forbidden(request.resource, request.name, "a node may only ask for tokens bound to a pod of its own")
    return Bound(kind, name, uid)
