"""DELETE of one object or of a collection: checked, decided, carried out."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.admission.chain import Attempt
from kubelite.control.api.strategy import client_warnings, strategy
from kubelite.control.api.strategy.commit import remove, write
from kubelite.control.api.verbs import deletion
from kubelite.control.api.verbs.delete_options import read_options
from kubelite.control.api.verbs.read import find, list_answer, list_options, shown
from kubelite.control.api.verbs.write import ATTEMPTS
from kubelite.control.api.wire.answer import json_answer, warnings
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.status import (
    StatusError,
    conflict,
    not_found,
    precondition_failed,
    success,
)
from kubelite.control.store.types import Conflict

if TYPE_CHECKING:
    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.verbs.delete_options import DeleteOptions
    from kubelite.control.api.wire.answer import Answer
    from kubelite.control.api.wire.request import Request
    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.store.types import Entry


class Deleted(NamedTuple):
    """What a deletion came to: the object as it was left, and whether it is gone."""

    obj: dict[str, Any]
    gone: bool


async def delete(context: Context, request: Request) -> Answer:
    """DELETE of one object. Raises StatusError."""
    options = await read_options(request)
    res = request.resource
    headers = warnings(client_warnings.on_delete(res, says_policy=options.says_policy))
    try:
        done = await delete_one(context, request, request.namespace, request.name, options)
    except StatusError as error:
        error.warnings = headers
        raise
    if done.gone and not strategy.returns_object_on_delete(res):
        metadata = done.obj["metadata"]
        return json_answer(success(res, metadata["name"], metadata["uid"]), headers=headers)
    code = 202 if options.orphan is False and not done.gone else 200
    return shown(request, done.obj, code, headers)


async def delete_one(
    context: Context, request: Request, namespace: str, name: str, options: DeleteOptions
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
        decided = deletion.begin(res, old, options, datetime.now(UTC))
        attempt.goes = decided.removes
        await context.admission.validate(attempt)
        try:
            done = await _carry_out(context, attempt, before, decided)
        except Conflict:
            continue
        if done.gone and not options.dry_run:
            await context.admission.after(attempt)
        return done
    raise conflict(res, name)


def check_preconditions(res: Resource, obj: dict[str, Any], options: DeleteOptions) -> None:
    """Whether the object is the one that was meant. Raises StatusError 409."""
    metadata = obj["metadata"]
    for what, given, present in (
        ("UID", options.uid, metadata["uid"]),
        ("ResourceVersion", options.revision, metadata["resourceVersion"]),
    ):
        if given and given != present and res.prefix == "namespaces":
            why = f"{what} in precondition: {given}, {what} in object meta: {present}"
            raise conflict(res, metadata["name"], f"Precondition failed: {why}")
        if given and given != present:
            raise precondition_failed(res, metadata["name"], what, given, present)


async def _carry_out(
    context: Context, attempt: Attempt, before: Entry, decided: deletion.Deletion
) -> Deleted:
    res, dry_run = attempt.request.resource, attempt.dry_run
    if decided.removes:
        await remove(context.store, res, before, companions=attempt.companions, dry_run=dry_run)
        return Deleted(decided.obj, True)
    if decided.obj is attempt.old:
        return Deleted(decided.obj, False)
    entry = await write(context.store, res, decided.obj, before, companions=[], dry_run=dry_run)
    return Deleted(strategy.served(res, load(entry)), False)


async def delete_collection(context: Context, request: Request) -> Answer:
    """DELETE of everything that a list would show; answers with that list. Raises StatusError."""
    listed = await list_options(request)
    options = await read_options(request)
    res = request.resource
    page = await find(context.store, res, request.namespace, listed)
    for entry in page.entries:
        await asyncio.sleep(0)  # others have their turn, where nothing has to be waited for
        metadata = load(entry)["metadata"]
        try:
            await delete_one(
                context, request, metadata.get("namespace", ""), metadata["name"], options
            )
        except StatusError as error:
            if error.code != 404:
                raise
    answer = await list_answer(request, page, listed)
    warning_texts = warnings(client_warnings.on_delete(res, says_policy=options.says_policy))
    return answer._replace(headers=(*answer.headers, *warning_texts))
