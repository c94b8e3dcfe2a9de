"""A write as webhooks and expressions see it: the AdmissionRequest. Pure but for its uid."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from kubelite.control.api.strategy import strategy
from kubelite.control.api.wire.request import user_info
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt
    from kubelite.control.api.wire.resource import Resource

_OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


def admission_request(attempt: Attempt, matched: Resource) -> Object:
    """The ``request`` of an AdmissionReview; objects are in the version of ``matched``."""
    res, request = attempt.request.resource, attempt.request
    options: Object = {}
    if attempt.operation in _OPTIONS:
        options = {"kind": _OPTIONS[attempt.operation], "apiVersion": "meta.k8s.io/v1"}
    if manager := request.query.text("fieldManager"):
        options["fieldManager"] = manager
    if attempt.dry_run:
        options["dryRun"] = ["All"]
    every: Object = {
        "uid": str(uuid.uuid4()),
        "kind": _kind(matched),
        "resource": _resource(matched),
        "subResource": request.sub,
        "requestKind": _kind(res),
        "requestResource": _resource(res),
        "requestSubResource": request.sub,
        "name": attempt.name,
        "namespace": namespace_of(attempt),
        "operation": attempt.operation,
        "userInfo": user_info(request.user),
        "object": as_version(attempt.obj or None, matched),
        "oldObject": as_version(attempt.old, matched),
        "dryRun": attempt.dry_run,
        "options": options,
    }
    if attempt.operation == "CONNECT":
        kind = {"group": "", "version": "v1", "kind": attempt.obj["kind"]}
        every |= {"kind": kind, "requestKind": kind, "object": attempt.obj, "options": None}
    return {key: value for key, value in every.items() if value not in ("", None)} | {
        "object": every["object"],
        "oldObject": every["oldObject"],
    }


def namespace_of(attempt: Attempt) -> str:
    """The namespace of a write; a Namespace lies in itself."""
    res = attempt.request.resource
    if res.plural == "namespaces" and not res.group:
        return attempt.name
    return attempt.namespace


def as_version(obj: Object | None, res: Resource) -> Object | None:
    """An object in the version of a resource."""
    return strategy.served(res, obj) if obj else None


def _kind(res: Resource) -> Object:
    return {"group": res.group, "version": res.version, "kind": res.kind}


def _resource(res: Resource) -> Object:
    return {"group": res.group, "version": res.version, "resource": res.plural}
