"""``scale``: sets how many replicas are wanted."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.changing import Change
from kubelite.cli.api.common.selection import NAME_NEEDED, Which, existing
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.client.errors import ApiError


@usage("kubelite scale deploy/web --replicas 3", "kubelite scale -f web.yaml --replicas 0")
def scale(
    settings: Settings,
    objects: options.Objects = None,
    *,
    replicas: Annotated[int, Option("--replicas", "How many are wanted.", minimum=0)],
    current_replicas: Annotated[
        int, Option("--current-replicas", "Only where so many are wanted now.", minimum=-1)
    ] = -1,
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
    """Sets replicas by the scale sub-resource. Raises CliError."""
    which = Which(objects or (), files or (), recursive, kustomize or (), selector, all=all)
    change = Change(dry_run, format)

    async def work(api: Api) -> None:
        for target in await existing(api, which, needs=NAME_NEEDED):
            try:
                before = await api.client.get_scale(
                    target.resource.gvr, target.name, target.namespace
                )
                now = before.get("spec", {}).get("replicas", 0)
                if current_replicas not in (-1, now):
                    api.failed(f"Expected replicas to be {current_replicas}, was {now}")
                    continue
                patch = {"spec": {"replicas": replicas}}
                if not change.is_local:
                    await api.client.patch(
                        target.resource.gvr,
                        target.name,
                        patch,
                        target.namespace,
                        sub="scale",
                        dry_run=change.is_tried,
                    )
            except ApiError as error:
                api.refused(error)
                continue
            change.show(api, target, "scaled", target.obj)

    return run(settings, Reach(kubeconfig, context), work)
