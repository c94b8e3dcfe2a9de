"""DELETE: at once, gracefully, or when the finalizers are gone; of one object or of a collection.

Pods get time to end and are removed by their node with a grace of zero; everything else goes at
once unless somebody holds a finalizer on it (apiserver, ``registry/generic/registry/store.go`` and
``registry/rest/delete.go``).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.admission.chain import Attempt
from kubelite.control.api.strategy import strategy
from kubelite.control.api.strategy.bodies import typed
from kubelite.control.api.strategy.commit import remove, write
from kubelite.control.api.verbs.read import find, shown, wanted
from kubelite.control.api.verbs.write import ATTEMPTS, may_go
from kubelite.control.api.wire import codec
from kubelite.control.api.wire.answer import Answer, json_answer
from kubelite.control.api.wire.documents import encode, listing, load
from kubelite.control.api.wire.status import (
    Cause,
    StatusError,
    conflict,
    not_found,
    success,
)
from kubelite.control.api.wire.timestamp import timestamp
from kubelite.control.store.types import Conflict

if TYPE_CHECKING:
    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.wire.request import Request
    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.store.types import Entry

_POLICY_FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}
DEFAULT_GRACE = 30


class Options(NamedTuple):
    """DeleteOptions, from the body or from the query."""

    grace: int | None
    policy: str
    uid: str
    revision: str
    dry_run: bool


class Deleted(NamedTuple):
    """What a deletion came to: the object as it was left, and whether it is gone."""

    obj: dict[str, Any]
    gone: bool


async def delete(context: Context, request: Request) -> Answer:
    """DELETE of one object. Raises StatusError."""
    options = await read_options(request)
    done = await delete_one(context, request, request.namespace, request.name, options)
    res = request.resource
    if done.gone and not strategy.returns_object_on_delete(res):
        metadata = done.obj["metadata"]
        return json_answer(success(res, metadata["name"], metadata["uid"]))
    return shown(request, done.obj)


async def read_options(request: Request) -> Options:
    """The options of a deletion. Raises StatusError."""
    data = await request.read_body()
    return options_of(
        request, codec.decode(data, request.content_type).value if data.strip() else {}
    )


def options_of(request: Request, body: Any) -> Options:
    """DeleteOptions as a value, with what the query says beside it. Raises StatusError."""
    body = typed("meta.v1.DeleteOptions", body)
    conditions = body.get("preconditions") or {}
    grace = body.get("gracePeriodSeconds", request.query.number("gracePeriodSeconds"))
    policy = body.get("propagationPolicy") or request.query.text("propagationPolicy")
    if body.get("orphanDependents") is not None and not policy:
        policy = "Orphan" if body["orphanDependents"] else "Background"
    if policy not in ("", "Background", *_POLICY_FINALIZERS):
        raise _bad_policy(policy)
    dry_run = request.query.dry_run() or bool(body.get("dryRun"))
    return Options(
        grace, policy, conditions.get("uid", ""), conditions.get("resourceVersion", ""), dry_run
    )


def _bad_policy(policy: str) -> StatusError:
    supported = 'supported values: "Foreground", "Background", "Orphan", "nil"'
    cause = Cause(
        "FieldValueNotSupported", f'Unsupported value: "{policy}": {supported}', "propagationPolicy"
    )
    message = f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: {cause.message}'
    details = {"group": "meta.k8s.io", "kind": "DeleteOptions", "causes": [cause._asdict()]}
    return StatusError(422, "Invalid", message, details)


async def delete_one(
    context: Context, request: Request, namespace: str, name: str, options: Options
) -> Deleted:
    """Deletes, or begins to. Raises StatusError."""
    res = request.resource
    for _ in range(ATTEMPTS):
        before = await context.store.get(res.prefix, namespace, name)
        if before is None:
            raise not_found(res, name)
        old = strategy.served(res, load(before))
        check_preconditions(res, old, options)
        attempt = Attempt(context, request, "DELETE", {}, old, options.dry_run, [])
        new = marked(res, old, options, datetime.now(UTC))
        attempt.goes = may_go(res, new)
        await context.admission.validate(attempt)
        try:
            done = await _delete_once(context, attempt, before, new)
        except Conflict:
            continue
        if done.gone and not options.dry_run:
            await context.admission.after(attempt)
        return done
    raise conflict(res, name)


def check_preconditions(res: Resource, obj: dict[str, Any], options: Options) -> None:
    """Whether the object is the one that was meant. Raises StatusError 409."""
    metadata = obj["metadata"]
    pairs = (
        ("UID", options.uid, metadata["uid"]),
        ("ResourceVersion", options.revision, metadata["resourceVersion"]),
    )
    for what, expected, found in pairs:
        if expected and expected != found:
            why = f"Precondition failed: {what} in precondition: {expected}, {what} in object meta: {found}"
            raise conflict(res, metadata["name"], why)


async def _delete_once(
    context: Context, attempt: Attempt, before: Entry, new: dict[str, Any]
) -> Deleted:
    res, old = attempt.request.resource, attempt.old or {}
    if attempt.goes:
        await remove(
            context.store, res, before, companions=attempt.companions, dry_run=attempt.dry_run
        )
        return Deleted(old, True)
    if new == old:
        return Deleted(old, False)
    entry = await write(context.store, res, new, before, companions=[], dry_run=attempt.dry_run)
    return Deleted(strategy.served(res, load(entry)), False)


def marked(res: Resource, old: dict[str, Any], options: Options, now: datetime) -> dict[str, Any]:
    """The object with its deletion begun: when it ends, and which finalizers the policy adds."""
    metadata = dict(old["metadata"])
    finalizers = [
        each for each in metadata.get("finalizers", ()) if each not in _POLICY_FINALIZERS.values()
    ]
    policy = options.policy or ("" if _has_policy(old) else strategy.default_propagation(res))
    if policy in _POLICY_FINALIZERS:
        finalizers.append(_POLICY_FINALIZERS[policy])
    elif not policy:
        finalizers = list(metadata.get("finalizers", ()))
    metadata["finalizers"] = finalizers
    if not finalizers:
        del metadata["finalizers"]
    grace = grace_of(res, old, options.grace)
    already = metadata.get("deletionTimestamp")
    if not already or grace < metadata.get("deletionGracePeriodSeconds", 0):
        metadata["deletionTimestamp"] = timestamp(now + timedelta(seconds=grace))
        metadata["deletionGracePeriodSeconds"] = grace
        if not already and metadata.get("generation"):
            metadata["generation"] += 1
    new = {**old, "metadata": metadata}
    if res.prefix == "namespaces":
        new["status"] = {**old.get("status", {}), "phase": "Terminating"}
    return new


def _has_policy(obj: dict[str, Any]) -> bool:
    """Whether an earlier deletion, or the creator, has already said what becomes of dependents."""
    return any(
        each in _POLICY_FINALIZERS.values() for each in obj["metadata"].get("finalizers", ())
    )


def grace_of(res: Resource, obj: dict[str, Any], wanted_grace: int | None) -> int:
    """Seconds an object gets to end. Only a Pod that may be running gets any."""
    if res.prefix != "pods":
        return 0
    spec, phase = obj.get("spec", {}), obj.get("status", {}).get("phase")
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    if wanted_grace is not None:
        return max(wanted_grace, 0) if wanted_grace >= 0 else 1
    return int(spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE))


async def delete_collection(context: Context, request: Request) -> Answer:
    """DELETE of everything that a list would show. Raises StatusError."""
    options = await read_options(request)
    res = request.resource
    page = await find(context.store, res, request.namespace, wanted(request))
    deleted: list[bytes] = []
    for entry in page.entries:
        metadata = load(entry)["metadata"]
        try:
            done = await delete_one(
                context, request, metadata.get("namespace", ""), metadata["name"], options
            )
        except StatusError as error:
            if error.code != 404:
                raise
            continue
        deleted.append(encode(done.obj))
    return Answer(listing(res, deleted, {"resourceVersion": str(context.store.backend.revision)}))
