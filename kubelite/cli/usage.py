"""``pod stats`` and ``pod top``: what containers use, and the processes in them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from kubelite.cli import durations, output
from kubelite.cli.engine import pods
from kubelite.cli.output import Output
from kubelite.cli.screen import Screen

if TYPE_CHECKING:
    from kubelite.cli.settings import Settings
    from kubelite.node.kubelet.pods.pods import Pods
    from kubelite.node.kubelet.pods.usage import Sample

_STATS = ("POD", "CONTAINER", "CPU", "MEMORY", "LIMIT", "TASKS", "NET IN", "NET OUT")
_TOP = ("CONTAINER", "PID", "USER", "STATE", "CPU", "MEMORY", "COMMAND")
_SECONDS = 1.0


def stats(
    settings: Settings,
    name: str | None = None,
    *,
    stream: bool = True,
    format: Output = Output.table,
) -> int:
    """CPU over the last second in cores, memory, tasks, bytes of the pod's network; again each
    second until Ctrl-C.
    """
    screen = Screen(settings)
    engine = pods(settings, screen)
    before = _sample(settings, engine, name)
    while True:
        time.sleep(_SECONDS)
        now = _sample(settings, engine, name)
        rows = [_row(each, before.get(key)) for key, each in now.items()]
        if format in (Output.json, Output.yaml):
            screen.data(output.document(rows, format))
        else:
            clear = "\x1b[H\x1b[J" if stream and screen.is_terminal else ""
            screen.data(clear + output.table(_STATS, [_cells(row) for row in rows]))
        if not stream:
            return 0
        before = now


def _sample(settings: Settings, engine: Pods, name: str | None) -> dict[tuple[str, str], Sample]:
    return {(each.pod, each.container): each for each in engine.stats(settings.space, name)}


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
    sizes = [
        "-" if row[key] is None else durations.size(row[key])
        for key in ("memory", "limit", "received", "sent")
    ]
    tasks = "-" if row["tasks"] is None else str(row["tasks"])
    return [row["pod"], row["container"], cores, sizes[0], sizes[1], tasks, sizes[2], sizes[3]]


def top(settings: Settings, name: str, *, format: Output = Output.table) -> int:
    """The processes of a pod; pids and users are this machine's. Raises NotFound."""
    screen = Screen(settings)
    found = pods(settings, screen).top(settings.space, name)
    if format in (Output.json, Output.yaml):
        screen.data(output.document([each._asdict() for each in found], format))
        return 0
    rows = [
        [
            p.container,
            str(p.pid),
            str(p.user),
            p.state,
            f"{p.seconds:.2f}s",
            durations.size(p.memory),
            p.command,
        ]
        for p in found
    ]
    screen.data(output.table(_TOP, rows))
    return 0
