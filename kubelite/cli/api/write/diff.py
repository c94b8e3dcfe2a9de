"""``diff``: what ``apply`` would change."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from typing import Annotated

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.selection import Target, Which, in_files
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.printing import formats
from kubelite.cli.api.write.managers import FIELD_MANAGER
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.client.errors import ApiError, NotFound

_FAILED = 2


@usage(
    "kubelite diff -f web.yaml",
    notes="The exit code is 1 for a difference, 2 for a failure. KUBECTL_EXTERNAL_DIFF names the"
    " program that compares the two directories, by default `diff -u -N`.",
)
def diff(
    settings: Settings,
    *,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    show_managed_fields: Annotated[
        bool, Option("--show-managed-fields", "Compare who manages which field, too.")
    ] = False,
    force_conflicts: Annotated[
        bool, Option("--force-conflicts", "As with apply: take over fields of other managers.")
    ] = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Compares objects of files with those of the server. Raises CliError."""
    which = Which((), files or (), recursive, kustomize or ())
    if not which.has_files:
        raise CliError(Diagnostic("must specify one of -f and -k", exit_code=2))

    async def work(api: Api) -> int:
        with (
            tempfile.TemporaryDirectory(prefix="LIVE-") as live,
            tempfile.TemporaryDirectory(prefix="MERGED-") as merged,
        ):
            for target in await in_files(api, which):
                try:
                    before, after = await _both(api, target, force=force_conflicts)
                except ApiError as error:
                    api.refused(error, f'error when comparing "{target.source}"')
                    return _FAILED
                for directory, obj in ((live, before), (merged, after)):
                    if obj is not None:
                        text = formats.text(
                            obj, formats.Format("yaml"), managed_fields=show_managed_fields
                        )
                        _write(directory, target, text)
            return _compare(api, live, merged)

    return run(settings, Reach(kubeconfig, context), work)


async def _both(
    api: Api, target: Target, *, force: bool
) -> tuple[dict[str, object] | None, dict[str, object]]:
    """The object as it is, and as it would be."""
    try:
        before = await api.client.get(target.resource.gvr, target.name, target.namespace)
    except NotFound:
        before = None
    after = await api.client.apply(
        target.resource.gvr, target.obj, field_manager=FIELD_MANAGER, force=force, dry_run=True
    )
    return before, after


def _write(directory: str, target: Target, text: str) -> None:
    resource = target.resource
    parts = (resource.group, resource.version, resource.kind, target.namespace, target.name)
    name = ".".join(part for part in parts if part).replace("/", "-")
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
        file.write(text)


def _compare(api: Api, live: str, merged: str) -> int:
    program = os.environ.get("KUBECTL_EXTERNAL_DIFF") or "diff -u -N"
    try:
        done = subprocess.run([*shlex.split(program), live, merged], stdout=subprocess.PIPE)
    except OSError as error:
        raise CliError(
            Diagnostic(f"{program} cannot be run: {error.strerror}", exit_code=_FAILED)
        ) from error
    api.screen.bytes(done.stdout)
    return done.returncode
