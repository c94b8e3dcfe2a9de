"""Runs a part of a control plane in the foreground, until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from kubelite.cli.common.screen import Screen

if TYPE_CHECKING:
    from kubelite.cli.common.command import Settings


def run_until_signal(
    settings: Settings, note: str, work: Callable[[], Awaitable[None]], ending: str = ""
) -> None:
    """Runs ``work`` until it ends or a signal comes, which cancels it. ``note`` is shown before,
    ``ending`` at a signal; empty ones are not. Raises what ``work`` raises.
    """
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    asyncio.run(_serve(Screen(settings), note, work, ending))


async def _serve(
    screen: Screen, note: str, work: Callable[[], Awaitable[None]], ending: str
) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    if note:
        screen.note(note)
    running = asyncio.ensure_future(work())
    stop = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({running, stop}, return_when=asyncio.FIRST_COMPLETED)
    if stop.done() and ending:
        screen.note(ending)
    for task in (stop, running):
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
