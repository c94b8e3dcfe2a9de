"""POST of a TokenRequest to a ServiceAccount: a fresh token for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.auth.node_authorizer import GROUP, USER
from kubelite.control.api.auth.tokens import LONGEST, ORDINARY, SHORTEST, Bound
from kubelite.control.api.strategy.bodies import typed
from kubelite.control.api.verbs.read import entry_of
from kubelite.control.api.wire import codec
from kubelite.control.api.wire.answer import Answer, json_answer
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.resource import Resource
from kubelite.control.api.wire.status import (
    Cause,
    bad_request,
    conflict,
    invalid,
    not_found,
    refused,
)
from kubelite.control.api.wire.timestamp import timestamp
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.wire.request import Request

_BINDABLE = {"Pod": ("", "pods"), "Secret": ("", "secrets"), "Node": ("", "nodes")}

_REQUEST = Resource(
    "authentication.k8s.io", "v1", "TokenRequest", "tokenrequests", "", True, "", ""
)


async def create(context: Context, request: Request) -> Answer:
    """Signs a token as wished. Raises StatusError."""
    body = codec.decode(await request.read_body(), request.content_type).value
    spec = typed("authentication.v1.TokenRequest", body)["spec"]
    entry = await entry_of(context.store, request)
    seconds = _seconds(request, spec)
    reference = spec.get("boundObjectRef") or {}
    held = await _held(context, request, reference)
    _check_node(request, spec, reference, held)
    audiences = [audience for audience in spec.get("audiences") or () if audience]
    uid = load(entry)["metadata"]["uid"]
    bound = await _bound(context, reference.get("kind", ""), held)
    token, expires = context.tokens.sign(
        request.namespace, request.name, uid, audiences=audiences, seconds=seconds, bound=bound
    )
    return json_answer(
        _token_request(context, request, spec, audiences, seconds, token, expires), 201
    )


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
        "metadata": {
            "name": request.name,
            "namespace": request.namespace,
            "creationTimestamp": timestamp(),
        },
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
        bound = (
            "may not specify a duration less than 10 minutes"
            if short
            else "may not specify a duration larger than 2^32 seconds"
        )
        cause = Cause(
            "FieldValueInvalid", f"Invalid value: {seconds}: {bound}", "spec.expirationSeconds"
        )
        raise invalid(_REQUEST, "", [cause])
    return seconds


async def _held(context: Context, request: Request, reference: Object) -> Object:
    """The object that a token is to be bound to, which must be there; {} for none. Raises
    StatusError.
    """
    if not reference:
        return {}
    kind, name = reference.get("kind", ""), reference.get("name", "")
    if kind not in _BINDABLE:
        raise bad_request(f"cannot bind token to object of type {kind!r}")
    res = context.registry.builtin(*_BINDABLE[kind])
    entry = await context.store.get(res.prefix, request.namespace if res.namespaced else "", name)
    if entry is None:
        raise not_found(res, name)
    held = load(entry)
    uid = held["metadata"]["uid"]
    if reference.get("uid", uid) != uid:
        why = (
            f"the UID in the bound object reference ({reference['uid']}) does not match the UID in "
            "record"
        )
        raise conflict(res, name, why)
    if kind == "Pod" and held.get("spec", {}).get("serviceAccountName") != request.name:
        raise bad_request(
            f'cannot bind token for serviceaccount "{request.name}" to pod running with different '
            "serviceaccount name"
        )
    return held


async def _bound(context: Context, kind: str, held: Object) -> tuple[Bound, ...]:
    """What goes into the token: the object, and for a pod the node that it is on."""
    if not held:
        return ()
    bound = Bound(kind, held["metadata"]["name"], held["metadata"]["uid"])
    name = str(held.get("spec", {}).get("nodeName", "")) if kind == "Pod" else ""
    node = await context.store.get("minions", "", name) if name else None
    return (
        (bound, Bound("Node", name, load(node)["metadata"]["uid"]))
        if node is not None
        else (bound,)
    )


def _check_node(request: Request, spec: Object, reference: Object, held: Object) -> None:
    """A node asks for tokens of its own pods, for whom these say that they speak to. Raises
    StatusError 403.
    """
    user = request.user
    if GROUP not in user.groups or not user.name.startswith(USER):
        return
    wanted, why = {audience for audience in spec.get("audiences") or () if audience}, ""
    if reference.get("kind") != "Pod":
        why = "node requested token not bound to a pod"
    elif not reference.get("uid"):
        why = "node requested token with a pod binding without a uid"
    elif USER + held["spec"].get("nodeName", "") != user.name:
        why = "node requested token bound to a pod scheduled on a different node"
    elif wanted - audiences_of(held["spec"]):
        why = f"audience {min(wanted - audiences_of(held['spec']))!r} not found in pod spec volume"
    if why:
        raise refused(request.resource, request.name, why)


def audiences_of(spec: Object) -> set[str]:
    """The audiences that the projected tokens of a pod name."""
    sources = [
        source
        for volume in spec.get("volumes") or ()
        for source in (volume.get("projected") or {}).get("sources") or ()
    ]
    return {
        str(source["serviceAccountToken"].get("audience", ""))
        for source in sources
        if source.get("serviceAccountToken")
    }
