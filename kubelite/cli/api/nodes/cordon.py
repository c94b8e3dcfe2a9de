"""``cordon`` and ``uncordon``: whether new pods may come onto nodes."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.changing import Change
from kubelite.cli.api.common.selection import Target, Which, existing
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.common.command import Argument, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic

Names = Annotated[list[str] | None, Argument("[NODE...]", "Names of nodes.")]


@usage("kubelite cordon n1", "kubelite cordon -l zone=a")
def cordon(
    settings: Settings,
    names: Names = None,
    *,
    selector: options.Selector = "",
    dry_run: options.Dry = options.DryRun.none,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Marks nodes as unschedulable. Raises CliError."""
    return _run(
        settings, Reach(kubeconfig, context), names or [], selector, dry_run, unschedulable=True
    )


@usage("kubelite uncordon n1")
def uncordon(
    settings: Settings,
    names: Names = None,
    *,
    selector: options.Selector = "",
    dry_run: options.Dry = options.DryRun.none,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Marks nodes as schedulable. Raises CliError."""
    return _run(
        settings, Reach(kubeconfig, context), names or [], selector, dry_run, unschedulable=False
    )


def _run(
    settings: Settings,
    reach: Reach,
    names: list[str],
    selector: str,
    dry_run: options.DryRun,
    *,
    unschedulable: bool,
) -> int:
    async def work(api: Api) -> None:
        for target in await nodes(api, names, selector):
            await mark(api, target, Change(dry_run), unschedulable=unschedulable)

    return run(settings, reach, work)


async def nodes(api: Api, names: list[str], selector: str) -> list[Target]:
    """The nodes that are named or selected; one that is not there is shown. Raises CliError."""
    if bool(names) == bool(selector):
        raise CliError(Diagnostic("name nodes, or select them with -l", exit_code=2))
    plain = [name.removeprefix("node/").removeprefix("nodes/") for name in names]
    return await existing(api, Which(["nodes", *plain], selector=selector))


async def mark(api: Api, target: Target, change: Change, *, unschedulable: bool) -> None:
    """Changes whether a node takes new pods, and shows it."""
    word = "cordoned" if unschedulable else "uncordoned"
    if bool(target.obj["spec"].get("unschedulable")) == unschedulable:
        return change.show(api, target, f"already {word}", target.obj)
    if not change.is_local:
        await api.client.patch(
            target.resource.gvr,
            target.name,
            {"spec": {"unschedulable": unschedulable or None}},
            dry_run=change.is_tried,
        )
    return change.show(api, target, word, target.obj)
