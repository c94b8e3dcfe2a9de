"""GET of one object and of lists: pages of one moment, selectors, and the forms that clients ask
for.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kubelite.control.api.strategy import strategy
from kubelite.control.api.tables import tables
from kubelite.control.api.wire import causes, selectors
from kubelite.control.api.wire.answer import Answer, json_answer
from kubelite.control.api.wire.aside import aside
from kubelite.control.api.wire.documents import encode, listing, load
from kubelite.control.api.wire.negotiation import check_transform, is_plain
from kubelite.control.api.wire.status import (
    StatusError,
    bad_request,
    expired,
    future_revision,
    invalid_options,
    not_found,
)
from kubelite.control.store.store import directory
from kubelite.control.store.types import Compacted, Future, Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubelite.control.api.wire.request import Request
    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.api.wire.selectors import Selector
    from kubelite.control.store.store import Store
    from kubelite.control.store.types import Entry

SCAN = 500  # entries looked at in one step of a filtered, limited list


async def entry_of(store: Store, request: Request) -> Entry:
    """The stored object that a request names. Raises StatusError 404."""
    res = request.resource
    entry = await store.get(res.prefix, request.namespace, request.name)
    if entry is None:
        raise not_found(res, request.name)
    return entry


async def get(store: Store, request: Request) -> Answer:
    """GET of one object. Raises StatusError."""
    res = request.resource
    entry = await entry_of(store, request)
    if is_plain(request.accept) and res.as_stored:
        return Answer(entry.value + b"\n")
    return await aside(len(entry.value), lambda: shown(request, load(entry)))


def shown(
    request: Request,
    obj: dict[str, Any],
    code: int = 200,
    headers: tuple[tuple[str, str], ...] = (),
) -> Answer:
    """One object in the form that was asked for."""
    res = request.resource
    form = request.form()
    check_transform(form, res, is_list=False)
    obj = strategy.served(res, obj)
    if form.name == "table":
        metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        table = strategy.render_table(
            res, [obj], now=datetime.now(UTC), include=include(request), metadata=metadata
        )
        return json_answer(table, code, headers=headers)
    return json_answer(
        strategy.partial(res, obj) if form.name == "partial" else obj, code, headers=headers
    )


def include(request: Request) -> str:
    """How much of an object a row of a Table carries."""
    wanted = request.query.text("includeObject", "Metadata")
    if wanted not in ("None", "Metadata", "Object"):
        raise bad_request(f'unrecognized includeObject value: "{wanted}"')
    return wanted


class Continue(NamedTuple):
    """Where a paged list goes on: after which key, in the state of which revision."""

    revision: int
    after: str


def write_token(token: Continue) -> str:
    """An opaque text for ``metadata.continue``."""
    value = {"v": "meta.k8s.io/v1", "rv": token.revision, "start": token.after}
    return base64.urlsafe_b64encode(encode(value)).decode().rstrip("=")


def read_token(text: str) -> Continue:
    """Raises StatusError 400."""
    try:
        value = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        token = Continue(value["rv"], value["start"])
    except (binascii.Error, msgspec.DecodeError, KeyError, TypeError, ValueError):
        token = Continue(0, "")
    if type(token.revision) is not int or not isinstance(token.after, str) or token.revision < 1:
        raise bad_request("continue key is not valid: it was not made by this server")
    return token


class ListOptions(NamedTuple):
    """What a list asks for: the state of ``revision``, 0 for now; and now must not be before
    ``least``.
    """

    selector: Selector
    limit: int
    after: str
    revision: int
    least: int = 0


async def list_options(request: Request) -> ListOptions:
    """The options of a list, checked (apiserver, ``ValidateListOptions``). Raises StatusError."""
    return await aside(length_of_selectors(request), _list_options, request)


def length_of_selectors(request: Request) -> int:
    """How many characters of selectors there are to be read."""
    return sum(len(request.query.text(name)) for name in ("labelSelector", "fieldSelector"))


def _list_options(request: Request) -> ListOptions:
    query = request.query
    selector = strategy.selector(
        request.resource, query.text("labelSelector"), query.text("fieldSelector")
    )
    limit = max(query.number("limit") or 0, 0)
    revision = version(query.text("resourceVersion"))
    match = query.text("resourceVersionMatch")
    if query.text("continue"):
        if revision:
            raise bad_request("specifying resource version is not allowed when using continue")
        if match:
            field = "resourceVersionMatch"
            raise invalid_options(
                "ListOptions",
                [causes.forbidden(field, f"{field} is forbidden when continue is provided")],
            )
        token = read_token(query.text("continue"))
        return ListOptions(selector, limit, token.after, token.revision)
    check_match(match, query.text("resourceVersion"))
    if query.text("resourceVersion") == "0":
        limit = 0  # "any state will do" is answered from memory, and whole
    exact = match == "Exact" or (limit and revision and not match)
    return ListOptions(selector, limit, "", revision if exact else 0, revision)


def check_match(match: str, revision: str) -> None:
    """Whether resourceVersionMatch fits resourceVersion (apimachinery, ``ValidateListOptions``).
    Raises StatusError 422.
    """
    field = "resourceVersionMatch"
    if not match:
        return
    problems = []
    if not revision:
        problems.append(
            causes.forbidden(field, f"{field} is forbidden unless resourceVersion is provided")
        )
    if match not in ("Exact", "NotOlderThan"):
        problems.append(causes.unsupported(field, match, ["Exact", "NotOlderThan", ""]))
    elif match == "Exact" and revision == "0":
        problems.append(
            causes.forbidden(field, f'{field} "Exact" is forbidden for resourceVersion "0"')
        )
    if problems:
        raise invalid_options("ListOptions", problems)


def version(text: str) -> int:
    """A resourceVersion as a number; empty and "0" are 0. Raises StatusError 400."""
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise bad_request(f'invalid resource version: "{text}"')
    return int(text)


async def list_objects(store: Store, request: Request) -> Answer:
    """GET of a list. Raises StatusError."""
    options = await list_options(request)
    page = await find(store, request.resource, request.namespace, options)
    if page.revision < options.least:
        raise future_revision(options.least, page.revision)
    return await list_answer(request, page, options)


async def list_answer(request: Request, page: Page, options: ListOptions) -> Answer:
    """A page as a list, in the form that was asked for."""
    res = request.resource
    metadata = _list_metadata(res, page, options, request.namespace)
    if request.form().name == "plain" and res.as_stored:
        return _listed(res, [entry.value for entry in page.entries], metadata)

    def rendered() -> Answer:
        objs = [strategy.served(res, load(entry)) for entry in page.entries]
        return shown_list(request, objs, metadata)

    return await aside(size_of(page.entries), rendered)


def shown_list(request: Request, objs: list[dict[str, Any]], metadata: dict[str, Any]) -> Answer:
    """Objects as a list, in the form that was asked for."""
    res, form = request.resource, request.form()
    check_transform(form, res, is_list=True)
    if form.name == "table":
        table = strategy.render_table(
            res, objs, now=datetime.now(UTC), include=include(request), metadata=metadata
        )
        return json_answer(table)
    if form.name == "partial":
        return json_answer(
            tables.partial_list([strategy.partial(res, obj) for obj in objs], metadata)
        )
    return _listed(res, [encode(obj) for obj in objs], metadata)


def _listed(res: Resource, items: list[bytes], metadata: dict[str, Any]) -> Answer:
    if res.crd is not None:
        metadata = {"continue": "", **metadata}  # as the servers write lists whose kind has no type
    return Answer(listing(res, items, metadata))


def _list_metadata(
    res: Resource, page: Page, options: ListOptions, namespace: str
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": str(page.revision)}
    if page.remaining:
        metadata["continue"] = write_token(
            Continue(page.revision, _below(page.entries[-1].key, res, namespace))
        )
        if options.selector == selectors.EVERYTHING:
            metadata["remainingItemCount"] = page.remaining
    return metadata


async def find(store: Store, res: Resource, namespace: str, options: ListOptions) -> Page:
    """The page of entries that a list means. Raises StatusError 410, 504."""
    try:
        if options.selector == selectors.EVERYTHING:
            return await store.page(
                res.prefix,
                namespace,
                after=options.after,
                limit=options.limit,
                revision=options.revision,
            )
        name = options.selector.only_name()
        if (
            name is not None
            and not options.revision
            and (namespace or not res.namespaced)
            and "/" not in name
        ):
            return await _named(store, res, namespace, name, options.selector)
        return await _filtered(store, res, namespace, options)
    except Compacted as error:
        raise too_old(options) from error
    except Future as error:
        raise future_revision(error.wanted, error.current) from error


def too_old(options: ListOptions) -> StatusError:
    """410, for a token or for a revision."""
    if options.after:
        return expired(
            "The provided continue parameter is too old to display a consistent list result."
        )
    return expired(f"The resourceVersion for the provided list is too old: {options.revision}")


async def _filtered(store: Store, res: Resource, namespace: str, options: ListOptions) -> Page:
    """A list with a selector: pages of the store, until enough of them match."""
    selected: list[Entry] = []
    after, revision, remaining = options.after, options.revision, 1
    step = max(SCAN, options.limit) if options.limit else 0
    while remaining:
        page = await store.page(res.prefix, namespace, after=after, limit=step, revision=revision)
        revision, remaining = page.revision, page.remaining
        wanted = options.limit - len(selected) if options.limit else len(page.entries)
        work = work_of(page.entries, options.selector)
        numbers = await aside(work, matching, res, page.entries, options.selector, wanted)
        selected += [page.entries[number] for number in numbers]
        if options.limit and len(selected) == options.limit:
            return Page(selected, revision, remaining + len(page.entries) - numbers[-1] - 1)
        if page.entries:
            after = _below(page.entries[-1].key, res, namespace)
    return Page(selected, revision)


def matching(res: Resource, entries: Sequence[Entry], selector: Selector, wanted: int) -> list[int]:
    """The numbers of the first ``wanted`` entries that a selector selects."""
    numbers = (
        number
        for number, entry in enumerate(entries)
        if selector.matches(strategy.served(res, load(entry)))
    )
    return list(islice(numbers, wanted))


def size_of(entries: Sequence[Entry]) -> int:
    """The bytes of JSON in entries."""
    return sum(len(entry.value) for entry in entries)


def work_of(entries: Sequence[Entry], selector: Selector) -> int:
    """What it takes to match entries, as bytes of JSON."""
    return size_of(entries) + len(entries) * selector.work


def _below(key: str, res: Resource, namespace: str) -> str:
    """A key as a list of this namespace counts it: below its directory."""
    return key[len(directory(res.prefix, namespace)) :]


async def _named(
    store: Store, res: Resource, namespace: str, name: str, selector: Selector
) -> Page:
    """A list that can hold one object only."""
    revision = store.backend.revision
    entry = await store.get(res.prefix, namespace, name)
    entries = [entry] if entry is not None else []
    numbers = await aside(work_of(entries, selector), matching, res, entries, selector, 1)
    return Page(entries if numbers else [], revision)
