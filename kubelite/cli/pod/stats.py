"""``pod stats``: what containers use."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

from kubelite.cli.common import output
from kubelite.cli.common.command import Argument, Option, Output, Settings, usage
from kubelite.cli.common.engine import open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import pod_name
from kubelite.cli.pod.ls import OUTPUT
from kubelite.lib import sizes

if TYPE_CHECKING:
    from kubelite.node.kubelet.pods.pods import Pods
    from kubelite.node.kubelet.pods.usage import Sample

_HEADERS = ("POD", "CONTAINER", "CPU", "MEMORY", "LIMIT", "TASKS", "NET IN", "NET OUT")
_INTERVAL_SECONDS = 1.0


@usage("kubelite pod stats", "kubelite pod stats web --no-stream")
def stats(
    settings: Settings,
    name: Annotated[str | None, Argument("[NAME]", "Only this pod.", completes="pod")] = None,
    *,
    stream: Annotated[
        bool, Option("--stream/--no-stream", "Refresh every second, or print once.")
    ] = True,
    format: Annotated[Output, OUTPUT] = Output.table,
) -> int:
    """CPU over the last second in cores, memory, tasks, bytes of the pod's network."""
    name = pod_name(name) if name is not None else None
    screen = Screen(settings)
    pods = open_pods(settings, screen)
    before = _samples(settings, pods, name)
    while True:
        time.sleep(_INTERVAL_SECONDS)
        now = _samples(settings, pods, name)
        rows = [_row(sample, before.get(key)) for key, sample in now.items()]
        if format in (Output.json, Output.yaml):
            screen.data(output.document(rows, format))
        else:
            clear = "\x1b[H\x1b[J" if stream and screen.is_terminal else ""
            screen.data(clear + output.table(_HEADERS, [_cells(row) for row in rows]))
        if not stream:
            return 0
        before = now


def _samples(settings: Settings, pods: Pods, name: str | None) -> dict[tuple[str, str], Sample]:
    taken = pods.queries.stats(settings.active_namespace, name)
    return {(sample.pod, sample.container): sample for sample in taken}


def _row(now: Sample, before: Sample | None) -> dict[str, Any]:
    cores = None
    if before is not None and now.cpu is not None and before.cpu is not None and now.at > before.at:
        cores = round(max(now.cpu - before.cpu, 0) / (now.at - before.at), 4)
    return {
        "pod": now.pod,
        "container": now.container,
        "cpu": cores,
        "memory": now.memory,
        "limit": now.limit or None,
        "tasks": now.tasks,
        "received": now.received,
        "sent": now.sent,
    }


def _cells(row: dict[str, Any]) -> list[str]:
    cores = "-" if row["cpu"] is None else f"{row['cpu'] * 1000:.0f}m"
    memory, limit, received, sent = (
        "-" if row[key] is None else sizes.shown(row[key])
        for key in ("memory", "limit", "received", "sent")
    )
    tasks = "-" if row["tasks"] is None else str(row["tasks"])
    return [row["pod"], row["container"], cores, memory, limit, tasks, received, sent]
