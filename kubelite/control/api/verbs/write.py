"""POST and PUT: from a body to a stored object; the second half of every write.

decode > conform (defaults, unknown fields) > mutating admission > prepare > validate > validating
admission > managedFields > commit. An update begins again when somebody else was faster, unless the
client named the revision it started from.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary, WeakValueDictionary

from kubelite.control.api.admission.chain import Attempt
from kubelite.control.api.auth.authorization import attributes_of, denial
from kubelite.control.api.patching import managed_fields, patch
from kubelite.control.api.schema import structural_schema
from kubelite.control.api.strategy import client_warnings, strategy
from kubelite.control.api.strategy.commit import is_heartbeat, remove, write
from kubelite.control.api.verbs import custom_definitions
from kubelite.control.api.verbs.identity import (
    check_name,
    give_identity,
    keep_identity,
    settle_namespace,
)
from kubelite.control.api.verbs.read import entry_of, shown
from kubelite.control.api.verbs.write_options import write_options
from kubelite.control.api.wire import causes, codec
from kubelite.control.api.wire.answer import Answer, warnings
from kubelite.control.api.wire.aside import aside
from kubelite.control.api.wire.documents import copy, encode, load
from kubelite.control.api.wire.negotiation import is_plain
from kubelite.control.api.wire.status import (
    Cause,
    StatusError,
    already_exists,
    bad_request,
    conflict,
    internal,
    invalid,
)
from kubelite.control.api.wire.timestamp import timestamp
from kubelite.control.store.store import key
from kubelite.control.store.types import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.verbs.write_options import WriteOptions
    from kubelite.control.api.wire.request import Request
    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.store.store import Store
    from kubelite.control.store.types import Entry

ATTEMPTS = 64
# Where Kubernetes declares what knows its kinds: a refusal of an unknown kind names the place.
_SCHEME = "pkg/api/legacyscheme/scheme.go:30"
_SCHEMES = {"apiextensions.k8s.io": "k8s.io/apiextensions-apiserver/pkg/apiserver/apiserver.go:55"}
_BYTES_OF_A_RULE = 20


class Result(NamedTuple):
    """What a write came to. ``code`` is 201 for something new; ``entry`` what is there now,
    ``warnings`` for the client.
    """

    entry: Entry
    code: int
    warnings: list[str]


async def create(context: Context, request: Request) -> Answer:
    """POST of an object. Raises StatusError."""
    options = write_options(request)
    obj, warning_texts, size = await read_object(request, options.validation)
    options = options._replace(size=size)
    give_identity(request, obj)
    return await answer(request, await create_object(context, request, obj, warning_texts, options))


async def answer(request: Request, result: Result) -> Answer:
    """The object as it is now, in the form that was asked for."""
    headers = warnings(result.warnings)
    if is_plain(request.accept) and request.resource.as_stored:
        return Answer(result.entry.value + b"\n", result.code, headers=headers)
    return await aside(
        len(result.entry.value), lambda: shown(request, load(result.entry), result.code, headers)
    )


class Body(NamedTuple):
    """The object that a request brings, what its client is warned of, and its length in bytes."""

    obj: dict[str, Any]
    warnings: list[str]
    size: int


async def read_object(request: Request, mode: str = "Warn", store: Store | None = None) -> Body:
    """The object in the body of a request, conforming to its kind. Raises StatusError.

    ``mode`` is the strictness about unknown and duplicate fields. With a ``store`` fields of a
    later version stay that are stored there and come back with the body.
    """
    data = await request.read_body()
    size = work_on(request.resource, data)
    value, duplicates = await aside(size, _decoded, request, data, mode)
    res, old = request.resource, None
    if store is not None and not strategy.knows(res, value):
        before = await store.get(res.prefix, request.namespace, request.name)
        if before is not None:
            size = max(size, len(before.value))
            old = await aside(size, lambda: strategy.served(res, load(before)))
    obj, warning_texts = await aside(
        size, strategy.conform, res, value, validation=mode, duplicates=duplicates, old=old
    )
    return Body(obj, warning_texts, size)


def work_on(res: Resource, data: bytes) -> int:
    """How many bytes of JSON are looked at for a body: its own, and those of its schema. Patterns
    and rules of a definition take much more than their bytes.
    """
    factor = _BYTES_OF_A_RULE if custom_definitions.defines(res) else 1
    return factor * len(data) + _size_of_schema(res)


# A definition that was changed or removed is not kept.
_sizes_of_schemas: WeakKeyDictionary[Resource, int] = WeakKeyDictionary()


def _size_of_schema(res: Resource) -> int:
    if res.crd is None:
        return 0
    size = _sizes_of_schemas.get(res)
    if size is None:
        size = _sizes_of_schemas[res] = len(encode(res.crd))
    return size


def _decoded(request: Request, data: bytes, mode: str) -> tuple[dict[str, Any], Sequence[str]]:
    """The object in a body, and the fields that it gives twice. Raises StatusError."""
    value = codec.decode(data, request.content_type).value
    if not isinstance(value, dict):
        raise bad_request("the body of the request is not an object")
    checked = mode != "Ignore" and _is_json(request.content_type) and codec.may_repeat(data, value)
    duplicates = codec.find_duplicates(data) if checked else ()
    if request.resource.crd is not None:
        _check_custom_kind(request.resource, value, data, mode)
    check_kind(request.resource, value)
    return value, duplicates


def _is_json(content_type: str) -> bool:
    return content_type == "" or content_type.startswith("application/json")


def _check_custom_kind(res: Resource, value: dict[str, Any], data: bytes, mode: str) -> None:
    """A custom object says what it is: nothing else does. Raises StatusError 400, 422."""
    for name in ("kind", "apiVersion"):
        if not value.get(name):
            field = "Kind" if name == "kind" else name
            raise bad_request(f"Object '{field}' is missing in '{data.decode(errors='replace')}'")
    if value["apiVersion"] != res.gv:
        why = (
            f"the API version in the data ({value['apiVersion']}) does not match the expected API "
            f"version ({res.gv})"
        )
        error = bad_request(why)
        if mode == "Warn":
            error.warnings = warnings(structural_schema.unknown_without_schema(value))
        raise error
    if value["kind"] != res.kind:
        # Defaults are those of the kind, and this is another: it is judged without them.
        wrong = causes.invalid("kind", value["kind"], f"must be {res.kind}")
        name = (value.get("metadata") or {}).get("name") or ""
        others = strategy.validate_create(res, value)
        raise invalid(res, name, [wrong, *others], str(value["kind"]))


def check_kind(res: Resource, value: dict[str, Any]) -> None:
    """Fills in apiVersion and kind where a body leaves them out. Raises StatusError 400 where they
    are others.
    """
    kind, version = value.setdefault("kind", res.kind), value.setdefault("apiVersion", res.gv)
    kind, version = kind or res.kind, version or res.gv
    if (kind, version) != (res.kind, res.gv):
        raise bad_request(
            f'{kind} in version "{str(version).rpartition("/")[2]}" cannot be handled as a '
            f'{res.kind}: no kind "{kind}" is registered for version "{version}" in scheme '
            f'"{_SCHEMES.get(res.group, _SCHEME)}"'
        )


async def create_object(
    context: Context,
    request: Request,
    obj: dict[str, Any],
    warning_texts: list[str],
    options: WriteOptions,
) -> Result:
    """Everything from admission to the store. Raises StatusError."""
    res = request.resource
    # What admission and the server add belongs to nobody, so that an apply which does not name it
    # leaves it alone.
    if request.content_type != patch.APPLY_PATCH:
        obj = await aside(
            options.size,
            managed_fields.track,
            *(res, None, obj),
            manager=options.manager,
            now=timestamp(),
            subresource="",
        )
    attempt = Attempt(context, request, "CREATE", obj, None, options.dry_run, warning_texts)
    with _warned(attempt):
        await context.admission.mutate(attempt)
        attempt.warnings += client_warnings.on_sent(res, attempt.obj)
        new, more_warnings = await aside(options.size, _prepared, res, attempt.obj)
        attempt.warnings += more_warnings
        attempt.obj = custom_definitions.settle(context.registry, res, new)
        return await _store_new(context, attempt, options.size)


def _prepared(res: Resource, obj: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A new object as it may be stored, and what its client is warned of. Raises StatusError."""
    new = strategy.prepare_create(res, obj)
    _refuse_invalid(res, new, strategy.validate_create(res, new))
    return new, client_warnings.on_create(res, new)


@contextmanager
def _warned(attempt: Attempt) -> Iterator[None]:
    """What a client is warned of reaches it with a refusal too."""
    try:
        yield
    except StatusError as error:
        error.warnings = (*error.warnings, *warnings(attempt.warnings))
        raise


async def _store_new(context: Context, attempt: Attempt, size: int) -> Result:
    """The last steps of a create; again when a companion (a quota) was changed by somebody else
    meanwhile.
    """
    request, new = attempt.request, attempt.obj
    res, name = request.resource, new["metadata"]["name"]
    own = key(res.prefix, new["metadata"].get("namespace", ""), name)
    for _ in range(ATTEMPTS):
        attempt.companions.clear()
        await context.admission.validate(attempt)
        try:
            if (
                await context.store.get(res.prefix, new["metadata"].get("namespace", ""), name)
                is not None
            ):
                raise already_exists(res, name)
            entry = await write(
                context.store,
                res,
                new,
                None,
                companions=attempt.companions,
                dry_run=attempt.dry_run,
                size=size,
            )
        except Conflict as error:
            if error.change.key == own:
                raise already_exists(res, name) from error
            continue
        if not attempt.dry_run:
            await context.admission.after(attempt)
        return Result(entry, 201, attempt.warnings)
    raise internal("the object could not be written because of constant changes beside it")


def _refuse_invalid(res: Resource, obj: dict[str, Any], problems: list[Cause]) -> None:
    if problems:
        raise invalid(strategy.refused_as(res), obj["metadata"].get("name", ""), problems)


async def update(context: Context, request: Request) -> Answer:
    """PUT of an object or one of its writable parts. Raises StatusError."""
    options = write_options(request)
    obj, warning_texts, size = await read_object(request, options.validation, context.store)
    options = options._replace(size=size)
    metadata = obj.setdefault("metadata", {})
    settle_namespace(request, metadata)
    check_name(request, metadata)

    def make(old: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        is_other = metadata.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]
        if strategy.needs_version(res) and not metadata.get("resourceVersion") and not is_other:
            why = "Invalid value: 0: must be specified for an update"
            cause = Cause("FieldValueInvalid", why, "metadata.resourceVersion")
            raise invalid(res, request.name, [cause], kind=res.plural)
        return copy(obj), warning_texts

    res = request.resource
    creatable = strategy.created_by_update(res) and not request.sub
    if creatable and await context.store.get(res.prefix, request.namespace, request.name) is None:
        check_may_create(context, request)
        # That of an object that is gone since: a node renews the Lease that a killed server held.
        metadata.pop("resourceVersion", None)
        give_identity(request, obj)
        result = await create_object(context, request, obj, warning_texts, options)
        return await answer(request, result)
    result = await change_object(context, request, make, options, checks_uid=True)
    return await answer(request, result)


def check_may_create(context: Context, request: Request) -> None:
    """Whoever may update or patch may not therefore create. Raises StatusError 403."""
    attributes = attributes_of(request)._replace(verb="create", name="")
    if not context.authorizer.allows(attributes):
        raise denial(request.resource, attributes, context.authorizer.reason(attributes))


async def change_object(
    context: Context,
    request: Request,
    make: Callable[[dict[str, Any]], tuple[dict[str, Any], list[str]]],
    options: WriteOptions,
    *,
    checks_uid: bool = False,
) -> Result:
    """Reads, lets ``make`` say what the object shall be, and writes, again when somebody was
    faster. Raises StatusError.
    """
    res = request.resource

    def made(before: Entry) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
        old = strategy.served(res, load(before))
        new, warning_texts = make(old)
        if new["metadata"].get("managedFields") != old["metadata"].get("managedFields"):
            managed_fields.check(new["metadata"].get("managedFields"))
        pinned = new["metadata"].get("resourceVersion")
        if pinned and pinned != old["metadata"]["resourceVersion"]:
            raise conflict(res, request.name)
        if checks_uid:
            check_uid(res, old, new)
        return old, new, warning_texts

    async def attempt() -> Result:
        before = await entry_of(context.store, request)
        sized = options._replace(size=max(options.size, len(before.value)))
        old, new, warning_texts = await aside(sized.size, made, before)
        return await _change_once(context, request, before, old, new, warning_texts, sized)

    try:
        return await attempt()
    except Conflict:
        pass  # a write that named its revision fails in the next attempt
    async with turn(key(res.prefix, request.namespace, request.name)):
        for _ in range(ATTEMPTS):
            try:
                return await attempt()
            except Conflict:
                continue
    raise conflict(res, request.name)


_turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


def turn(place: str) -> asyncio.Lock:
    """A lock for those who lost a race for an object: one after the other gets through sooner than
    all at once, again and again.
    """
    lock = _turns.get(place)
    if lock is None:
        lock = _turns[place] = asyncio.Lock()
    return lock


def check_uid(res: Resource, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Whether an update means the object that is there. Raises StatusError 409."""
    given, present = new["metadata"].get("uid"), old["metadata"]["uid"]
    if given and given != present:
        metadata = old["metadata"]
        place = "/".join(filter(None, (res.prefix, metadata.get("namespace"), metadata["name"])))
        why = (
            f"StorageError: invalid object, Code: 4, Key: /{place}, ResourceVersion: 0, "
            "AdditionalErrorMsg: Precondition failed: "
            f"UID in precondition: {given}, UID in object meta: {present}"
        )
        raise conflict(res, metadata["name"], why)


async def _change_once(
    context: Context,
    request: Request,
    before: Entry,
    old: dict[str, Any],
    new: dict[str, Any],
    warning_texts: list[str],
    options: WriteOptions,
) -> Result:
    problems = keep_identity(old, new)
    attempt = Attempt(context, request, "UPDATE", new, old, options.dry_run, warning_texts)
    with _warned(attempt):
        return await _admit_change(attempt, before, old, problems, options)


async def _admit_change(
    attempt: Attempt,
    before: Entry,
    old: dict[str, Any],
    problems: list[Cause],
    options: WriteOptions,
) -> Result:
    """A change from admission to the store. Raises StatusError."""
    context, request = attempt.context, attempt.request
    res = request.resource
    if request.content_type != patch.APPLY_PATCH:
        attempt.obj = await aside(
            options.size,
            managed_fields.track,
            *(res, old, attempt.obj),
            manager=options.manager,
            now=timestamp(),
            subresource=request.sub,
        )
    await context.admission.mutate(attempt)
    part = "" if request.sub == "scale" else request.sub

    def make_ready() -> dict[str, Any]:
        prepared = strategy.prepare_update(res, part, attempt.obj, old)
        new = managed_fields.carried(attempt.obj, prepared)
        _refuse_invalid(res, new, problems + strategy.validate_update(res, part, new, old))
        return new

    new = await aside(options.size, make_ready)
    attempt.obj = new = custom_definitions.settle(context.registry, res, new)
    attempt.goes = may_go(res, new)
    await context.admission.validate(attempt)
    if not request.sub:
        attempt.warnings += await aside(options.size, client_warnings.on_update, res, new, old)
    if new == old:
        return Result(before, 200, attempt.warnings)
    entry = await _store_change(context, attempt, before, options.size)
    if not attempt.dry_run:
        await context.admission.after(attempt)
    return Result(entry, 200, attempt.warnings)


async def _store_change(context: Context, attempt: Attempt, before: Entry, size: int) -> Entry:
    """Writes the new state, or removes an object whose last finalizer it took away."""
    res, new, dry_run = attempt.request.resource, attempt.obj, attempt.dry_run
    if attempt.goes:
        await remove(context.store, res, before, companions=attempt.companions, dry_run=dry_run)
        return before
    beat = is_heartbeat(res, attempt.old or {}, new)
    return await write(
        context.store,
        res,
        new,
        before,
        companions=attempt.companions,
        volatile=beat,
        dry_run=dry_run,
        size=size,
    )


def may_go(res: Resource, obj: dict[str, Any]) -> bool:
    """Whether an object that is being deleted waits for nobody any more."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if res.prefix == "namespaces" and obj.get("spec", {}).get("finalizers"):
        return False
    return not metadata.get("deletionGracePeriodSeconds")
