"""``pod events``: what has happened to a pod, with times, and with ``-f`` what happens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kubelite.cli import durations, output
from kubelite.cli.engine import doc, pods
from kubelite.cli.output import Output
from kubelite.cli.screen import Screen

if TYPE_CHECKING:
    from kubelite.cli.podrow import Doc
    from kubelite.cli.settings import Settings

_HEADERS = ("LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE")
_WIDTHS = (9, 7, 10, 22)
_PAUSE = 0.2


def events(settings: Settings, name: str, *, follow: bool = False, format: Output = Output.table) -> int:
    """Prints the pod's timeline, oldest first. Raises NotFound."""
    screen = Screen(settings)
    engine = pods(settings, screen)
    found = [doc(each) for each in engine.events(settings.space, name)]
    if format in (Output.json, Output.yaml):
        screen.data(output.document(found, format))
        return 0
    if not follow:
        screen.data(output.table(_HEADERS, [_cells(each, name, time.time()) for each in found]))
        return 0
    from kubelite.node.runtime.errors import NotFound

    screen.data(_line(_HEADERS))
    shown: set[tuple[str, str, str, int]] = set()
    while True:
        for each in found:
            key = (each["reason"], each["object"], each["message"], each["count"])
            if key not in shown:
                shown.add(key)
                screen.data(_line(_cells(each, name, time.time())))
        time.sleep(_PAUSE)
        try:
            found = [doc(each) for each in engine.events(settings.space, name)]
        except NotFound:
            return 0


def _cells(event: Doc, pod: str, now: float) -> tuple[str, ...]:
    seen = durations.human(now - event["time"] / 1e9)
    if event["count"] > 1:
        seen += f" (x{event['count']} over {durations.human(now - event['first'] / 1e9)})"
    where = event["object"] or f"pod/{pod}"
    return (seen, event["type"], event["reason"], where, event["message"].strip())


def _line(cells: tuple[str, ...]) -> str:
    """A row of a table whose later rows are not known yet."""
    words = [cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=False)]
    return output.table([*words, *cells[len(words) :]], ())
