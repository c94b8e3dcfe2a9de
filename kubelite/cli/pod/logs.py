"""``pod logs``: prints the logs of a pod's containers, and with ``-f`` follows them."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common import durations
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import as_document, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.pod.exec import CONTAINER
from kubelite.cli.pod.inspect import NAME
from kubelite.cli.podrow import default_container

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kubelite.node.runtime.logs import LogLine

_MAX_LINE = 1 << 20


@usage("kubelite pod logs -f web", "kubelite pod logs web -c reader --tail 20")
def logs(
    settings: Settings,
    name: Annotated[str, NAME],
    *,
    container: Annotated[str | None, CONTAINER] = None,
    follow: Annotated[bool, Option("--follow -f", "Keep printing new lines.")] = False,
    previous: Annotated[
        bool, Option("--previous -p", "Logs of the previous container instance.")
    ] = False,
    tail: Annotated[int, Option("--tail", "Only the last N lines; -1 for all.", minimum=-1)] = -1,
    since: Annotated[
        float | None,
        Option(
            "--since",
            "Only lines newer than this duration: 10s, 5m, 1h30m.",
            "DURATION",
            parser=durations.parse,
        ),
    ] = None,
    timestamps: Annotated[bool, Option("--timestamps", "Print the time of each line.")] = False,
    all_containers: Annotated[bool, Option("--all-containers", "Logs of all containers.")] = False,
    prefix: Annotated[
        bool, Option("--prefix", "Begin each line with the names of pod and container.")
    ] = False,
) -> int:
    """Prints the log of one container or of all of them. ``since`` is in seconds before now."""
    if all_containers and container is not None:
        raise CliError(
            Diagnostic("--all-containers and --container cannot be combined", exit_code=2)
        )
    screen = Screen(settings)
    pods = open_pods(settings, screen)
    pod = as_document(pods.get(settings.active_namespace, name))
    default, names = default_container(pod)
    if not all_containers and container is None and len(names) > 1:
        screen.note(f'Defaulted container "{default}" out of: {", ".join(names)}')
    since_ns = None if since is None else time.time_ns() - int(since * 1e9)

    def lines(which: str) -> Iterator[bytes]:
        log = pods.logs(
            settings.active_namespace,
            name,
            which,
            follow=follow,
            tail=None if tail < 0 else tail,
            since_ns=since_ns,
            previous=previous,
        )
        return decorated(log, f"[pod/{name}/{which}] " if prefix else "", timestamps)

    if not all_containers:
        _print(lines(container or default), screen)
    elif follow:
        _print_merged([partial(lines, which) for which in names], screen)
    else:
        for which in names:
            _print(lines(which), screen)
    return 0


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


def _print_merged(sources: list[Callable[[], Iterator[bytes]]], screen: Screen) -> None:
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
