"""``rollout status``, ``history``, ``undo``, ``restart``, ``pause``, ``resume``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.changing import Change
from kubelite.cli.api.common.selection import NAME_NEEDED, Target, Which, existing
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.common.waiting import until
from kubelite.cli.api.printing import formats
from kubelite.cli.api.write import rollouts
from kubelite.cli.api.write.managers import FIELD_MANAGER
from kubelite.cli.api.write.rollouts import Revision, RolloutError
from kubelite.cli.common import durations
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.client.errors import ApiError
from kubelite.client.resources import CONTROLLER_REVISIONS, REPLICA_SETS
from kubelite.control.controllers.shared.ownership import is_owned
from kubelite.lib.json import Object

_RESTARTED = "kubectl.kubernetes.io/restartedAt"


@usage("kubelite rollout status deploy/web --timeout 30s")
def status(
    settings: Settings,
    objects: options.Objects = None,
    *,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    selector: options.Selector = "",
    watch: Annotated[
        options.Switch, Option("--watch -w", "Wait until it is over.")
    ] = options.Switch.true,
    timeout: Annotated[
        float,
        Option("--timeout", "How long to wait; 0 without a limit.", "DURATION", durations.parse),
    ] = 0.0,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Shows how far rollouts are, until they are over. Raises CliError."""
    which = Which(objects or (), files or (), recursive, kustomize or (), selector)

    async def show(api: Api, target: Target) -> None:
        if watch is options.Switch.false:
            api.screen.data(rollouts.state(target.resource.kind, target.obj).sentence + "\n")
            return
        try:
            await _follow(api, target, timeout or None)
        except TimeoutError:
            api.failed("timed out waiting for the condition")

    return run(settings, Reach(kubeconfig, context), _for_all(which, show))


async def _follow(api: Api, target: Target, timeout: float | None) -> None:
    sentences: list[str] = []

    def is_done(obj: Object | None) -> bool:
        if obj is None:
            raise RolloutError("object has been deleted")
        state = rollouts.state(target.resource.kind, obj)
        if state.sentence not in sentences[-1:]:
            sentences.append(state.sentence)
            api.screen.data(f"{state.sentence}\n")
        return state.is_done

    await until(api.client, target.resource, target.namespace, target.name, is_done, timeout)


@usage("kubelite rollout history deploy/web", "kubelite rollout history deploy/web --revision 2")
def history(
    settings: Settings,
    objects: options.Objects = None,
    *,
    revision: Annotated[int, Option("--revision", "Show what this revision has.", minimum=0)] = 0,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    selector: options.Selector = "",
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Lists revisions, or shows the pod template of one as YAML. Raises CliError."""
    which = Which(objects or (), files or (), recursive, kustomize or (), selector)

    async def show(api: Api, target: Target) -> None:
        revisions = await _revisions(api, target)
        if not revision:
            api.screen.data(rollouts.history(target.label, revisions))
            return
        template = _template(target, rollouts.chosen(revisions, revision, target.label))
        api.screen.data(f"{target.label} with revision #{revision}\n")
        api.screen.data(formats.text({"template": template}, formats.Format("yaml")))

    return run(settings, Reach(kubeconfig, context), _for_all(which, show))


@usage("kubelite rollout undo deploy/web", "kubelite rollout undo deploy/web --to-revision 2")
def undo(
    settings: Settings,
    objects: options.Objects = None,
    *,
    to_revision: Annotated[
        int, Option("--to-revision", "The revision to return to; 0 is the one before.", minimum=0)
    ] = 0,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    selector: options.Selector = "",
    format: options.Shown = options.NO_FORMAT,
    dry_run: options.Dry = options.DryRun.none,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Gives objects the pod template of an earlier revision. Raises CliError."""
    which = Which(objects or (), files or (), recursive, kustomize or (), selector)
    change = Change(dry_run, format)

    async def undone(api: Api, target: Target) -> None:
        if target.obj["spec"].get("paused"):
            raise RolloutError(
                "you cannot rollback a paused deployment; resume it first with"
                f" 'kubelite rollout resume {target.label}' and try again"
            )
        revisions = await _revisions(api, target)
        chosen = rollouts.chosen(revisions, to_revision, target.label)
        template = _template(target, chosen)
        if template == target.obj["spec"]["template"]:
            word = f"skipped rollback (current template already matches revision {chosen.number})"
            return change.show(api, target, word, target.obj)
        patch = [{"op": "replace", "path": "/spec/template", "value": template}]
        return await _patch(api, target, change, patch, "rolled back", kind="json")

    return run(settings, Reach(kubeconfig, context), _for_all(which, undone))


@usage("kubelite rollout restart deploy/web", "kubelite rollout restart deploy -l app=web")
def restart(
    settings: Settings,
    objects: options.Objects = None,
    *,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    selector: options.Selector = "",
    format: options.Shown = options.NO_FORMAT,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Replaces all pods by new ones, as a rollout. Raises CliError."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    patch = {"spec": {"template": {"metadata": {"annotations": {_RESTARTED: now}}}}}
    which = Which(objects or (), files or (), recursive, kustomize or (), selector)
    change = Change(format=format)

    async def restarted(api: Api, target: Target) -> None:
        if target.obj["spec"].get("paused"):
            raise RolloutError("can't restart paused deployment (run rollout resume first)")
        if not target.obj["spec"].get("template"):
            raise RolloutError(f"a {target.resource.kind} has no pod template to restart")
        await _patch(api, target, change, patch, "restarted")

    return run(settings, Reach(kubeconfig, context), _for_all(which, restarted))


@usage("kubelite rollout pause deploy/web")
def pause(
    settings: Settings,
    objects: options.Objects = None,
    *,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    selector: options.Selector = "",
    format: options.Shown = options.NO_FORMAT,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Keeps changes of deployments from being rolled out. Raises CliError."""
    which = Which(objects or (), files or (), recursive, kustomize or (), selector)
    work = _pausing(Change(format=format), "paused", wanted=True)
    return run(settings, Reach(kubeconfig, context), _for_all(which, work))


@usage("kubelite rollout resume deploy/web")
def resume(
    settings: Settings,
    objects: options.Objects = None,
    *,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    selector: options.Selector = "",
    format: options.Shown = options.NO_FORMAT,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Lets paused deployments go on. Raises CliError."""
    which = Which(objects or (), files or (), recursive, kustomize or (), selector)
    work = _pausing(Change(format=format), "resumed", wanted=False)
    return run(settings, Reach(kubeconfig, context), _for_all(which, work))


_Step = Callable[[Api, Target], Awaitable[None]]


def _pausing(change: Change, word: str, *, wanted: bool) -> _Step:
    async def work(api: Api, target: Target) -> None:
        if target.resource.kind != "Deployment":
            raise RolloutError(f"{target.resource.qualified} cannot be paused or resumed")
        if bool(target.obj["spec"].get("paused")) == wanted:
            state = "already paused" if wanted else "not paused"
            raise RolloutError(f'{target.resource.qualified} "{target.name}" is {state}')
        await _patch(api, target, change, {"spec": {"paused": wanted}}, word)

    return work


def _for_all(which: Which, step: _Step) -> Callable[[Api], Awaitable[None]]:
    """Does something with each object; what fails is shown, and the others go on."""

    async def work(api: Api) -> None:
        if not which.words and not which.has_files:
            raise CliError(Diagnostic("required resource not specified", exit_code=2))
        for target in await existing(api, which, needs=NAME_NEEDED):
            try:
                await step(api, target)
            except RolloutError as error:
                api.failed(str(error))
            except ApiError as error:
                api.refused(error)

    return work


async def _revisions(api: Api, target: Target) -> list[Revision]:
    """The revisions of an object, oldest first. Raises RolloutError, ApiError."""
    kind = target.resource.kind
    if kind not in ("Deployment", "StatefulSet", "DaemonSet"):
        raise RolloutError(f"no history viewer has been implemented for {kind}")
    resource = REPLICA_SETS if kind == "Deployment" else CONTROLLER_REVISIONS
    page = await api.client.list(resource, target.namespace)
    owned = [obj for obj in page.items if is_owned(obj, target.obj)]
    if kind == "Deployment":
        return rollouts.of_replica_sets(owned)
    return rollouts.of_controller_revisions(owned)


def _template(target: Target, revision: Revision) -> Object:
    if target.resource.kind == "Deployment":
        return rollouts.template_of(revision.obj)
    template: Object = {**revision.obj["data"]["spec"]["template"]}
    template.pop("$patch", None)
    return template


async def _patch(
    api: Api, target: Target, change: Change, patch: object, word: str, kind: str = "strategic"
) -> None:
    after = target.obj
    if not change.is_local:
        after = await api.client.patch(
            target.resource.gvr,
            target.name,
            patch,  # type: ignore[arg-type]
            target.namespace,
            kind=kind,
            dry_run=change.is_tried,
            field_manager=f"{FIELD_MANAGER}-rollout",
        )
    change.show(api, target, word, after)
