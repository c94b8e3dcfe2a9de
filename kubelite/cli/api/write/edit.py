"""``edit``: an object in the user's editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.changing import Change
from kubelite.cli.api.common.selection import NAME_NEEDED, Target, Which, existing
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.printing import formats
from kubelite.cli.api.write.managers import FIELD_MANAGER
from kubelite.cli.api.write.patch import parsed
from kubelite.cli.common.command import Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.client.errors import ApiError

_HEAD = (
    "# What is saved here replaces the object; an empty file, or the same one, changes nothing.\n"
)


@usage("kubelite edit deploy/web", notes="The editor is that of KUBE_EDITOR or EDITOR, or vi.")
def edit(
    settings: Settings,
    objects: options.Objects = None,
    *,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    format: options.Shown = options.NO_FORMAT,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Edits objects, one after the other. Raises CliError; what a refused edit had stays in a file
    that is named.
    """
    which = Which(objects or (), files or (), recursive, kustomize or ())
    change = Change(format=format)

    async def work(api: Api) -> None:
        for target in await existing(api, which, needs=NAME_NEEDED):
            await _edit(api, target, change)

    return run(settings, Reach(kubeconfig, context), work)


async def _edit(api: Api, target: Target, change: Change) -> None:
    before = _HEAD + formats.text(target.obj, formats.Format("yaml"))
    handle, path = tempfile.mkstemp(prefix="kubelite-edit-", suffix=".yaml")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(before)
    is_kept = False
    try:
        _run_editor(path)
        with open(path, encoding="utf-8") as file:
            after = file.read()
        if after == before or not after.strip():
            api.screen.note("Edit cancelled, no changes made.")
            return
        is_kept = True
        wanted = parsed(after, path)
        obj = await api.client.update(
            target.resource.gvr, wanted, field_manager=f"{FIELD_MANAGER}-edit"
        )
        is_kept = False
        change.show(api, target, "edited", obj)
    except ApiError as error:
        api.refused(error)
    finally:
        if is_kept:
            api.screen.note(f"A copy of your changes has been stored to {path}")
        else:
            os.unlink(path)


def _run_editor(path: str) -> None:
    editor = os.environ.get("KUBE_EDITOR") or os.environ.get("EDITOR") or "vi"
    try:
        code = subprocess.run([*shlex.split(editor), path], check=False).returncode
    except OSError as error:
        hint = "KUBE_EDITOR or EDITOR names another one"
        raise CliError(
            Diagnostic(f"the editor {editor} cannot be run: {error.strerror}", hint=hint)
        ) from error
    if code:
        raise CliError(Diagnostic(f"the editor {editor} ended with {code}; nothing is changed"))
