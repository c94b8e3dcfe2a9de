"""``delete``: deletes objects and waits until they are gone."""

from __future__ import annotations

import enum
from typing import Annotated, NamedTuple

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.changing import Change
from kubelite.cli.api.common.selection import NAME_NEEDED, Target, Which, existing, in_files
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.common.waiting import until
from kubelite.cli.common import durations
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.client.errors import ApiError, NotFound
from kubelite.lib.json import Object


class Cascade(enum.StrEnum):
    """What becomes of the objects that a deleted one owns."""

    background = "background"
    foreground = "foreground"
    orphan = "orphan"


class Deletion(NamedTuple):
    """How objects are deleted."""

    change: Change
    cascade: Cascade
    grace_seconds: int | None
    wait: bool
    timeout: float | None
    ignore_not_found: bool
    force: bool = False


@usage(
    "kubelite delete -f web.yaml",
    "kubelite delete pod web --grace-period 1",
    "kubelite delete deploy,svc -l app=web",
)
def delete(
    settings: Settings,
    objects: options.Objects = None,
    *,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    selector: options.Selector = "",
    field_selector: options.FieldSelector = "",
    all_namespaces: options.AllNamespaces = False,
    all: options.All = False,
    cascade: Annotated[
        Cascade, Option("--cascade", "What becomes of the objects that it owns.")
    ] = Cascade.background,
    grace_period: Annotated[
        int, Option("--grace-period", "Seconds to end in; -1 leaves it to the object.", minimum=-1)
    ] = -1,
    now: Annotated[bool, Option("--now", "As --grace-period 1.")] = False,
    force: Annotated[bool, Option("--force", "Do not wait for the node: remove at once.")] = False,
    wait: Annotated[
        options.Switch, Option("--wait", "Wait until the objects are gone.")
    ] = options.Switch.true,
    timeout: Annotated[
        float,
        Option("--timeout", "How long to wait; 0 without a limit.", "DURATION", durations.parse),
    ] = 0.0,
    ignore_not_found: Annotated[
        bool, Option("--ignore-not-found", "An object that is not there is no failure.")
    ] = False,
    format: options.Shown = options.NO_FORMAT,
    dry_run: options.Dry = options.DryRun.none,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Deletes objects. Raises CliError."""
    which = Which(
        objects or (),
        files or (),
        recursive,
        kustomize or (),
        selector,
        field_selector,
        all_namespaces,
        all,
    )
    grace = 0 if force and grace_period < 0 else 1 if now else grace_period
    deletion = Deletion(
        Change(dry_run, format),
        cascade,
        None if grace < 0 else grace,
        wait is options.Switch.true and dry_run is options.DryRun.none,
        timeout or None,
        ignore_not_found or all,
        force,
    )

    async def work(api: Api) -> None:
        targets = await _targets(api, which, deletion)
        if not targets and not api.exit_code and not which.words[1:]:
            api.screen.note("No resources found")
        uids = [await _delete(api, target, deletion) for target in targets]
        if deletion.wait:
            for target, uid in zip(targets, uids, strict=True):
                if uid is not None:
                    await _wait(api, target, uid, deletion)

    return run(settings, Reach(kubeconfig, context), work)


async def _targets(api: Api, which: Which, deletion: Deletion) -> list[Target]:
    """In files and by name without looking: the server says what is not there."""
    if which.has_files:
        return await in_files(api, which)
    operands = await api.operands(which.words)
    if any(operand.name for operand in operands):
        return [
            Target(row, api.namespace if row.namespaced else "", name, {}) for row, name in operands
        ]
    return await existing(api, which, needs=NAME_NEEDED)


async def _delete(api: Api, target: Target, deletion: Deletion) -> str | None:
    """The uid of the deleted object, "" where the server does not say it; None for a refusal."""
    resource, answer = target.resource, target.obj
    try:
        if not deletion.change.is_local:
            answer = await api.client.delete(
                resource.gvr,
                target.name,
                target.namespace,
                propagation=deletion.cascade.value.capitalize(),
                grace_seconds=deletion.grace_seconds,
                dry_run=deletion.change.is_tried,
            )
    except ApiError as error:
        if not (isinstance(error, NotFound) and deletion.ignore_not_found):
            api.refused(error, f'error when deleting "{target.source}"' if target.source else "")
        return None
    if deletion.change.format.name == "name":
        api.screen.data(f"{target.label}\n")
    else:
        word = "force deleted" if deletion.force else "deleted"
        suffix = deletion.change.suffix
        api.screen.data(f'{resource.type_label} "{target.name}" {word}{suffix}\n')
    deleted = answer.get("details" if answer.get("kind") == "Status" else "metadata") or {}
    return str(deleted.get("uid") or "")


async def _wait(api: Api, target: Target, uid: str, deletion: Deletion) -> None:
    """Until the object is gone, or another one has its name."""

    def is_gone(obj: Object | None) -> bool:
        return obj is None or (bool(uid) and obj["metadata"]["uid"] != uid)

    try:
        await until(
            api.client, target.resource, target.namespace, target.name, is_gone, deletion.timeout
        )
    except TimeoutError:
        api.failed(f"timed out waiting for the condition on {target.resource.plural}/{target.name}")
