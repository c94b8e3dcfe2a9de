"""``events``: what has happened, oldest first; ``-w`` goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.selection import Which, nothing
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.printing import formats
from kubelite.cli.api.printing.description import age_of, time_of
from kubelite.cli.api.printing.table import Columns
from kubelite.cli.common import output
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import cell
from kubelite.client.client import Selection
from kubelite.client.resources import EVENTS
from kubelite.lib.json import Object

_HEADERS = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]


@usage("kubelite events", "kubelite events --for pod/web -w", "kubelite events -A --types Warning")
def events(
    settings: Settings,
    *,
    all_namespaces: options.AllNamespaces = False,
    of: Annotated[str, Option("--for", "Only of this object.", "TYPE/NAME")] = "",
    types: Annotated[str, Option("--types", "Only of these types: Normal,Warning.")] = "",
    watch: Annotated[bool, Option("--watch -w", "Go on with what happens.")] = False,
    format: options.Shown = options.NO_FORMAT,
    no_headers: Annotated[bool, Option("--no-headers", "Omit the header line.")] = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Lists events. Raises CliError."""
    wanted = {name.strip().lower() for name in types.split(",") if name}

    async def work(api: Api) -> None:
        namespace = "" if all_namespaces else api.namespace
        selector = await _selector(api, of)
        page = await api.client.list(EVENTS, namespace, field_selector=selector)
        items = sorted(filter(is_wanted, page.items), key=time_of)
        if format.name:
            api.screen.data(formats.text(output.as_list(items), format))
            return
        columns = Columns()
        headers = [[*(["NAMESPACE"] if all_namespaces else ()), *_HEADERS]]
        headers = [] if no_headers else headers
        if items or watch:
            rows = [row_of(item, datetime.now(UTC), all_namespaces) for item in items]
            if headers or rows:
                api.screen.data(columns.text([*headers, *rows]))
        else:
            api.screen.note(
                nothing(Which(all_namespaces=all_namespaces), api, namespaced=True) + "."
            )
        if watch:
            await _follow(api, Selection(namespace, "", selector), page.resource_version, columns)

    async def _follow(api: Api, selection: Selection, revision: str, columns: Columns) -> None:
        async with api.client.watch(EVENTS, selection, resource_version=revision) as batches:
            async for batch in batches:
                for event in batch:
                    if event.type in ("ADDED", "MODIFIED") and is_wanted(event.object):
                        row = row_of(event.object, datetime.now(UTC), all_namespaces)
                        api.screen.data(columns.text([row]))

    def is_wanted(item: Object) -> bool:
        return not wanted or str(item.get("type", "")).lower() in wanted

    return run(settings, Reach(kubeconfig, context), work)


async def _selector(api: Api, of: str) -> str:
    if not of:
        return ""
    (operand,) = await api.operands([of])
    kind, version = operand.resource.kind, operand.resource.api_version
    return (
        f"involvedObject.kind={kind},involvedObject.apiVersion={version},"
        f"involvedObject.name={operand.name}"
    )


def row_of(event: Object, now: datetime, all_namespaces: bool) -> list[str]:
    """The cells of an event."""
    subject = event["involvedObject"]
    return [
        *([event["metadata"].get("namespace", "")] if all_namespaces else ()),
        age_of(event, now),
        cell(str(event.get("type") or "")),
        cell(str(event.get("reason") or "")),
        cell(f"{subject.get('kind')}/{subject.get('name')}"),
        cell(str(event.get("message") or "").strip()),
    ]
