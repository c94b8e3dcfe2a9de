"""``get``: objects as a table, as documents, by template or in columns; ``-w`` goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from urllib.parse import urlencode

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.discovery import ApiResource
from kubelite.cli.api.common.selection import Which, in_files, nothing, selection
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.printing import formats, table
from kubelite.cli.api.printing.formats import Format
from kubelite.cli.common import output
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.client.client import TABLE, Selection
from kubelite.client.errors import ApiError, Gone, NotFound

if TYPE_CHECKING:
    from kubelite.lib.json import Object


class View(NamedTuple):
    """How objects are shown."""

    format: Format
    style: table.Style
    managed_fields: bool = False
    sort_by: str = ""
    ignore_not_found: bool = False


class Request(NamedTuple):
    """One request of ``get``: a list, or an object by its name."""

    resource: ApiResource
    selection: Selection
    name: str = ""

    @property
    def path(self) -> str:
        return self.resource.gvr.path(self.selection.namespace, self.name)

    @property
    def query(self) -> str:
        selectors = {
            "labelSelector": self.selection.label_selector,
            "fieldSelector": self.selection.field_selector,
        }
        return urlencode({key: value for key, value in selectors.items() if value})


@usage(
    "kubelite get pods -A",
    "kubelite get deploy,svc -l app=web -o wide",
    "kubelite get pod/web -o jsonpath={.status.podIP}",
    "kubelite get pods -w",
)
def get(
    settings: Settings,
    objects: options.Objects = None,
    *,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    selector: options.Selector = "",
    field_selector: options.FieldSelector = "",
    all_namespaces: options.AllNamespaces = False,
    format: options.Shown = options.NO_FORMAT,
    watch: Annotated[bool, Option("--watch -w", "Go on with what changes.")] = False,
    watch_only: Annotated[bool, Option("--watch-only", "Only what changes.")] = False,
    show_labels: Annotated[
        bool, Option("--show-labels", "Show the labels of each object.")
    ] = False,
    label_columns: Annotated[
        list[str] | None,
        Option("--label-columns -L", "A column for this label; may be repeated.", "KEY"),
    ] = None,
    no_headers: Annotated[bool, Option("--no-headers", "Omit the header line.")] = False,
    sort_by: Annotated[
        str, Option("--sort-by", "Sort by the value at a path: .metadata.name.", "PATH")
    ] = "",
    show_managed_fields: Annotated[
        bool, Option("--show-managed-fields", "Show who manages which field.")
    ] = False,
    ignore_not_found: Annotated[
        bool, Option("--ignore-not-found", "An object that is not there is no failure.")
    ] = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Shows objects. Raises CliError; refusals of the server are shown and end with 1."""
    which = Which(
        objects or (),
        files or (),
        recursive,
        kustomize or (),
        selector,
        field_selector,
        all_namespaces,
    )
    labels = tuple(label for text in label_columns or () for label in text.split(","))
    style = table.Style(
        format.name == "wide", all_namespaces, show_labels, labels, headers=not no_headers
    )
    view = View(format, style, show_managed_fields, sort_by, ignore_not_found)

    async def work(api: Api) -> None:
        requests = await _requests(api, which)
        if not requests:
            raise CliError(
                Diagnostic(
                    "You must specify the type of resource to get.",
                    hint="`kubelite api-resources` lists those that the server has",
                    exit_code=2,
                )
            )
        if watch or watch_only:
            await _watch(api, requests, view, only=watch_only)
        elif format.is_table:
            await _tables(api, which, requests, view)
        else:
            await _documents(api, requests, view)

    return run(settings, Reach(kubeconfig, context), work)


async def _requests(api: Api, which: Which) -> list[Request]:
    if which.has_files:
        return [
            Request(target.resource, Selection(target.namespace), target.name)
            for target in await in_files(api, which)
        ]
    operands = await api.operands(which.words)
    if which.all_namespaces and any(operand.name for operand in operands):
        raise CliError(
            Diagnostic("a resource cannot be retrieved by name across all namespaces", exit_code=2)
        )
    return [
        Request(row, Selection(api.namespace if row.namespaced else ""), name)
        if name
        else Request(row, selection(api, which, row))
        for row, name in operands
    ]


class Answers(NamedTuple):
    """What the server has answered: objects, and refusals, which are shown below them."""

    objects: list[tuple[Request, Object]]
    refusals: list[ApiError]


async def _answers(
    api: Api, requests: Sequence[Request], view: View, accept: str, include: str = ""
) -> Answers:
    results = await asyncio.gather(
        *(
            api.client.get_path(
                request.path, "&".join(filter(None, (request.query, include))), accept=accept
            )
            for request in requests
        ),
        return_exceptions=True,
    )
    answers = Answers([], [])
    for request, result in zip(requests, results, strict=True):
        if not isinstance(result, BaseException):
            answers.objects.append((request, result))
        elif not isinstance(result, ApiError):
            raise result
        elif not (isinstance(result, NotFound) and view.ignore_not_found):
            answers.refusals.append(result)
    return answers


async def _tables(api: Api, which: Which, requests: Sequence[Request], view: View) -> None:
    include = "includeObject=Object" if view.sort_by else ""
    answers = await _answers(api, requests, view, TABLE, include)
    is_mixed = len({request.resource for request in requests}) > 1 or any(
        "/" in word for word in which.words[:1]
    )
    texts: list[str] = []
    for resource, group in groupby(answers.objects, key=lambda answer: answer[0].resource):
        tables = [_sorted(answer, view.sort_by) for _, answer in group]
        if any(answer.get("rows") for answer in tables):
            lines = table.rows(tables, _style_of(resource, view, with_prefix=is_mixed))
            texts.append(table.Columns().text(lines))
    if texts:
        api.screen.data("\n".join(texts))
    elif not answers.refusals and not view.ignore_not_found:
        namespaced = any(request.resource.namespaced for request in requests)
        api.screen.note(
            nothing(which, api, namespaced=namespaced)
            + ("." if namespaced and not which.all_namespaces else "")
        )
    for error in answers.refusals:
        api.refused(error)


def _style_of(resource: ApiResource, view: View, *, with_prefix: bool) -> table.Style:
    return view.style._replace(
        namespaces=view.style.namespaces and resource.namespaced,
        prefix=resource.type_label if with_prefix else "",
    )


def _sorted(answer: Object, path: str) -> Object:
    if not path:
        return answer
    rows = sorted(answer.get("rows") or (), key=lambda row: _sort_key(row["object"], path))
    return {**answer, "rows": rows}


def _sort_key(obj: Object, path: str) -> tuple[bool, bool, Any]:
    """Objects without the value first, numbers before texts."""
    from kubelite.control.api.schema import jsonpath

    value = next(iter(jsonpath.find(path, obj)), None)
    is_number = isinstance(value, int | float)
    return value is not None, not is_number, value if is_number else str(value)


async def _documents(api: Api, requests: Sequence[Request], view: View) -> None:
    answers = await _answers(api, requests, view, "application/json")
    is_one = len(requests) == 1 and bool(requests[0].name)
    items = [item for request, answer in answers.objects for item in _items(request, answer)]
    if items or not is_one:
        await _show(api, items, view, is_one=is_one)
    for error in answers.refusals:
        api.refused(error)


async def _show(api: Api, items: list[Object], view: View, *, is_one: bool) -> None:
    if view.sort_by:
        items.sort(key=lambda item: _sort_key(item, view.sort_by))
    if view.format.name == "name":
        resources = await api.resources()
        for item in items:
            resource = resources.of_kind(item["apiVersion"], item["kind"])
            api.screen.data(f"{resource.label(item['metadata']['name'])}\n")
        return
    obj = items[0] if is_one else output.as_list(items)
    api.screen.data(
        formats.text(
            obj, view.format, managed_fields=view.managed_fields, headers=view.style.headers
        )
    )


def _items(request: Request, answer: Object) -> list[Object]:
    """The objects of an answer; items of a list do not repeat kind and apiVersion."""
    if request.name:
        return [answer]
    head = {"apiVersion": request.resource.api_version, "kind": request.resource.kind}
    return [{**head, **item} for item in answer.get("items") or ()]


async def _watch(api: Api, requests: Sequence[Request], view: View, *, only: bool) -> None:
    """Shows a list and then what changes in it, until Ctrl-C."""
    if len(requests) != 1:
        raise CliError(
            Diagnostic("you may only specify a single resource type to watch", exit_code=2)
        )
    (request,) = requests
    if request.name:
        chosen = request.selection._replace(field_selector=f"metadata.name={request.name}")
        await api.client.get(request.resource.gvr, request.name, request.selection.namespace)
        request = Request(request.resource, chosen)
    accept = TABLE if view.format.is_table else "application/json"
    printer = _WatchPrinter(api, request.resource, view)
    while True:
        listing = await api.client.get_path(request.path, request.query, accept=accept)
        if not only:
            printer.show_list(listing)
        only = True
        revision = str(listing["metadata"].get("resourceVersion") or "")
        try:
            async with api.client.watch(
                request.resource.gvr,
                request.selection,
                resource_version=revision,
                as_table=view.format.is_table,
            ) as batches:
                async for batch in batches:
                    for event in batch:
                        if event.type != "BOOKMARK":
                            printer.show(event.object)
        except Gone:
            continue  # what happened meanwhile is lost, as with kubectl


class _WatchPrinter:
    """Prints one object after the other, below the same headers."""

    def __init__(self, api: Api, resource: ApiResource, view: View) -> None:
        self._api = api
        self._resource = resource
        self._view = view
        self._style = _style_of(resource, view, with_prefix=False)
        self._columns = table.Columns()
        self._definitions: list[Object] = []

    def show_list(self, listing: Object) -> None:
        if self._view.format.is_table:
            if listing.get("rows"):
                self.show(listing)
            else:
                self._definitions = listing["columnDefinitions"]
            return
        head = {"apiVersion": self._resource.api_version, "kind": self._resource.kind}
        for item in listing.get("items") or ():
            self.show({**head, **item})

    def show(self, obj: Object) -> None:
        format = self._view.format
        if format.is_table:
            self._definitions = obj.get("columnDefinitions") or self._definitions
            obj = {**obj, "columnDefinitions": self._definitions}
            text = self._columns.text(table.rows([obj], self._style))
            self._style = self._style._replace(headers=False)
        elif format.name == "name":
            text = self._resource.label(obj["metadata"]["name"]) + "\n"
        else:
            text = formats.text(obj, format, managed_fields=self._view.managed_fields)
            text = f"---\n{text}" if format.name == "yaml" else text
        self._api.screen.data(text)
