"""``pod logs``: what the containers of a pod have said, and with ``-f`` what they say."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from kubelite.cli.engine import doc, pods
from kubelite.cli.podrow import default_container
from kubelite.cli.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kubelite.cli.settings import Settings
    from kubelite.node.runtime.logs import LogLine

_PIECE_MAX = 1 << 20


def logs(
    settings: Settings,
    name: str,
    container: str | None = None,
    *,
    follow: bool = False,
    previous: bool = False,
    tail: int | None = None,
    since: float | None = None,
    timestamps: bool = False,
    everyone: bool = False,
    prefix: bool = False,
) -> int:
    """Prints the log of one container or, with ``everyone``, of all of them. ``since`` is in
    seconds before now.
    """
    screen = Screen(settings)
    engine = pods(settings, screen)
    pod = doc(engine.get(settings.space, name))
    chosen, names = default_container(pod)
    if not everyone and container is None and len(names) > 1:
        screen.note(f'Defaulted container "{chosen}" out of: {", ".join(names)}')
    since_ns = None if since is None else time.time_ns() - int(since * 1e9)

    def lines(which: str) -> Iterator[bytes]:
        found = engine.logs(
            settings.space,
            name,
            which,
            follow=follow,
            tail=tail,
            since_ns=since_ns,
            previous=previous,
        )
        return dressed(found, f"[pod/{name}/{which}] " if prefix else "", timestamps)

    if not everyone:
        _print(lines(container or chosen), screen)
    elif follow:
        _print_together([partial(lines, each) for each in names], screen)
    else:
        for each in names:
            _print(lines(each), screen)
    return 0


def dressed(lines: Iterable[LogLine], prefix: str, timestamps: bool) -> Iterator[bytes]:
    """Whole lines, each with its prefix and time in front where asked for.

    The pieces of a long line are put together again, up to 1 MiB. Without either they pass as they
    are.
    """
    if not prefix and not timestamps:
        yield from (line.text for line in lines)
        return
    held = b""
    for line in lines:
        if not held:
            held = prefix.encode() + (f"{line.time} ".encode() if timestamps else b"")
        held += line.text
        if held.endswith(b"\n") or len(held) > _PIECE_MAX:
            yield held
            held = b""
    if held:
        yield held


def _print(lines: Iterator[bytes], screen: Screen) -> None:
    for line in lines:
        screen.bytes(line)


def _print_together(sources: list[Callable[[], Iterator[bytes]]], screen: Screen) -> None:
    """Prints several logs as they grow: each has a thread, since each iterator waits in its own
    place.
    """
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
    going = len(sources)
    while going:
        got = lines.get()
        if isinstance(got, BaseException):
            raise got
        if got is None:
            going -= 1
        else:
            screen.bytes(got)
