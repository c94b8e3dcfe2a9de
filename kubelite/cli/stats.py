"""``pod stats``: a line for each pod, and one for each of its containers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubelite.cli import durations, output
from kubelite.cli.engine import doc, pods
from kubelite.cli.output import Output
from kubelite.cli.screen import Screen

if TYPE_CHECKING:
    from kubelite.cli.settings import Settings

_HEADERS = ("POD", "CONTAINER", "CPU", "THROTTLED", "MEMORY", "TASKS", "OOM KILLS", "DISK")


def stats(settings: Settings, names: Sequence[str] = (), *, format: Output = Output.table) -> int:
    """Shows what the pods of the namespace, or those named, use. Raises NotFound for a name that is not there."""
    screen = Screen(settings)
    engine = pods(settings, screen)
    wanted = list(names) or [doc(pod)["metadata"]["name"] for pod in engine.list(settings.space)]
    found = [engine.stats(settings.space, name) for name in wanted]
    if format in (Output.json, Output.yaml):
        screen.data(output.document(found[0] if len(names) == 1 else output.as_list(found), format))
    elif format is Output.name:
        screen.data("".join(f"pod/{each['name']}\n" for each in found))
    elif not found:
        screen.note(f"No resources found in {settings.space} namespace.")
    else:
        screen.data(output.table(_HEADERS, [row for each in found for row in _rows(each)]))
    return 0


def _rows(found: dict[str, Any]) -> list[list[str]]:
    rows = [[found["name"], "", *_cells(found["pod"])]]
    return rows + [["", name, *_cells(figures)] for name, figures in found["containers"].items()]


def _cells(figures: dict[str, Any]) -> list[str]:
    def seconds(value: int | None) -> str:
        return "-" if value is None else f"{value / 1e9:.2f}s"

    def size(value: int | None) -> str:
        return "-" if value is None else durations.size(value)

    def count(value: int | None) -> str:
        return "-" if value is None else str(value)

    return [
        seconds(figures["cpu_ns"]),
        seconds(figures["throttled_ns"]),
        size(figures["working_set"]),
        count(figures["tasks"]),
        count(figures["oom_kills"]),
        size(figures["disk"]),
    ]
