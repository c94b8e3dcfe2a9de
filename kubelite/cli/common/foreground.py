"""Runs a part of a control plane in the foreground, until a signal."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from kubelite.cli.common.screen import Screen

if TYPE_CHECKING:
    from kubelite.cli.common.command import Settings


def run_until_signal(settings: Settings, note: str, work: Callable[[], Awaitable[None]]) -> None:
    """Runs ``work`` until it ends or a signal comes, which cancels it. Raises what it raises."""
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    asyncio.run(_serve(settings, note, work))


async def _serve(settings: Settings, note: str, work: Callable[[], Awaitable[None]]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    Screen(settings).note(note)
    running = asyncio.ensure_future(work())
    stop = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({running, stop}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
