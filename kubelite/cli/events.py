"""``pod events``: what has happened to a pod, with times, and with ``-f`` what happens."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from kubelite.cli import durations, output
from kubelite.cli.engine import doc, pods
from kubelite.cli.output import Output
from kubelite.cli.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kubelite.cli.podrow import Doc
    from kubelite.cli.settings import Settings

_HEADERS = ("LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE")
_WIDTHS = (9, 7, 10, 22)


def events(
    settings: Settings, name: str, *, follow: bool = False, format: Output = Output.table
) -> int:
    """Prints the pod's timeline, oldest first. Raises NotFound."""
    screen = Screen(settings)
    engine = pods(settings, screen)
    if follow:
        return _follow(screen, engine.follow_events(settings.space, name), name, format)
    found = [doc(each) for each in engine.events(settings.space, name)]
    if format in (Output.json, Output.yaml):
        screen.data(output.document(found, format))
    else:
        screen.data(output.table(_HEADERS, [_cells(each, name, time.time()) for each in found]))
    return 0


def _follow(screen: Screen, changes: Iterator[Sequence[object]], name: str, format: Output) -> int:
    """As rows, as JSON with one event a line, or as the items of a YAML list."""
    if format not in (Output.json, Output.yaml):
        screen.data(_line(_HEADERS))
    shown: set[tuple[str, str, str, int]] = set()
    for found in changes:
        for each in map(doc, found):
            key = (each["reason"], each["object"], each["message"], each["count"])
            if key not in shown:
                shown.add(key)
                screen.data(_told(each, name, format))
    return 0


def _told(event: Doc, pod: str, format: Output) -> str:
    if format is Output.json:
        return json.dumps(event) + "\n"
    return (
        output.document([event], format)
        if format is Output.yaml
        else _line(_cells(event, pod, time.time()))
    )


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
