"""``pod logs``: prints the logs of pods' containers, and with ``-f`` follows them."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Annotated, NamedTuple

from kubelite.cli.common import durations
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import as_document, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import NAMES, SELECTOR, Target, select
from kubelite.cli.pod.exec import CONTAINER
from kubelite.cli.pod_row import default_container

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from kubelite.cli.pod_row import Doc
    from kubelite.node.kubelet.pods.pods import Pods
    from kubelite.node.runtime.log_reader import LogLine

_MAX_LINE = 1 << 20
TAIL_OF_SELECTED = 10
"""As kubectl: with a selector only the last lines of each container, unless --tail says more."""


class Log(NamedTuple):
    """The log of one container."""

    target: Target
    container: str

    @property
    def prefix(self) -> str:
        return f"[pod/{self.target.name}/{self.container}] "


class Range(NamedTuple):
    """Which lines of a log: the last ``tail``, or None for all; those since a time in ns."""

    tail: int | None
    since_ns: int | None
    previous: bool
    follow: bool


@usage(
    "kubelite pod logs -f web",
    "kubelite pod logs web -c reader --tail 20",
    "kubelite pod logs -l app=web --all-containers --prefix",
)
def logs(
    settings: Settings,
    names: Annotated[list[str] | None, NAMES] = None,
    *,
    selector: Annotated[str | None, SELECTOR] = None,
    container: Annotated[str | None, CONTAINER] = None,
    follow: Annotated[bool, Option("--follow -f", "Keep printing new lines.")] = False,
    previous: Annotated[
        bool, Option("--previous -p", "Logs of the previous container instance.")
    ] = False,
    tail: Annotated[
        int | None,
        Option(
            "--tail", "Only the last N lines; -1 for all. (default: -1, with -l 10)", minimum=-1
        ),
    ] = None,
    since: Annotated[
        float | None,
        Option(
            "--since",
            "Only lines newer than this duration: 10s, 5m, 1h30m.",
            "DURATION",
            parser=durations.parse,
        ),
    ] = None,
    since_time: Annotated[
        float | None,
        Option(
            "--since-time",
            "Only lines since this time: 2026-11-30T12:00:00Z.",
            "TIME",
            parser=durations.parse_time,
        ),
    ] = None,
    timestamps: Annotated[bool, Option("--timestamps", "Print the time of each line.")] = False,
    all_containers: Annotated[
        bool, Option("--all-containers", "Logs of all containers, init containers first.")
    ] = False,
    prefix: Annotated[
        bool, Option("--prefix", "Begin each line with the names of pod and container.")
    ] = False,
) -> int:
    """Prints the logs of one container of each pod, or of all. ``since`` is in seconds before now,
    ``since_time`` in seconds since the epoch.
    """
    _refuse(container is not None and all_containers, "--all-containers and --container")
    _refuse(since is not None and since_time is not None, "--since and --since-time")
    screen = Screen(settings)
    pods = open_pods(settings, screen)
    targets = select(settings, pods, names, selector, command="logs")
    if since is not None:
        since_time = time.time() - since
    if tail is None and selector is not None:
        tail = TAIL_OF_SELECTED
    lines = Range(
        None if tail is None or tail < 0 else tail,
        None if since_time is None else int(since_time * 1e9),
        previous,
        follow,
    )
    chosen = [
        log
        for target in targets
        for log in _logs_of(screen, pods, target, container, all_containers)
    ]
    sources = [partial(_read, pods, log, lines, prefix, timestamps) for log in chosen]
    if len(sources) == 1:
        _print(sources[0](), screen)
    elif follow:
        _print_merged(sources, screen)
    else:
        _print_each(sources, screen)
    return 0


def _refuse(condition: bool, options: str) -> None:
    if condition:
        raise CliError(Diagnostic(f"{options} cannot be combined", exit_code=2))


def _logs_of(
    screen: Screen, pods: Pods, target: Target, container: str | None, all_containers: bool
) -> list[Log]:
    pod = as_document(pods.queries.get(*target))
    default, names = default_container(pod)
    if all_containers:
        return [Log(target, name) for name in _in_starting_order(pod)]
    if container is None and len(names) > 1:
        screen.note(f'Defaulted container "{default}" out of: {", ".join(names)}')
    return [Log(target, container or default)]


def _in_starting_order(pod: Doc) -> list[str]:
    spec = pod["spec"]
    containers = [*(spec.get("initContainers") or ()), *spec["containers"]]
    return [container["name"] for container in containers]


def _read(pods: Pods, log: Log, lines: Range, prefix: bool, timestamps: bool) -> Iterator[bytes]:
    if not (prefix or timestamps or lines.follow or lines.since_ns is not None):
        yield from pods.queries.log_text(
            *log.target, log.container, tail=lines.tail, previous=lines.previous
        )
        return
    records = pods.queries.logs(*log.target, log.container, **lines._asdict())
    yield from decorated(records, log.prefix if prefix else "", timestamps)


def decorated(lines: Iterable[LogLine], prefix: str, timestamps: bool) -> Iterator[bytes]:
    """Whole lines, each with its prefix and time in front if requested.

    The pieces of a long line are joined, up to 1 MiB. Without either they pass as they are.
    """
    if not prefix and not timestamps:
        yield from (line.text for line in lines)
        return
    partial_line = b""
    for line in lines:
        if not partial_line:
            partial_line = prefix.encode() + (f"{line.time} ".encode() if timestamps else b"")
        partial_line += line.text
        if partial_line.endswith(b"\n") or len(partial_line) > _MAX_LINE:
            yield partial_line
            partial_line = b""
    if partial_line:
        yield partial_line


def _print(lines: Iterator[bytes], screen: Screen) -> None:
    for line in lines:
        screen.bytes(line)


def _print_each(sources: Sequence[Callable[[], Iterator[bytes]]], screen: Screen) -> None:
    """Prints one log after the other. A container that has not started has none: it is noted, and
    an error only if that is all.
    """
    from kubelite.node.runtime.errors import NotFound, NotRunning

    missing: list[NotRunning | NotFound] = []
    for source in sources:
        try:
            _print(source(), screen)
        except (NotRunning, NotFound) as error:
            missing.append(error)
    if len(missing) == len(sources):
        raise missing[0]
    for absent in missing:
        screen.note(absent.message)


def _print_merged(sources: Sequence[Callable[[], Iterator[bytes]]], screen: Screen) -> None:
    """Prints several logs as they grow: one thread each, since each iterator blocks."""
    import queue
    import threading

    lines: queue.Queue[bytes | BaseException | None] = queue.Queue(maxsize=1024)

    def read(source: Callable[[], Iterator[bytes]]) -> None:
        try:
            for line in source():
                lines.put(line)
            lines.put(None)
        except Exception as error:  # noqa: BLE001 - raised again by the thread that prints
            lines.put(error)

    for source in sources:
        threading.Thread(target=read, args=(source,), daemon=True).start()
    open_sources = len(sources)
    while open_sources:
        item = lines.get()
        if isinstance(item, BaseException):
            raise item
        if item is None:
            open_sources -= 1
        else:
            screen.bytes(item)
