"""``patch``: changes objects by a patch."""

from __future__ import annotations

import enum
from typing import Annotated, Any

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.changing import Change
from kubelite.cli.api.common.selection import NAME_NEEDED, Target, Which, existing
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.write.managers import FIELD_MANAGER
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.client.errors import ApiError
from kubelite.lib.manifest_yaml import YamlError, documents


class PatchType(enum.StrEnum):
    """How a patch is read; a strategic one knows the keys of lists."""

    strategic = "strategic"
    merge = "merge"
    json = "json"


@usage(
    """kubelite patch deploy web -p '{"spec":{"replicas":2}}'""",
    "kubelite patch node n1 --type merge --patch-file patch.yaml",
)
def patch(
    settings: Settings,
    objects: options.Objects = None,
    *,
    patch: Annotated[str, Option("--patch -p", "The patch, as JSON or YAML.")] = "",
    patch_file: Annotated[
        str, Option("--patch-file", "File with the patch.", "FILE", completes="file")
    ] = "",
    type: Annotated[PatchType, Option("--type", "How it is read.")] = PatchType.strategic,
    subresource: Annotated[str, Option("--subresource", "Of which sub-resource: status.")] = "",
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    format: options.Shown = options.NO_FORMAT,
    dry_run: options.Dry = options.DryRun.none,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Patches objects. Raises CliError."""
    if bool(patch) == bool(patch_file):
        raise CliError(Diagnostic("must specify one of --patch and --patch-file", exit_code=2))
    if patch_file:
        with open(patch_file, encoding="utf-8") as file:
            patch = file.read()
    wanted = parsed(patch)
    which = Which(objects or (), files or (), recursive, kustomize or ())
    change = Change(dry_run, format)

    async def work(api: Api) -> None:
        for target in await existing(api, which, needs=NAME_NEEDED):
            await _patch(api, target, wanted, type, subresource, change)

    return run(settings, Reach(kubeconfig, context), work)


def parsed(text: str, what: str = "the patch") -> Any:
    """The one document of a text. Raises CliError, which says ``what`` is none."""
    try:
        read = documents(text)
    except YamlError as error:
        sentence = f"{what} is neither YAML nor JSON: {error}"
        raise CliError(Diagnostic(sentence, exit_code=2)) from error
    if len(read) != 1:
        sentence = f"{what} has {len(read)} documents, where one is expected"
        raise CliError(Diagnostic(sentence, exit_code=2))
    return read[0].value


async def _patch(
    api: Api, target: Target, wanted: Any, type: PatchType, subresource: str, change: Change
) -> None:
    after = target.obj
    kind = type.value
    if type is PatchType.strategic and not is_built_in(target):
        return api.failed(
            f"{target.resource.qualified} takes no strategic patch: its lists have no known keys",
            "--type merge",
        )
    if not change.is_local:
        try:
            after = await api.client.patch(
                target.resource.gvr,
                target.name,
                wanted,
                target.namespace,
                kind=kind,
                sub=subresource,
                dry_run=change.is_tried,
                field_manager=f"{FIELD_MANAGER}-patch",
            )
        except ApiError as error:
            return api.refused(error)
    is_changed = _revision(after) != _revision(target.obj) or change.is_local
    return change.show(api, target, "patched" if is_changed else "patched (no change)", after)


def is_built_in(target: Target) -> bool:
    """Whether the server knows how strategic patches change the kind."""
    from kubelite.client.resources import of_kind

    return of_kind(target.resource.api_version, target.resource.kind) is not None


def _revision(obj: dict[str, Any]) -> str:
    return str(obj["metadata"].get("resourceVersion") or "")
