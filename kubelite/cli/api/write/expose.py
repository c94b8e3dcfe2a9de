"""``expose``: a Service for the pods of an object."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.changing import Change
from kubelite.cli.api.common.selection import NAME_NEEDED, Which, existing
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.write.create import create_one, target_of
from kubelite.cli.api.write.generators import exposed
from kubelite.cli.common.command import Option, Settings, usage


@usage("kubelite expose deploy/web --port 80 --target-port 8080")
def expose(
    settings: Settings,
    objects: options.Objects = None,
    *,
    port: Annotated[
        list[int] | None,
        Option("--port", "Port of the service; by default those of the containers."),
    ] = None,
    target_port: Annotated[str, Option("--target-port", "Port of the pods, or its name.")] = "",
    name: Annotated[str, Option("--name", "Name of the service; by default the object's.")] = "",
    type: Annotated[str, Option("--type", "ClusterIP, NodePort, LoadBalancer.")] = "",
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    format: options.Shown = options.NO_FORMAT,
    dry_run: options.Dry = options.DryRun.none,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Creates a Service. Raises CliError."""
    which = Which(objects or (), files or (), recursive, kustomize or ())
    change = Change(dry_run, format)

    async def work(api: Api) -> None:
        for target in await existing(api, which, needs=NAME_NEEDED):
            obj = {"kind": target.resource.kind, **target.obj}
            try:
                service = exposed(obj, name or target.name, port or [], target_port, type)
            except ValueError as error:
                api.failed(str(error))
                continue
            created = await target_of(api, service)
            await create_one(api, created, change, "exposed")

    return run(settings, Reach(kubeconfig, context), work)
