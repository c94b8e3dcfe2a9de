"""``label`` and ``annotate``: set and remove labels and annotations."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.changing import Change
from kubelite.cli.api.common.operands import changes
from kubelite.cli.api.common.selection import NAME_NEEDED, Target, Which, existing
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.write.managers import FIELD_MANAGER
from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic, clean
from kubelite.client.errors import ApiError

Words = Annotated[
    list[str],
    Argument("TYPE NAME KEY=VALUE...", "Objects, and what to set (KEY=VALUE) or remove (KEY-)."),
]
Overwrite = Annotated[bool, Option("--overwrite", "Replace values that are there.")]
_VERBS = {"labels": "label", "annotations": "annotate"}
ListOnly = Annotated[bool, Option("--list", "Show what is there.")]


@usage("kubelite label pod web tier=front", "kubelite label nodes --all disk-")
def label(
    settings: Settings,
    words: Words,
    *,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    selector: options.Selector = "",
    field_selector: options.FieldSelector = "",
    all_namespaces: options.AllNamespaces = False,
    all: options.All = False,
    overwrite: Overwrite = False,
    list_only: ListOnly = False,
    format: options.Shown = options.NO_FORMAT,
    dry_run: options.Dry = options.DryRun.none,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Sets and removes labels. Raises CliError."""
    operands, entries = changes(words)
    which = Which(
        operands,
        files or (),
        recursive,
        kustomize or (),
        selector,
        field_selector,
        all_namespaces,
        all,
    )
    work = _Work("labels", which, entries, Change(dry_run, format), overwrite, list_only)
    return run(settings, Reach(kubeconfig, context), work.run)


@usage("kubelite annotate deploy/web note='by hand'", "kubelite annotate pods -l app=web note-")
def annotate(
    settings: Settings,
    words: Words,
    *,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    selector: options.Selector = "",
    field_selector: options.FieldSelector = "",
    all_namespaces: options.AllNamespaces = False,
    all: options.All = False,
    overwrite: Overwrite = False,
    list_only: ListOnly = False,
    format: options.Shown = options.NO_FORMAT,
    dry_run: options.Dry = options.DryRun.none,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Sets and removes annotations. Raises CliError."""
    operands, entries = changes(words)
    which = Which(
        operands,
        files or (),
        recursive,
        kustomize or (),
        selector,
        field_selector,
        all_namespaces,
        all,
    )
    work = _Work("annotations", which, entries, Change(dry_run, format), overwrite, list_only)
    return run(settings, Reach(kubeconfig, context), work.run)


class _Work:
    """Changes one of the two maps of metadata."""

    def __init__(
        self,
        field: str,
        which: Which,
        entries: dict[str, str | None],
        change: Change,
        overwrite: bool,
        list_only: bool,
    ) -> None:
        self._field = field
        self._which = which
        self._entries = entries
        self._change = change
        self._overwrite = overwrite
        self._list_only = list_only

    async def run(self, api: Api) -> None:
        if not self._entries and not self._list_only:
            raise CliError(
                Diagnostic(f"at least one {self._field[:-1]} update is required", exit_code=2)
            )
        for target in await existing(api, self._which, needs=NAME_NEEDED):
            before = target.obj["metadata"].get(self._field) or {}
            if self._list_only:
                api.screen.data("".join(f"{k}={clean(v)}\n" for k, v in sorted(before.items())))
                continue
            refused = "" if self._overwrite else refusal(before, self._entries)
            if refused:
                api.failed(refused)
                continue
            await self._write(api, target, before)

    async def _write(self, api: Api, target: Target, before: dict[str, str]) -> None:
        obj = target.obj
        if not self._change.is_local:
            try:
                obj = await api.client.patch(
                    target.resource.gvr,
                    target.name,
                    {"metadata": {self._field: self._entries}},
                    target.namespace,
                    field_manager=f"{FIELD_MANAGER}-{_VERBS[self._field]}",
                    dry_run=self._change.is_tried,
                )
            except ApiError as error:
                return api.refused(error)
        word = word_for(self._field, before, self._entries)
        return self._change.show(api, target, word, obj)


def refusal(before: dict[str, str], entries: dict[str, str | None]) -> str:
    """What keeps values from being set without ``--overwrite``; "" for nothing."""
    for key, value in entries.items():
        if value is not None and key in before and before[key] != value:
            return f"'{key}' already has a value ({before[key]}), and --overwrite is false"
    return ""


def word_for(field: str, before: dict[str, str], entries: dict[str, str | None]) -> str:
    """What kubectl says of an object: ``labeled``, ``unlabeled``, ``not labeled``."""
    if field == "annotations":
        return "annotated"
    after = {key: value for key, value in {**before, **entries}.items() if value is not None}
    if after == before:
        return "not labeled"
    removes_only = all(value is None for value in entries.values())
    return "unlabeled" if removes_only else "labeled"
