"""``api-resources``: the types of objects that a server has."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.discovery import ApiResource
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.printing.table import Columns
from kubelite.cli.common.command import Option, Settings, usage

_HEADERS = ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]


@usage("kubelite api-resources --api-group apps", "kubelite api-resources -o wide")
def api_resources(
    settings: Settings,
    *,
    api_group: Annotated[
        str | None, Option("--api-group", "Only those of this group; '' is the core.", "GROUP")
    ] = None,
    namespaced: Annotated[
        options.Switch | None, Option("--namespaced", "Only those with namespaces, or without.")
    ] = None,
    verbs: Annotated[str, Option("--verbs", "Only those with these verbs: list,watch.")] = "",
    format: options.Shown = options.NO_FORMAT,
    no_headers: Annotated[bool, Option("--no-headers", "Omit the header line.")] = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Lists resources, of each its preferred version. Raises CliError."""
    needed = {verb for verb in verbs.split(",") if verb}

    async def work(api: Api) -> None:
        rows = [
            row
            for row in preferred((await api.resources()).rows)
            if api_group in (None, row.group)
            and namespaced in (None, options.Switch(str(row.namespaced).lower()))
            and needed <= set(row.verbs)
        ]
        if format.name == "name":
            api.screen.data("".join(f"{row.qualified}\n" for row in rows))
            return
        is_wide = format.name == "wide"
        headers = [] if no_headers else [[*_HEADERS, *(("VERBS", "CATEGORIES") if is_wide else ())]]
        api.screen.data(Columns().text([*headers, *(_cells(row, is_wide) for row in rows)]))

    return run(settings, Reach(kubeconfig, context), work)


def preferred(rows: list[ApiResource]) -> list[ApiResource]:
    """One row for each resource, by group and name. Pure."""
    first: dict[tuple[str, str], ApiResource] = {}
    for row in rows:
        first.setdefault((row.group, row.plural), row)
    return sorted(first.values(), key=lambda row: (row.group, row.plural))


def _cells(row: ApiResource, is_wide: bool) -> list[str]:
    cells = [
        row.plural,
        ",".join(row.short),
        row.api_version,
        str(row.namespaced).lower(),
        row.kind,
    ]
    return [*cells, ",".join(row.verbs), ",".join(row.categories)] if is_wide else cells
