"""``pod ls``: lists pods, as a table or as documents."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common import output
from kubelite.cli.common.command import Option, Output, Settings, usage
from kubelite.cli.common.diagnostic import Diagnostic
from kubelite.cli.common.engine import as_document, open_pods, suggest_command
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import NAMES, SELECTOR, matching, pod_name
from kubelite.cli.pod_row import Doc, PodRow, row
from kubelite.objects.facts import ages
from kubelite.objects.rules import printing

if TYPE_CHECKING:
    from kubelite.node.kubelet.pods.pods import Pods

ALL_NAMESPACES = Option("--all-namespaces -A", "Include the pods of all namespaces.")
OUTPUT = Option("--output -o", "Output format.")
_HEADERS = ("NAME", "READY", "STATUS", "RESTARTS", "AGE")
_WATCH_SECONDS = 0.5
_WIDE = ("IP", "NODE", "IMAGES")


@usage("kubelite pod ls -A", "kubelite pod ls web -o yaml", "kubelite pod ls -l app=web -w")
def ls(
    settings: Settings,
    names: Annotated[list[str] | None, NAMES] = None,
    *,
    selector: Annotated[str | None, SELECTOR] = None,
    watch: Annotated[bool, Option("--watch -w", "Keep printing pods that change.")] = False,
    format: Annotated[Output, OUTPUT] = Output.table,
    all_namespaces: Annotated[bool, ALL_NAMESPACES] = False,
    no_headers: Annotated[bool, Option("--no-headers", "Omit the header line.")] = False,
) -> int:
    """Lists the pods of the namespace, or those named. Raises NotFound for a missing one."""
    screen = Screen(settings)
    pods = open_pods(settings, screen)
    wanted = [pod_name(name) for name in names or ()]

    def find() -> list[Doc]:
        return matching(_find(pods, settings.active_namespace, wanted, all_namespaces), selector)

    listed = find()
    _warn(settings, screen, pods)
    table = Table(format is Output.wide, all_namespaces)
    if format in (Output.json, Output.yaml):
        data = listed[0] if len(wanted) == 1 else output.as_list(listed)
        screen.data(output.document(data, format))
    elif format is Output.name:
        screen.data("".join(f"pod/{pod['metadata']['name']}\n" for pod in listed))
    elif not listed and not watch:
        where = "" if all_namespaces else f" in {settings.active_namespace} namespace"
        screen.note(f"No resources found{where}.")
    else:
        screen.data(table.text(listed, with_headers=not no_headers))
    return _watch(screen, find, table, listed) if watch else 0


def _warn(settings: Settings, screen: Screen, pods: Pods) -> None:
    hint = ""
    for uid in pods.queries.damaged_pods:
        command = suggest_command(settings, f"pod down --uid {uid}")
        hint = f"`{command}` removes what is left of that pod"
    for sentence in pods.queries.damaged:
        screen.warn(Diagnostic(sentence, hint=hint))
    if pods.restart_missing_agent():
        screen.warn(
            Diagnostic(
                "no node agent was running though pods need one: nothing was restarted or probed",
                hint="it has been started again",
            )
        )


def _find(pods: Pods, namespace: str, names: Sequence[str], all_namespaces: bool) -> list[Doc]:
    if names:
        return [as_document(pods.queries.get(namespace, name)) for name in names]
    return [as_document(pod) for pod in pods.queries.list(None if all_namespaces else namespace)]


def _watch(screen: Screen, find: Callable[[], list[Doc]], table: Table, listed: list[Doc]) -> int:
    """Prints the row of each pod that is new or has changed, until Ctrl-C."""
    rows = {_key(pod): row(pod) for pod in listed}
    while True:
        time.sleep(_WATCH_SECONDS)
        now = {_key(pod): pod for pod in find()}
        changed = [pod for key, pod in now.items() if rows.get(key) != row(pod)]
        rows = {key: row(pod) for key, pod in now.items()}
        if changed:
            screen.data(table.text(changed, with_headers=False))


def _key(pod: Doc) -> str:
    return str(pod["metadata"].get("uid") or pod["metadata"]["name"])


class Table:
    """The table of pods. Columns never become narrower, so that later rows stay below them."""

    def __init__(self, wide: bool, all_namespaces: bool) -> None:
        self._wide = wide
        self._all_namespaces = all_namespaces
        self._widths: list[int] = []

    def text(self, listed: list[Doc], *, with_headers: bool) -> str:
        now = datetime.now(UTC)
        headers = [
            *(["NAMESPACE"] if self._all_namespaces else []),
            *_HEADERS,
            *(_WIDE if self._wide else ()),
        ]
        rows = [self._cells(row(pod), now) for pod in listed]
        widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
        previous = self._widths or widths
        self._widths = [max(pair) for pair in zip(widths, previous, strict=True)]
        padded = [name.ljust(width) for name, width in zip(headers, self._widths, strict=True)]
        text = output.table(padded, rows)
        return text if with_headers else text.partition("\n")[2]

    def _cells(self, pod: PodRow, now: datetime) -> list[str]:
        printed = pod.printed
        cells = [pod.namespace] if self._all_namespaces else []
        cells += [pod.name, f"{printed.ready}/{printed.total}", printed.reason or "Unknown"]
        cells += [printing.restarts(printed, now), ages.since(pod.created, now)]
        return cells + ([pod.ip, pod.node, pod.images] if self._wide else [])
