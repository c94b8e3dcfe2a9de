"""``set image``, ``set env``, ``set resources``, ``set serviceaccount``: parts of pod templates."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.changing import Change
from kubelite.cli.api.common.selection import NAME_NEEDED, Target, Which, existing
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.write import templates
from kubelite.cli.api.write.managers import FIELD_MANAGER
from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.client.errors import ApiError
from kubelite.lib.json import Object

Containers = Annotated[
    str, Option("--containers -c", "Containers to change; by default all.", "NAME")
]


@usage("kubelite set image deploy/web server=web:2", "kubelite set image pods -l app=web '*=web:2'")
def image(
    settings: Settings,
    words: Annotated[
        list[str], Argument("TYPE NAME CONTAINER=IMAGE...", "Objects, and images of containers.")
    ],
    *,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    selector: options.Selector = "",
    all: options.All = False,
    format: options.Shown = options.NO_FORMAT,
    dry_run: options.Dry = options.DryRun.none,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Changes images. Raises CliError."""
    pairs = dict(word.split("=", 1) for word in words if "=" in word)
    if not pairs:
        raise CliError(Diagnostic("at least one image update is required", exit_code=2))
    operands = [word for word in words if "=" not in word]
    which = Which(operands, files or (), recursive, kustomize or (), selector, all=all)
    work = _work(
        which, Change(dry_run, format), lambda spec: templates.images(spec, pairs), "image"
    )
    return run(settings, Reach(kubeconfig, context), work)


@usage("kubelite set env deploy/web MODE=fast OLD-", "kubelite set env deploy/web --list")
def env(
    settings: Settings,
    words: Annotated[
        list[str], Argument("TYPE NAME KEY=VALUE...", "Objects, and variables: KEY=VALUE or KEY-.")
    ],
    *,
    containers: Containers = "*",
    list_only: Annotated[bool, Option("--list", "Show the variables.")] = False,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    selector: options.Selector = "",
    all: options.All = False,
    format: options.Shown = options.NO_FORMAT,
    dry_run: options.Dry = options.DryRun.none,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Changes variables. Raises CliError."""
    from kubelite.cli.api.common.operands import changes

    operands, variables = changes(words)
    which = Which(operands, files or (), recursive, kustomize or (), selector, all=all)
    if list_only:
        return run(settings, Reach(kubeconfig, context), lambda api: _list(api, which, containers))
    if not variables:
        raise CliError(
            Diagnostic("at least one environment variable must be provided", exit_code=2)
        )
    work = _work(
        which,
        Change(dry_run, format),
        lambda spec: templates.variables(spec, containers, variables),
        "env",
    )
    return run(settings, Reach(kubeconfig, context), work)


@usage("kubelite set resources deploy/web --limits cpu=200m,memory=64Mi")
def resources(
    settings: Settings,
    objects: options.Objects = None,
    *,
    limits: Annotated[str, Option("--limits", "Limits: cpu=200m,memory=64Mi; 0 removes.")] = "",
    requests: Annotated[str, Option("--requests", "Requests: cpu=100m; 0 removes.")] = "",
    containers: Containers = "*",
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    selector: options.Selector = "",
    all: options.All = False,
    format: options.Shown = options.NO_FORMAT,
    dry_run: options.Dry = options.DryRun.none,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Changes requests and limits. Raises CliError."""
    amounts = {"limits": _amounts(limits), "requests": _amounts(requests)}
    if not any(amounts.values()):
        raise CliError(Diagnostic("you must specify an update to requests or limits", exit_code=2))
    which = Which(objects or (), files or (), recursive, kustomize or (), selector, all=all)
    work = _work(
        which,
        Change(dry_run, format),
        lambda spec: templates.resources(spec, containers, amounts),
        "resource requirements",
    )
    return run(settings, Reach(kubeconfig, context), work)


@usage("kubelite set serviceaccount deploy/web robot")
def serviceaccount(
    settings: Settings,
    words: Annotated[list[str], Argument("TYPE NAME ACCOUNT", "Objects, and the account.")],
    *,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    all: options.All = False,
    format: options.Shown = options.NO_FORMAT,
    dry_run: options.Dry = options.DryRun.none,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Changes the service account. Raises CliError."""
    which = Which(words[:-1], files or (), recursive, kustomize or (), all=all)
    work = _work(
        which,
        Change(dry_run, format),
        lambda spec: {**spec, "serviceAccountName": words[-1], "serviceAccount": words[-1]},
        "serviceaccount",
    )
    return run(settings, Reach(kubeconfig, context), work)


def _amounts(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",") if part]
    if wrong := next((name for name, equals, _ in pairs if not equals), ""):
        raise CliError(Diagnostic(f"{wrong}: expected RESOURCE=QUANTITY", exit_code=2))
    return {name: amount for name, _, amount in pairs}


def _work(
    which: Which, change: Change, edited: Callable[[Object], Object], word: str
) -> Callable[[Api], Awaitable[None]]:
    async def work(api: Api) -> None:
        for target in await existing(api, which, needs=NAME_NEEDED):
            await _set(api, target, change, edited, word)

    return work


async def _set(
    api: Api, target: Target, change: Change, edited: Callable[[Object], Object], word: str
) -> None:
    try:
        path, spec = templates.pod_spec(target.resource.kind, target.obj)
        edit = edited(spec)
    except ValueError as error:
        return api.failed(str(error))
    if edit == spec:
        return None
    after = target.obj
    if not change.is_local:
        try:
            after = await api.client.patch(
                target.resource.gvr,
                target.name,
                templates.patch(path, spec, edit),
                target.namespace,
                kind="strategic",
                dry_run=change.is_tried,
                field_manager=f"{FIELD_MANAGER}-set",
            )
        except ApiError as error:
            return api.refused(error)
    return change.show(api, target, f"{word} updated", after)


async def _list(api: Api, which: Which, containers: str) -> None:
    for target in await existing(api, which, needs=NAME_NEEDED):
        _, spec = templates.pod_spec(target.resource.kind, target.obj)
        for container in templates.chosen(spec, containers):
            api.screen.data(
                f"# {target.resource.kind} {target.name}, container {container['name']}\n"
            )
            for variable in container.get("env") or ():
                api.screen.data(templates.variable_line(variable) + "\n")
