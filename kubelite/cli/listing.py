"""``pod ls`` and ``pod inspect``: what there is, as a table or as documents."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubelite.cli import durations, output
from kubelite.cli.engine import doc, pods
from kubelite.cli.output import Document, Output
from kubelite.cli.podrow import Doc, PodRow, row
from kubelite.cli.screen import Screen
from kubelite.cli.settings import Settings
from kubelite.cli.text import Trouble

if TYPE_CHECKING:
    from kubelite.node.kubelet.pods.pods import Pods

_HEADERS = ("NAME", "READY", "STATUS", "RESTARTS", "AGE")
_WIDE = ("IP", "NODE", "IMAGES")


def ls(
    settings: Settings,
    names: Sequence[str] = (),
    *,
    format: Output = Output.table,
    everywhere: bool = False,
    headers: bool = True,
) -> int:
    """Lists the pods of the namespace, or those named. Raises NotFound for a name that is not
    there.
    """
    screen = Screen(settings)
    engine = pods(settings, screen)
    found = _find(engine, settings.space, names, everywhere)
    for sentence in engine.damaged:
        screen.warn(
            Trouble(
                sentence,
                hint="`kubelite system reset` removes what is left of that pod, and all others",
            )
        )
    if format is Output.json or format is Output.yaml:
        whole = found[0] if len(names) == 1 else output.as_list(found)
        screen.data(output.document(whole, format))
        return 0
    if format is Output.name:
        screen.data("".join(f"pod/{pod['metadata']['name']}\n" for pod in found))
        return 0
    if not found:
        screen.note(
            "No resources found" + ("." if everywhere else f" in {settings.space} namespace.")
        )
        return 0
    screen.data(_table(found, format is Output.wide, everywhere, headers))
    return 0


def _find(engine: Pods, space: str, names: Sequence[str], everywhere: bool) -> list[Doc]:
    if names:
        return [doc(engine.get(space, name)) for name in names]
    return [doc(pod) for pod in engine.list(None if everywhere else space)]


def _table(found: list[Doc], wide: bool, everywhere: bool, headers: bool) -> str:
    now = time.time()
    heads = [*(["NAMESPACE"] if everywhere else []), *_HEADERS, *(_WIDE if wide else ())]
    rows = [_cells(row(pod), now, wide, everywhere) for pod in found]
    text = output.table(heads, rows)
    return text if headers else text.partition("\n")[2]


def _cells(pod: PodRow, now: float, wide: bool, everywhere: bool) -> list[str]:
    cells = [pod.namespace] if everywhere else []
    cells += [pod.name, pod.ready, pod.status, pod.restarts, age(pod.created, now)]
    return cells + ([pod.ip, pod.node, pod.images] if wide else [])


def age(created: str, now: float) -> str:
    """How long ago an RFC 3339 time was; ``<unknown>`` where it is none."""
    from datetime import datetime

    try:
        return durations.human(now - datetime.fromisoformat(created).timestamp())
    except ValueError:
        return "<unknown>"


def inspect(settings: Settings, name: str, *, format: Document = Document.json) -> int:
    """Everything known about one pod: its object, its sandbox, its containers' processes and kernel
    objects.
    """
    screen = Screen(settings)
    found = doc(pods(settings, screen).inspect(settings.space, name))
    screen.data(output.document(found, format))
    return 0
