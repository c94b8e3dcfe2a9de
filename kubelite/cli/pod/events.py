"""``pod events``: what has happened to a pod, with times, and with ``-f`` what happens."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common import durations, output
from kubelite.cli.common.command import Option, Output, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import as_document, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import NAME, pod_name
from kubelite.cli.pod.ls import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kubelite.cli.pod_row import Doc
    from kubelite.node.kubelet.pods.pods import Pods

HEADERS = ("LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE")
_WIDTHS = (9, 7, 10, 22)


@usage("kubelite pod events web", "kubelite pod events -f web")
def events(
    settings: Settings,
    name: Annotated[
        str | None, NAME._replace(metavar="[NAME]", help="Only events of this pod.")
    ] = None,
    *,
    follow: Annotated[bool, Option("--follow -f", "Keep streaming new events.")] = False,
    format: Annotated[Output, OUTPUT] = Output.table,
) -> int:
    """Prints the events of a pod, or of all in the namespace, oldest first. Raises NotFound."""
    screen = Screen(settings)
    pods = open_pods(settings, screen)
    if name is None:
        if follow:
            raise CliError(Diagnostic("name the pod whose events to follow", exit_code=2))
        return _show_all(screen, pods, settings.active_namespace, format)
    name = pod_name(name)
    if follow:
        changes = pods.queries.follow_events(settings.active_namespace, name)
        return _follow(screen, changes, name, format)
    recorded = [
        as_document(event) for event in pods.queries.events(settings.active_namespace, name)
    ]
    if format in (Output.json, Output.yaml):
        screen.data(output.document(recorded, format))
    else:
        rows = [cells(event, name, time.time()) for event in recorded]
        screen.data(output.table(HEADERS, rows))
    return 0


def _show_all(screen: Screen, pods: Pods, namespace: str, format: Output) -> int:
    recorded = [
        (pod.metadata.name or "", as_document(event))
        for pod in pods.queries.list(namespace)
        for event in pods.queries.events(namespace, pod.metadata.name or "")
    ]
    recorded.sort(key=lambda named: named[1]["time"])
    if format in (Output.json, Output.yaml):
        screen.data(output.document([{"pod": name, **event} for name, event in recorded], format))
        return 0
    rows = [
        cells({**event, "object": _qualified(name, event["object"])}, name, time.time())
        for name, event in recorded
    ]
    screen.data(output.table(HEADERS, rows))
    return 0


def _qualified(pod: str, where: str) -> str:
    """The object of an event among those of other pods: ``pod/web`` or ``pod/web{server}``."""
    container = where.partition("{")[2]
    return f"pod/{pod}" + (f"{{{container}" if container else "")


def _follow(screen: Screen, changes: Iterator[Sequence[object]], name: str, format: Output) -> int:
    """As rows, as JSON with one event per line, or as the items of a YAML list."""
    if format not in (Output.json, Output.yaml):
        screen.data(_line(HEADERS))
    shown: set[tuple[str, str, str, int]] = set()
    for batch in changes:
        for event in map(as_document, batch):
            key = (event["reason"], event["object"], event["message"], event["count"])
            if key not in shown:
                shown.add(key)
                screen.data(_rendered(event, name, format))
    return 0


def _rendered(event: Doc, pod: str, format: Output) -> str:
    if format is Output.json:
        return json.dumps(event) + "\n"
    if format is Output.yaml:
        return output.document([event], format)
    return _line(cells(event, pod, time.time()))


def cells(event: Doc, pod: str, now: float) -> tuple[str, ...]:
    """An event as a row below :data:`HEADERS`; ``now`` is in seconds since the epoch."""
    age = durations.human(now - event["time"] / 1e9)
    if event["count"] > 1:
        age += f" (x{event['count']} over {durations.human(now - event['first'] / 1e9)})"
    where = event["object"] or f"pod/{pod}"
    return (age, event["type"], event["reason"], where, event["message"].strip())


def _line(row: tuple[str, ...]) -> str:
    """A row of a table whose later rows are not known yet."""
    padded = [text.ljust(width) for text, width in zip(row, _WIDTHS, strict=False)]
    return output.table([*padded, *row[len(padded) :]], ())
