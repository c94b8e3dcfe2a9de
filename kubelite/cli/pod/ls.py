"""``pod ls``: lists pods, as a table or as documents."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common import durations, output
from kubelite.cli.common.command import Argument, Option, Output, Settings, usage
from kubelite.cli.common.diagnostic import Diagnostic
from kubelite.cli.common.engine import as_document, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.podrow import Doc, PodRow, row

if TYPE_CHECKING:
    from kubelite.node.kubelet.pods.pods import Pods

ALL_NAMESPACES = Option("--all-namespaces -A", "Include the pods of all namespaces.")
OUTPUT = Option("--output -o", "Output format.")
_HEADERS = ("NAME", "READY", "STATUS", "RESTARTS", "AGE")
_WIDE = ("IP", "NODE", "IMAGES")


@usage("kubelite pod ls -A", "kubelite pod ls web -o yaml")
def ls(
    settings: Settings,
    names: Annotated[
        list[str] | None, Argument("[NAME]...", "Only these pods.", completes="pod")
    ] = None,
    *,
    format: Annotated[Output, OUTPUT] = Output.table,
    all_namespaces: Annotated[bool, ALL_NAMESPACES] = False,
    no_headers: Annotated[bool, Option("--no-headers", "Omit the header line.")] = False,
) -> int:
    """Lists the pods of the namespace, or those named. Raises NotFound for a missing one."""
    screen = Screen(settings)
    pods = open_pods(settings, screen)
    listed = _find(pods, settings.active_namespace, names or (), all_namespaces)
    for sentence in pods.damaged:
        screen.warn(
            Diagnostic(
                sentence,
                hint="`kubelite system reset` removes what is left of that pod, and all others",
            )
        )
    if format in (Output.json, Output.yaml):
        data = listed[0] if names and len(names) == 1 else output.as_list(listed)
        screen.data(output.document(data, format))
    elif format is Output.name:
        screen.data("".join(f"pod/{pod['metadata']['name']}\n" for pod in listed))
    elif not listed:
        where = "" if all_namespaces else f" in {settings.active_namespace} namespace"
        screen.note(f"No resources found{where}.")
    else:
        screen.data(_table(listed, format is Output.wide, all_namespaces, not no_headers))
    return 0


def _find(pods: Pods, namespace: str, names: Sequence[str], all_namespaces: bool) -> list[Doc]:
    if names:
        return [as_document(pods.get(namespace, name)) for name in names]
    return [as_document(pod) for pod in pods.list(None if all_namespaces else namespace)]


def _table(listed: list[Doc], wide: bool, all_namespaces: bool, with_headers: bool) -> str:
    now = time.time()
    headers = [
        *(["NAMESPACE"] if all_namespaces else []),
        *_HEADERS,
        *(_WIDE if wide else ()),
    ]
    rows = [_cells(row(pod), now, wide, all_namespaces) for pod in listed]
    text = output.table(headers, rows)
    return text if with_headers else text.partition("\n")[2]


def _cells(pod: PodRow, now: float, wide: bool, all_namespaces: bool) -> list[str]:
    cells = [pod.namespace] if all_namespaces else []
    cells += [pod.name, pod.ready, pod.status, pod.restarts, age(pod.created, now)]
    return cells + ([pod.ip, pod.node, pod.images] if wide else [])


def age(created: str, now: float) -> str:
    """How long ago an RFC 3339 time was; ``<unknown>`` if it is not one."""
    from datetime import datetime

    try:
        return durations.human(now - datetime.fromisoformat(created).timestamp())
    except ValueError:
        return "<unknown>"
