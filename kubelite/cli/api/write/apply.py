"""``apply``: objects of files become what the files say, by server-side apply.

The server knows which fields a manager has applied, and removes those that a file no longer has:
nothing has to be computed here. The manager has kubectl's name, what kubectl has applied on the
client is taken over, and its annotation is kept true where there is one: either tool goes on with
what the other one has applied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.changing import Change
from kubelite.cli.api.common.selection import Target, Which, in_files
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.write import managers
from kubelite.cli.api.write.managers import FIELD_MANAGER
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.client.errors import ApiError, Conflict, NotFound

if TYPE_CHECKING:
    from kubelite.lib.json import Object


@usage(
    "kubelite apply -f web.yaml",
    "kubelite apply -f manifests/ -R",
    "kubelite apply -k overlays/test --dry-run=server",
    notes="Server-side apply: fields of other managers are left alone, and a conflict with one of"
    " them is an error unless --force-conflicts takes them over.",
)
def apply(
    settings: Settings,
    *,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    selector: options.Selector = "",
    format: options.Shown = options.NO_FORMAT,
    dry_run: options.Dry = options.DryRun.none,
    server_side: Annotated[
        bool, Option("--server-side", "Accepted as kubectl's: every apply is one.")
    ] = False,
    force_conflicts: Annotated[
        bool, Option("--force-conflicts", "Take over fields that another manager owns.")
    ] = False,
    field_manager: Annotated[
        str, Option("--field-manager", "Name of who owns the fields.", "NAME")
    ] = FIELD_MANAGER,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Creates or changes the objects of files. Raises CliError."""
    which = Which((), files or (), recursive, kustomize or (), selector)
    change = Change(dry_run, format)

    async def work(api: Api) -> None:
        if not which.has_files:
            raise CliError(Diagnostic("must specify one of -f and -k", exit_code=2))
        for target in await in_files(api, which):
            await _apply(api, target, change, field_manager, force=force_conflicts)

    return run(settings, Reach(kubeconfig, context), work)


async def _apply(api: Api, target: Target, change: Change, manager: str, *, force: bool) -> None:
    try:
        before = await _before(api, target)
        if change.is_local:
            after = target.obj
        else:
            if before is not None and not change.is_tried and manager == FIELD_MANAGER:
                await _take_over(api, target, before)
            wanted = (
                target.obj if before is None else managers.with_last_applied(target.obj, before)
            )
            after = await api.client.apply(
                target.resource.gvr,
                wanted,
                field_manager=manager,
                force=force,
                dry_run=change.is_tried,
                strict=True,
            )
    except Conflict as error:
        api.refused(error, f'error when applying "{target.source}"')
        if not force and error.causes:
            api.screen.note("  hint: --force-conflicts takes over the fields of other managers")
        return None
    except ApiError as error:
        return api.refused(error, f'error when applying "{target.source}"')
    return change.show(api, target, _word(before, after, is_local=change.is_local), after)


async def _before(api: Api, target: Target) -> Object | None:
    try:
        return await api.client.get(target.resource.gvr, target.name, target.namespace)
    except NotFound:
        return None


async def _take_over(api: Api, target: Target, before: Object) -> None:
    """Fields that kubectl's apply on the client owns become those of apply on the server: fields
    that the file no longer has are removed then, and there is no conflict with oneself.
    """
    patch = managers.takeover(before)
    if patch:
        await api.client.patch(
            target.resource.gvr, target.name, patch, target.namespace, kind="json"
        )


def _word(before: Object | None, after: Object, *, is_local: bool) -> str:
    if before is None:
        return "created"
    if is_local:
        return "configured"
    return "unchanged" if _content(before) == _content(after) else "configured"


def _content(obj: Object) -> Object:
    """An object without what every write changes; a dry run has the revision from before."""
    metadata = {
        key: value
        for key, value in obj["metadata"].items()
        if key not in ("resourceVersion", "managedFields", "generation")
    }
    return {**obj, "metadata": metadata}
